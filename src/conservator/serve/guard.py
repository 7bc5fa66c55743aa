"""What stands between the network and the application: who may ask, how much they may send, what they are sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conservator.serve.logs import say
from conservator.serve.metrics import Metrics
from conservator.serve.problems import problem

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

OPEN_TO_ALL = frozenset({"/health"})
"""Paths that need no token."""

PAGE = "/studio/"
"""Where the web page is. Browsers ask for its token themselves, as the password of anybody."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""

SLOWEST = 10_000
"""Bytes a second that a body must come at, over all."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class Access:
    """Who may ask.

    token      what requests must carry as `Authorization: Bearer …`, or those of a browser for the page and what lies
               below it as the password of `Authorization: Basic …`; None lets everybody in
    loopback   whether only this machine is served; then requests that name another host are refused, because a web
               page whose name was made to point here (DNS rebinding) is not this machine's user
    """

    token: str | None = None
    loopback: bool = True

    def refusal(self, path: str, headers: Headers) -> Response | None:
        """Why a request is not let in, or None."""
        host = headers.get("host", "")
        if self.loopback and urlsplit(f"//{host}").hostname not in LOOPBACK:
            return problem(403, "Forbidden", "a request to another host", "this machine's own name", "use 127.0.0.1")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return problem(403, "Forbidden", "a request from another site's page", "one from here", "do not use a page")
        given = headers.get("authorization", "")
        if path in OPEN_TO_ALL or self.token is None or _same(given, f"Bearer {self.token}"):
            return None
        seen = path == "/" or path.startswith(PAGE)
        if seen and _same(_password(given), self.token):
            return None
        wanted, fix = "Authorization: Bearer TOKEN", "ask who runs the server"
        challenge = 'Basic realm="Conservator: any name, and the token as password", charset="UTF-8"'
        return problem(
            401, "Unauthorized", "no valid token", wanted, fix, WWW_Authenticate=challenge if seen else "Bearer"
        )


def _password(authorization: str) -> str:
    """Of `Basic` credentials; "" where there is none."""
    scheme, _, coded = authorization.partition(" ")
    try:
        return base64.b64decode(coded, validate=True).decode().partition(":")[2] if scheme.lower() == "basic" else ""
    except ValueError:
        return ""


def _same(given: str, wanted: str) -> bool:
    """Compare in a time that tells nothing about where, or whether in length, they differ."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted)]
    return hmac.compare_digest(*digests)


class Guard:
    """ASGI middleware: lets in whom `access` lets in, not too many at a time, and bodies neither too long nor too slow.

    longest    bytes of a body, by path
    patience   seconds that a body may pause, and be behind the slowest that is waited for
    most       requests at a time, besides those that are open to all
    """

    def __init__(
        self, app: ASGIApp, access: Access, longest: Callable[[str], int], patience: float = 30.0, most: int = 200
    ) -> None:
        self.app, self.access, self.longest, self.patience, self.most = app, access, longest, patience, most
        self._within = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        limit = self.longest(scope["path"])
        refused = self.access.refusal(scope["path"], headers)
        length = headers.get("content-length", "0")
        if refused is None and length.isdecimal() and int(length) > limit:
            refused = _too_long(limit)
        if refused is None and self._within >= self.most and scope["path"] not in OPEN_TO_ALL:
            refused = _too_many(self.most)
        if refused is not None:
            return await refused(scope, receive, send)
        self._within += 1
        try:
            await self._bounded(scope, receive, send, limit)
        finally:
            self._within -= 1

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        taken, complete, begun, waited = 0, False, False, 0.0
        refused: Response | None = None

        async def measured() -> Message:
            """The next message, its bytes and the wait counted; TimeoutError when late, _Excess beyond `limit`."""
            nonlocal taken, complete, refused, waited
            since, left = time.monotonic(), self.patience - max(0.0, waited - taken / SLOWEST)
            try:
                message = await (receive() if complete else asyncio.wait_for(receive(), left))
            except TimeoutError:
                refused = _too_slow(self.patience)
                raise
            waited += time.monotonic() - since
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if taken > limit:
                    refused = _too_long(limit)
                    raise _Excess
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            if begun or refused is None:  # else the application only says that it could not read the body
                begun = True
                await send(message)

        try:
            await self.app(scope, measured, noted)
        except (_Excess, TimeoutError):
            if refused is None:
                raise
        if refused is not None and not begun:
            await refused(scope, receive, send)


class _Excess(Exception):
    """The body is longer than allowed."""


def _too_long(limit: int) -> Response:
    wanted = f"at most {limit / 1e6:.1f} MB"
    # The connection stays: what is on its way is read and thrown away, or its sender would not see the answer.
    return problem(413, "TooLarge", "a body that is too long", wanted, "send less")


def _too_many(most: int) -> Response:
    got, wanted = f"{most} requests at a time", "fewer"
    return problem(503, "Busy", got, wanted, "try again in a moment", Retry_After="1")


def _too_slow(patience: float) -> Response:
    got = f"a body that paused for {patience:g} s, or was so far behind {SLOWEST / 1000:g} kB/s"
    wanted = "a whole request"
    return problem(408, "TooSlow", got, wanted, "send it again")


class Watcher:
    """ASGI middleware: puts security headers on every answer, logs every request and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve and note."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, status, sent = time.perf_counter(), 0, 0

        async def noted(message: Message) -> None:
            """Send on, with status and bytes noted and the headers set that the application has not."""
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            seconds, route = time.perf_counter() - begun, _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.request(method, route, status, seconds)
            client = scope["client"][0] if scope.get("client") else None
            say("request", method=method, route=route, status=status, seconds=round(seconds, 4),
                sent=sent, client=client, job=str(scope.get("path_params", {}).get("id", ""))[:8] or None)  # fmt: skip


def _route(scope: dict[str, Any] | Scope) -> str:
    """The pattern that a path matched: ids of jobs are keys to them and do not belong in logs."""
    return getattr(scope.get("route"), "path", None) or getattr(scope.get("endpoint"), "path", None) or "-"
