"""A server on this machine that speaks as OpenAI's does and says what it is told to, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


class Server:
    """Gives its answers in turn, the last one for ever; keeps what it was asked.

    An answer is a message, a status with a body, seconds to wait before a message, or what makes one of a request.
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
                status, body = answer if isinstance(answer, tuple) else (200, json.dumps(completion(answer)))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body.encode()) + 9 * (status == 299)))
                self.end_headers()
                self.wfile.write(body.encode())

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
