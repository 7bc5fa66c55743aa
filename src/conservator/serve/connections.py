"""Connections that may be silent or slow for a while, but neither for ever nor at the cost of other clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from conservator.serve.guard import HEADERS

MOST = 400
"""Connections at a time. They share the 1024 files that many systems allow a process with uploads and results."""

_LOOKS = 6
"""Looks at a connection within the time it may be silent."""


def patient(seconds: float, most: int = MOST) -> Callable[..., Patient]:
    """What makes connections of so much patience, as uvicorn's setting `http`.

    seconds   that a client may take to send the whole head of a request, and take nothing of what it is sent
    most      connections; beyond, the one that has been silent for longest is closed for the new one
    """

    def made(**context: Any) -> Patient:
        return Patient(seconds, most, **context)

    return made


class Patient(H11Protocol):
    """uvicorn's connection, watched; see `patient`."""

    def __init__(self, seconds: float, most: int, **context: Any) -> None:
        super().__init__(**context)
        self._patience, self._most = seconds, most
        self._silent = self._moved = self.loop.time()
        self._unsent = 0
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        others = [one for one in self.connections if isinstance(one, Patient) and one.idle and one is not self]
        if others and len(self.connections) > self._most:
            min(others, key=lambda one: one._silent).transport.abort()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        if self._next is not None:
            self._next.cancel()

    def on_response_complete(self) -> None:
        """The answer is on its way: from now on the client is waited for."""
        self._silent = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:
        """The client has taken most of what it was sent."""
        self._moved = self.loop.time()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close", **HEADERS}
        told = (h11.Response(status_code=400, headers=list(headers.items())), h11.Data(data=msg.encode()))
        for event in (*told, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def idle(self) -> bool:
        """Whether the server waits for a request, and is not about to hang up."""
        waiting = self.cycle is None or self.cycle.response_complete
        return waiting and not self.transport.is_closing()

    def _look(self) -> None:
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if unsent < self._unsent or not unsent:
            self._moved = now
        self._unsent = unsent
        if self.transport.get_protocol() is not self:  # a WebSocket now
            return
        if now - self._moved > self._patience or (self.idle and now - self._silent > self._patience and not unsent):
            self.transport.abort()
            return
        self._next = self.loop.call_later(self._patience / _LOOKS, self._look)
