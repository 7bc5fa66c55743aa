"""A server on this machine that speaks as OpenAI's does and says what it is told to, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from conservator.agents.endpoint import Endpoint
from conservator.agents.language import LanguagePlanner

KEY = "sk-a-secret-of-the-users"
Data = dict[str, Any]


def steps(*entries: Data) -> str:
    return json.dumps({"steps": [{"regions": ["whole"], "strength": 1.0} | entry for entry in entries]})


def text(said: str) -> Data:
    return {"role": "assistant", "content": said}


def call(arguments: str, name: str = "answer") -> Data:
    function = {"name": name, "arguments": arguments}
    calls = [{"id": "c1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@dataclass(frozen=True)
class Streamed:
    """A message in pieces, of which only the first ones come where `pieces` says how many."""

    message: Data
    pieces: int | None = None

    def events(self) -> list[str]:
        role = {"role": "assistant", "content": ""}
        if calls := self.message.get("tool_calls"):
            function = calls[0]["function"]
            first = [{"index": 0, "id": "c1", "type": "function", "function": function | {"arguments": ""}}]
            deltas = [{"tool_calls": first}]
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
                       for part in _parts(function["arguments"])]  # fmt: skip
        else:
            deltas = [{"content": part} for part in _parts(self.message["content"])]
        reason = "tool_calls" if calls else "stop"
        chunks = [_chunk(delta) for delta in (role, *deltas)]
        said = [*chunks, _chunk({}, reason), _chunk(None)]
        whole = [*(json.dumps(chunk) for chunk in said), "[DONE]"]
        return whole if self.pieces is None else whole[: self.pieces]


def _parts(said: str, length: int = 12) -> list[str]:
    return [said[i : i + length] for i in range(0, len(said), length)]


def _chunk(delta: Data | None, reason: str | None = None) -> Data:
    """A piece of an answer; without a delta what it cost."""
    made: Data = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": []}
    if delta is None:
        return made | {"usage": completion({})["usage"]}
    return made | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


class Server:
    """Gives its answers in turn, the last one for ever; keeps what it was asked.

    An answer is a message, a status with a body and perhaps headers, seconds to wait before a message, `Streamed`, or
    what makes one of these of a request. Whoever asks for a stream gets a message as one.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked, self.headers = list(answers), list[Data](), list[dict[str, str]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                answer = answer(asked) if callable(answer) else answer
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = text("too late")
                if isinstance(answer, dict) and asked.get("stream"):
                    answer = Streamed(answer)
                if isinstance(answer, Streamed):
                    return self.send(answer)
                status, body, *more = answer if isinstance(answer, tuple) else (200, json.dumps(completion(answer)))
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body.encode()) + 9 * (status == 299)))
                self.end_headers()
                self.wfile.write(body.encode())

            def send(self, answer: Streamed) -> None:
                """Word by word; the end of the connection is the end of the stream."""
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for event in answer.events():
                    self.wfile.write(f"data: {event}\n\n".encode())
                    self.wfile.flush()
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def endpoint(self, **options: Any) -> Endpoint:
        return Endpoint(self.url, "tiny", **{"key": KEY, "seconds": 120.0} | options)

    def planner(self, **options: Any) -> LanguagePlanner:
        return LanguagePlanner(self.endpoint(**options))


def completion(message: Data) -> Data:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    }  # fmt: skip


@contextmanager
def serving(*answers: Any) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
