"""The HTTP API: jobs submitted, watched, fetched, cancelled and deleted; no path and no address goes in or out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Path, Query, Request, Response, Security, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import Field

from conservator import __version__
from conservator.degradations import NAMES
from conservator.serve import problems
from conservator.serve.answers import DiagnosisFound, Health, JobState, ToolCard
from conservator.serve.follow import follow
from conservator.serve.forms import JobForm, PhotoForm, Wanted, arrived, read
from conservator.serve.jobs import ENDED, Job, Jobs
from conservator.serve.metrics import MEDIA_TYPE, Metrics
from conservator.serve.openapi import Described
from conservator.serve.orders import MEDIA_TYPES, Order
from conservator.serve.problems import responses
from conservator.serve.refusals import Stopping, failure

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As `POST /v1/jobs` gave it.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[!-~]+$",
        description="Sending the same request again with the same key gives the same job.",
    ),
]  # fmt: skip
After = Annotated[
    int, Header(alias="Last-Event-ID", ge=0, le=2**53, description="Events up to this one are left out.")
]

Kind = Annotated[str, Field(json_schema_extra={"enum": list(NAMES)})]

_BYTES = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'"
)


def application(jobs: Jobs, metrics: Metrics, *, secured: bool = False) -> Described:
    """The API over these jobs; what guards it stands in `server.py`.

    secured   whether clients need a token: they are told so
    """
    app = Described(
        title="Conservator", version=__version__, docs_url=None, redoc_url=None,
        description="Restores photographs region by region: finds what is wrong and where, treats only that.",
    )  # fmt: skip
    problems.install(app)
    # Only declared here: the guard checks the token before anything is read.
    token = [Security(HTTPBearer(auto_error=False))] if secured else []
    desk = _Desk(jobs)
    for router in (_jobs(jobs, desk), _looking(jobs, desk), _counting(jobs, metrics)):
        app.include_router(router, dependencies=token)
    app.include_router(_health(jobs))
    return app


class _Desk:
    """Takes uploads in, a few at a time: until then they are files, and afterwards they are files again."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._turn = jobs, BoundedSemaphore(4)

    def submit(
        self, order: Order, photo: UploadFile, mask: UploadFile | None = None, key: str | None = None
    ) -> tuple[Job, bool]:
        with self._turn:
            return self._jobs.submit(order, read(photo) or b"", read(mask), key=key)


def _jobs(jobs: Jobs, desk: _Desk) -> APIRouter:
    router = APIRouter()

    def shown(id: str) -> JobState:
        return JobState.of(jobs.get(id), jobs.progress(id))

    def accepted(job: Job, new: bool) -> Response:
        headers = {"Location": f"/v1/jobs/{job.id}"}
        return JSONResponse(shown(job.id).model_dump(mode="json"), 202 if new else 200, headers)

    refused = responses(409, 413, 415, 429, 503, 507)

    @router.post("/v1/jobs", status_code=202, response_model=JobState, responses={200: {"model": JobState}, **refused})
    def submit(form: Annotated[JobForm, Form(media_type="multipart/form-data")], key: Key = None) -> Response:
        """Submit a photograph; 202 with the new job, or 200 with the one that this idempotency key stands for."""
        return accepted(*desk.submit(form.order(), form.photo, form.mask, key))

    @router.post(
        "/v1/photos", status_code=202, response_model=JobState, openapi_extra={"requestBody": _BYTES},
        responses={200: {"model": JobState}, **refused},
    )  # fmt: skip
    async def send(wanted: Annotated[Wanted, Query()], request: Request, key: Key = None) -> Response:
        """The same with the photograph's bytes alone as the body, whatever type they are said to be."""
        order = await run_in_threadpool(wanted.order)
        async with arrived(request.stream()) as photo:
            return accepted(*await run_in_threadpool(desk.submit, order, photo, None, key))

    @router.get("/v1/jobs/{id}", responses=responses(404))
    def state(id: Id) -> JobState:
        """A job as it is now."""
        return shown(id)

    @router.get("/v1/jobs/{id}/events", response_class=StreamingResponse, responses=_stream(404))
    def events(id: Id, last: After = 0) -> StreamingResponse:
        """Everything that happens to a job, as server-sent events, until it has ended."""
        jobs.get(id)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(_sent(jobs, id, last), media_type="text/event-stream", headers=headers)

    @router.get("/v1/jobs/{id}/result", response_class=FileResponse, responses=_files(*MEDIA_TYPES.values()))
    def result(id: Id) -> FileResponse:
        """The treated picture."""
        path = jobs.file(id, "result")
        name = f"restored.{path.suffix[1:]}"
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix[1:]], filename=name)

    @router.get("/v1/jobs/{id}/record", response_class=FileResponse, responses=_files("application/json"))
    def record(id: Id) -> FileResponse:
        """Everything that was done; `conservator replay` carries it out again."""
        return FileResponse(jobs.file(id, "record"), media_type="application/json")

    @router.get("/v1/jobs/{id}/report", response_class=FileResponse, responses=_files("text/html"))
    def report(id: Id) -> FileResponse:
        """A page about the treatment with the pictures inside, for jobs submitted with `report=true`."""
        headers = {"Content-Security-Policy": REPORT_POLICY}
        return FileResponse(jobs.file(id, "report"), media_type="text/html; charset=utf-8", headers=headers)

    @router.post("/v1/jobs/{id}/cancel", responses=responses(404))
    def cancel(id: Id) -> JobState:
        """Stop a job at once; of no effect on one that has ended."""
        jobs.cancel(id)
        return shown(id)

    @router.delete("/v1/jobs/{id}", status_code=204, responses=responses(404))
    def delete(id: Id) -> None:
        """Stop a job and remove the photograph, the result and all else about it."""
        jobs.delete(id)

    return router


