"""How MCP clients reach the tools: Streamable HTTP beside the API, or standard input and output."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from fastapi import FastAPI
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import JSONRPCMessage

from conservator.serve.jobs import Jobs
from conservator.serve.mcp import server

PATH = "/mcp"

_KEPT = 64_000_000  # bytes of messages that clients may have missed


def mount(app: FastAPI, jobs: Jobs, longest: int) -> StreamableHTTPSessionManager:
    """Serve MCP at /mcp of an application, which must run the manager that is returned.

    longest   bytes of a request
    """
    mcp = server(jobs)
    # Hosts and origins are the guard's business, for all paths alike.
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    routes = mcp.streamable_http_app(
        streamable_http_path=PATH,
        event_store=RecentEvents(),
        max_request_body_size=longest,
        max_sessions=1000,
        transport_security=unchecked,
    ).routes
    app.router.routes.extend(routes)
    return mcp.session_manager


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
