"""How MCP clients reach the tools: Streamable HTTP beside the API, or standard input and output."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Any

from fastapi import FastAPI
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.streamable_http import (
    EventCallback,
    EventId,
    EventMessage,
    EventStore,
    StreamableHTTPServerTransport,
    StreamId,
)
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import JSONRPCMessage
from starlette.routing import Route

from conservator.serve.jobs import Jobs
from conservator.serve.mcp import server

PATH = "/mcp"

_KEPT = 64_000_000  # bytes of messages that clients may have missed


def mount(app: FastAPI, jobs: Jobs, longest: int) -> StreamableHTTPSessionManager:
    """Serve MCP at /mcp of an application, which must run the manager that is returned.

    longest   bytes of a request
    """
    # Hosts and origins are the guard's business, for all paths alike.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    mcp = server(jobs)
    mcp.streamable_http_app(transport_security=unchecked)  # the way to the server that a manager is made of
    sessions = Sessions(
        mcp.session_manager.app, security_settings=unchecked, max_request_body_size=longest, max_sessions=1000
    )
    app.router.routes.append(Route(PATH, endpoint=StreamableHTTPASGIApp(sessions)))
    return sessions


class Sessions(StreamableHTTPSessionManager):
    """Sessions that share the room for missed messages, and none of the messages."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._recent = RecentEvents()

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        # A stream's id is the request's, which every client counts from 1.
        self.event_store = SessionEvents(self._recent)
        return super()._admit_session(requestor)


class RecentEvents(EventStore):
    """Messages of the last minutes, so that a client whose connection broke can take up its session where it was."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most, self._taken = most, 0
        self._events: OrderedDict[EventId, tuple[StreamId, JSONRPCMessage | None, int]] = OrderedDict()

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep a message, and forget the oldest ones when there are too many; its id cannot be guessed."""
        id, size = secrets.token_hex(16), 100 + (0 if message is None else len(message.model_dump_json()))
        self._events[id] = (stream_id, message, size)
        self._taken += size
        while self._taken > self._most and len(self._events) > 1:
            self._taken -= self._events.popitem(last=False)[1][2]
        return id

    def stream(self, id: EventId) -> StreamId | None:
        """The stream of an event; None when it is forgotten."""
        return self._events[id][0] if id in self._events else None

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came after an event of the same stream; None when that event is forgotten."""
        if last_event_id not in self._events:
            return None
        stream = self._events[last_event_id][0]
        ids = list(self._events)
        for id in ids[ids.index(last_event_id) + 1 :]:
            of, message, _ = self._events[id]
            if of == stream and message is not None:
                await send_callback(EventMessage(message, id))
        return stream


class SessionEvents(EventStore):
    """Of the recent messages those of one session: event ids of others are as if forgotten."""

    def __init__(self, recent: RecentEvents) -> None:
        self._recent, self._own = recent, f"{secrets.token_hex(16)}:"

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep a message; see `RecentEvents`."""
        return await self._recent.store_event(self._own + stream_id, message)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came after an event of the same stream; None when that event is forgotten or another session's."""
        if not (self._recent.stream(last_event_id) or "").startswith(self._own):
            return None
        stream = await self._recent.replay_events_after(last_event_id, send_callback)
        return None if stream is None else stream.removeprefix(self._own)