def _looking(jobs: Jobs, desk: _Desk) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/diagnose", responses=responses(413, 415, 429, 503, 507))
    async def diagnose(
        form: Annotated[PhotoForm, Form(media_type="multipart/form-data")], request: Request
    ) -> DiagnosisFound:
        """What is wrong with a photograph and where; nothing of it is kept."""
        job, _ = await run_in_threadpool(desk.submit, Order.diagnose(), form.photo)
        try:
            return await _diagnosis(jobs, job.id, request)
        finally:
            await run_in_threadpool(jobs.delete, job.id)

    @router.get("/v1/tools", responses=responses())
    def tools(
        treating: Annotated[list[Kind], Query(max_length=32, description="Kinds of damage.")] = [],  # noqa: B006
    ) -> list[ToolCard]:
        """The tools, or those that treat at least one of the given kinds of damage."""
        from conservator.tools.added import available

        known = available()
        return [ToolCard.of(tool) for tool in (known.treating(treating) if treating else known)]

    return router


def _health(jobs: Jobs) -> APIRouter:
    router = APIRouter()

    @router.get("/health", responses=responses(503))
    def health() -> Health:
        """Whether the server takes jobs; needs no token."""
        if jobs.stopping:
            raise Stopping("the server is about to end", "a running server", "try again in a moment")
        return Health(status="ok", version=__version__)

    return router


def _counting(jobs: Jobs, metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **responses()})
    def numbers() -> Response:
        """For Prometheus."""
        return Response(metrics.text(jobs), media_type=MEDIA_TYPE)

    return router


async def _diagnosis(jobs: Jobs, id: str, request: Request) -> DiagnosisFound:
    async for _ in follow(jobs, id, pause=1.0):
        if await request.is_disconnected():
            break
    job = await run_in_threadpool(jobs.get, id)
    if job.error is not None:
        raise failure(job.error)
    if job.state not in ENDED:
        raise Stopping("the server is about to end", "a running server", "try again in a moment")
    data = await run_in_threadpool(jobs.file(id, "diagnosis").read_bytes)
    return DiagnosisFound.model_validate_json(data)


async def _sent(jobs: Jobs, id: str, last: int) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for number, event in follow(jobs, id, last):
        if not event:
            yield ": still there\n\n"
            continue
        numbered = f"id: {number}\n" if number is not None else ""
        yield f"{numbered}event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


def _files(*media_types: str) -> dict[int | str, dict[str, Any]]:
    json_object, other = {"type": "object"}, {"type": "string", "format": "binary"}
    content = {kind: {"schema": json_object if kind.endswith("json") else other} for kind in media_types}
    return {200: {"description": "The file", "content": content}, **responses(404, 409)}


def _stream(*statuses: int) -> dict[int | str, dict[str, Any]]:
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "object"}}
    names = {"id": {"type": "string"}, "event": {"type": "string"}, "data": data}
    content = {"text/event-stream": {"itemSchema": {"type": "object", "properties": names}}}
    return {200: {"description": "The events", "content": content}, **responses(*statuses)}
