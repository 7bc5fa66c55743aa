"""The page inside the server: its own paths, and no more of what the web framework offers than it needs."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Path
from fastapi.responses import FileResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from conservator.serve.foreman import MASK, PLACE
from conservator.serve.guard import PAGE
from conservator.serve.http import REPORT_POLICY
from conservator.serve.jobs import Jobs
from conservator.serve.problems import problem
from conservator.serve.refusals import NotReady
from conservator.serve.studio.scraps import Scraps

_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded from elsewhere; inline scripts and `eval` are gradio's own way of starting."""

_NEEDED = re.compile(
    r"(|jobs/.+|(assets|static)/.+|theme\.css|config|manifest\.json|favicon\.ico|"
    r"gradio_api/(upload|upload_progress|queue/join|queue/data|cancel|reset|heartbeat/\w+|component_server|"
    r"startup-events|theme\.css|info|file=(?!https?:).+))/?",
    re.IGNORECASE | re.DOTALL,
)

_LONGEST = 2**20  # bytes of a request that is not an upload

SCRAPS = "page"
"""Folder, beside that of the jobs, of what browsers upload and are shown."""

_SWEEP = 60.0
"""Seconds between two looks for scraps that nobody holds."""

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Name = Annotated[str, Path(pattern="^([a-z_]+(-[a-z_]+)?|place-[a-z0-9]+-[0-9a-f]{8})$")]


def mount(app: FastAPI, jobs: Jobs) -> None:
    """Serve the page at /studio/ and the files of jobs below it, and lead / there."""
    scraps = Scraps(jobs.folder / SCRAPS)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(scraps.folder)
    import gradio

    from conservator.serve.studio.page import APPEARANCE, page

    app.include_router(_files(jobs), include_in_schema=False)
    blocks = page(jobs, scraps)
    gradio.mount_gradio_app(
        app, blocks, PAGE.rstrip("/"), footer_links=[], run_history=False, show_error=False, ssr_mode=False,
        pwa=False, mcp_server=False, enable_monitoring=False, max_file_size=jobs.limits.max_bytes, **APPEARANCE,
    )  # fmt: skip
    # Only an application that believes itself launched refuses paths that were not uploaded to it.
    blocks.has_launched = True
    inner = app.router.routes[-1].app  # type: ignore[attr-defined]
    inner.add_exception_handler(ClientDisconnect, _left)
    # Every open page holds a connection, which otherwise keeps the server from ending.
    jobs.listen(lambda id: inner.stop_event.set() if id == "" else None)
    app.router.lifespan_context = _tidy(app.router.lifespan_context, scraps)


async def _left(request: Request, error: Exception) -> Response:
    """A page that is loaded again, or closed, leaves requests half sent: nothing broke, and nobody hears the answer."""
    return Response(status_code=499)


def _tidy(lifespan: Lifespan[FastAPI], scraps: Scraps) -> Lifespan[FastAPI]:
    """A lifespan in which scraps are looked after, and after which there are none."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            await asyncio.to_thread(scraps.sweep)

    @asynccontextmanager
    async def tidied(app: FastAPI) -> AsyncIterator[Mapping[str, Any] | None]:
        with scraps:
            sweeper = asyncio.create_task(sweep())
            async with lifespan(app) as state:
                yield state
            sweeper.cancel()

    return cast(Lifespan[FastAPI], tidied)


def _files(jobs: Jobs) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    def home() -> RedirectResponse:
        return RedirectResponse(PAGE)

    @router.get(f"{PAGE}jobs/{{id}}/{{name}}")
    def file(id: Id, name: Name) -> FileResponse:
        mask = name == MASK or name.startswith(PLACE)
        path = jobs.mask(id, name) if mask else jobs.file(id, name)
        if path is None:
            raise NotReady("the job has no mask", "one that was submitted with a mask")
        headers = {"Content-Security-Policy": REPORT_POLICY} if name == "report" else {}
        headers["Cache-Control"] = "private, max-age=3600"
        return FileResponse(path, headers=headers, media_type="application/octet-stream" if mask else None)

    return router


class Doors:
    """ASGI middleware: of the page's paths only those that it needs, and no request that makes the server fetch."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        if scope["type"] != "http" or not scope["path"].startswith(PAGE):
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(PAGE)
        if not _NEEDED.fullmatch(path):
            return await problem(404, "UsageError", "no such page", PAGE)(scope, receive, send)

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Content-Security-Policy", _POLICY)
            await send(message)

        if path.rstrip("/") != "gradio_api/queue/join":
            return await self.app(scope, receive, with_policy)
        body = await _body(receive)
        if body is None or _fetches(body):
            refusal = problem(422, "UsageError", "a request from elsewhere", "one of the page")
            return await refusal(scope, receive, send)
        await self.app(scope, _again(body, receive), with_policy)


async def _body(receive: Receive) -> bytes | None:
    """A whole body; None when it is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > _LONGEST:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def told() -> Message:
        return messages.pop() if messages else await receive()

    return told


def _fetches(body: bytes) -> bool:
    """Whether an entry names an address where gradio expects a file that was uploaded: it would fetch that."""
    try:
        entries = list(_entries(json.loads(body)))
    except (ValueError, RecursionError):
        return True
    return any(isinstance(p := entry.get("path"), str) and "://" in p for entry in entries)


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
    for one in inside:
        yield from _entries(one)
