"""Requests with bodies that broke, and what a server of our own says to them, to the end of the work they cause."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from conservator.benchmarks.accidents import scrambled, twisted
from conservator.benchmarks.load import picture
from conservator.benchmarks.valid import SIDE, pictures
from conservator.errors import ConservatorError

LIMITS = ("--max-megabytes", 1, "--max-megapixels", 1)
"""Of the server, as words of its command line."""

BOUNDARY = "----boundary"
_MCP = "2026-07-28"
_BUGS = ("a bug in Conservator", "WorkerDied", '"code":-32603')


class RefusedAtWork(ConservatorError):
    """Refused by those who were to carry it out, behind all that only reads."""


@dataclass(frozen=True)
class Request:
    """One that is sent by POST."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Make: TypeAlias = Callable[[Any, bytes], Request]
"""A request from its fields and a photograph."""


def whole() -> list[Request]:
    """A valid request of every kind that has a body."""
    return [make(fields, picture(SIDE, 0)) for make, fields in _kinds()]


def broken(chance: random.Random) -> Request:
    """One of them after accidents: to all of its body, or to the photograph or the fields alone, so that a part of
    them gets as far as a worker."""
    make, fields = chance.choice(_kinds())
    photo = chance.choice(list(pictures().values()))
    match chance.randrange(3):
        case 0:
            request = make(fields, photo)
            return replace(request, body=scrambled(request.body, chance))
        case 1:
            return make(fields, scrambled(photo, chance))
        case _:
            return make(twisted(fields, chance), photo)


def _kinds() -> list[tuple[Make, dict[str, Any]]]:
    fields = {"strength": "0.5", "instruction": "keep the grain", "settings": "{}", "prefer": "joint", "seed": "1"}
    tool = {"tool": "denoise", "strength": "0.5", "settings": '{"keep_grain": 0.5}', "container": "webp"}
    return [
        (partial(_form, "/v1/jobs"), fields),
        (partial(_form, "/v1/jobs"), tool),
        (partial(_form, "/v1/diagnose"), {}),
        (partial(_call, "list_tools"), {"treating": ["noise"]}),
        (partial(_call, "treat"), {"photo": "", "tool": "joint", "options": {"strength": 0.5}}),
    ]


def _form(path: str, fields: Any, photo: bytes) -> Request:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    named = fields if isinstance(fields, dict) else {"settings": fields}
    parts = [f'{head}"{name}"\r\n\r\n{_text(value)}\r\n' for name, value in named.items()]
    file = f'{head}"photo"; filename="a.png"\r\n\r\n'.encode() + photo
    body = "".join(parts).encode(errors="replace") + file + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Request(path, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, body)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _call(tool: str, arguments: Any, photo: bytes) -> Request:
    if isinstance(arguments, dict) and arguments.get("photo") == "":
        arguments = arguments | {"photo": base64.b64encode(photo).decode()}
    place = "io.modelcontextprotocol/"
    meta = {f"{place}protocolVersion": _MCP, f"{place}clientCapabilities": {}}
    asked = {"name": tool, "arguments": arguments, "_meta": meta}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"MCP-Protocol-Version": _MCP, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    return Request("/mcp", headers, json.dumps(call).encode())


class Sender:
    """Sends requests to a server without a token, one after the other."""

    def __init__(self, url: str) -> None:
        import httpx2

        self._http = httpx2.Client(base_url=url, timeout=60.0, trust_env=False)

    def send(self, request: Request) -> bool:
        """Whether a worker carried the request out.

        Raises ConservatorError when it was refused, RefusedAtWork when a worker did that, and RuntimeError when the
        server is at fault.
        """
        answer = self._http.post(request.path, content=request.body, headers=request.headers)
        said = answer.text
        if answer.status_code == 202:
            said += self._followed(answer.json()["id"])
        if answer.status_code >= 500 or any(bug in said for bug in _BUGS):
            raise RuntimeError(f"{request.path} answered {answer.status_code}: {said[-400:]}")
        if answer.status_code == 202 and "event: failed" in said:
            raise RefusedAtWork(said[-200:])
        if answer.is_error or '"isError":true' in said or '"error":{' in said:
            raise ConservatorError(said[-200:])
        return answer.status_code == 202 or request.path == "/v1/diagnose" or request.headers.get("Mcp-Name") == "treat"

    def _followed(self, id: str) -> str:
        """What was told of a job until it ended; its result is fetched and it is deleted."""
        said = self._http.get(f"/v1/jobs/{id}/events").text
        if "event: done" in said:
            self._http.get(f"/v1/jobs/{id}/result").raise_for_status()
        self._http.delete(f"/v1/jobs/{id}").raise_for_status()
        return said
