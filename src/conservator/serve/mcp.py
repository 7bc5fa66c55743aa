"""The same calls as MCP tools: pictures come as base64 or as earlier results, and go out as content and resources."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from conservator import __version__
from conservator.errors import ConservatorError, InputError
from conservator.report.phrases import found, phrase
from conservator.serve.answers import DiagnosisFound, Facts, ToolCard
from conservator.serve.follow import follow
from conservator.serve.jobs import Job, Jobs, State
from conservator.serve.orders import MEDIA_TYPES, Order, RestoreOptions, TreatOptions
from conservator.serve.refusals import NoSuchJob, Stopping, failure

_SCHEME = "conservator://jobs/"

_INSTRUCTIONS = (
    "Conservator restores photographs region by region. `diagnose` says what is wrong and where; `restore` treats all "
    "of it, `treat` applies one of the tools that `list_tools` names. Results stay as resources for a while."
)

Photo = Annotated[
    str, Field(description=f"Base64 of a picture file, or the URI of an earlier result ({_SCHEME}ID/result.png).")
]
Mask = Annotated[
    str,
    Field("", description="Like it, a picture of the photograph's size: white is treated, black is left to the byte."),
]
Restoring = Annotated[RestoreOptions, Field(default_factory=RestoreOptions)]
Treating = Annotated[TreatOptions, Field(default_factory=TreatOptions)]
Ask = Context[Any, Any]


class Treated(Facts):
    """What a treatment made, and where it is."""

    job: str = Field(description="For get_record.")
    result: str = Field(description="URI of the picture.")
    record: str = Field(description="URI of everything that was done.")


class ToolCards(BaseModel):
    """Tools."""

    tools: list[ToolCard]


class Tools:
    """What MCP clients can call."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def diagnose(self, photo: Photo, ask: Ask) -> Annotated[CallToolResult, DiagnosisFound]:
        """Say what is wrong with a photograph, where and how badly. Nothing is changed, and nothing of it is kept."""
        job = await self._begun(Order.diagnose(preview=True), photo, "")
        try:
            job = await self._done(job, ask)
            data = json.loads(self._jobs.file(job.id, "diagnosis").read_bytes())
            says = f"Found: {found(data['degradations'])}. The picture shows the regions."
            return CallToolResult(content=[_text(says), self._preview(job)], structured_content=data)
        finally:
            self._delete(job)

    async def restore(
        self, photo: Photo, mask: Mask, options: Restoring, ask: Ask
    ) -> Annotated[CallToolResult, Treated]:
        """Restore a photograph: find what is wrong and where, treat only that, keep a record."""
        with _told():
            order = Order.restore(options, preview=True)
        return self._treated(await self._done(await self._begun(order, photo, mask), ask))

    async def treat(
        self, photo: Photo, tool: str, mask: Mask, options: Treating, ask: Ask
    ) -> Annotated[CallToolResult, Treated]:
        """Apply one tool (see list_tools) to a photograph, where its damage is found and as strongly as found."""
        with _told():
            order = Order.treat(tool, options, preview=True)
        return self._treated(await self._done(await self._begun(order, photo, mask), ask))

    def list_tools(self, treating: Annotated[list[str], Field(default_factory=list)]) -> ToolCards:
        """The tools that treat damage: all, or those for at least one of the given kinds, such as "noise"."""
        from conservator.tools.added import available

        with _told():
            known = available()
            chosen = known.treating(treating) if treating else known
        return ToolCards(tools=[ToolCard.of(tool) for tool in chosen])

    def get_record(self, job: str) -> CallToolResult:
        """Everything that was done in a treatment, complete enough to do it again."""
        with _told():
            text = self._jobs.file(job, "record").read_text("utf-8")
        return CallToolResult(content=[_text(text)], structured_content=json.loads(text))

    def read(self, job: str, name: str) -> bytes:
        """What a job made, as a resource."""
        try:
            return self._jobs.file(job, name).read_bytes()
        except ConservatorError as error:
            raise ResourceNotFoundError(str(error)) from error

    async def _begun(self, order: Order, photo: str, mask: str) -> Job:
        with _told():
            return await anyio.to_thread.run_sync(self._submit, order, photo, mask)

    async def _done(self, job: Job, ask: Ask) -> Job:
        """Tell the client how a job goes until it is done; a client that goes away stops it."""
        try:
            await self._report(job.id, ask)
        except BaseException:
            self._delete(job)
            raise
        with _told():
            return _checked(self._jobs.get(job.id))

    def _delete(self, job: Job) -> None:
        with suppress(NoSuchJob):
            self._jobs.delete(job.id)

    def _submit(self, order: Order, photo: str, mask: str) -> Job:
        drawn = self._bytes(mask, "mask") if mask else None
        return self._jobs.submit(order, self._bytes(photo, "photo"), drawn)[0]

    async def _report(self, id: str, ask: Ask) -> None:
        count = 0
        async for _, event in follow(self._jobs, id):
            count += 1
            says = f"{event['tool']}: {event['done']} of {event['total']} tiles" if "total" in event else None
            await ask.report_progress(count, message=says or (phrase(event) if event else None) or event.get("type"))

    def _bytes(self, given: str, what: str) -> bytes:
        if given.startswith(_SCHEME):
            id, _, name = given.removeprefix(_SCHEME).partition("/")
            if not name.startswith("result."):
                raise NoSuchJob(f"{what} {given[:80]!r}", f"{_SCHEME}ID/result.png", "use the URI that restore gave")
            return self._jobs.file(id, "result").read_bytes()
        try:
            return base64.b64decode(given.partition(",")[2] if given.startswith("data:") else given, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"{what}: {error}", "base64 or a result's URI", "encode the file's bytes") from error

    def _treated(self, job: Job) -> CallToolResult:
        facts = job.facts or {}
        kind, home = facts["container"], f"{_SCHEME}{job.id}"
        result, record = f"{home}/result.{kind}", f"{home}/record.json"
        took = ", ".join(step["tool"] for step in facts["steps"]) or "nothing, the photograph is unchanged"
        content: list[ContentBlock] = [
            _text(f"Found: {found(facts['found'])}. Applied: {took}. Left: {found(facts['left'])}."),
            self._preview(job),
            ResourceLink(uri=result, name=f"result.{kind}", mime_type=MEDIA_TYPES[kind], size=facts["bytes"]),
            ResourceLink(uri=record, name="record.json", mime_type="application/json"),
        ]
        data = facts | {"job": job.id, "result": result, "record": record}
        return CallToolResult(content=content, structured_content=data)

    def _preview(self, job: Job) -> ImageContent:
        data = self._jobs.file(job.id, "preview").read_bytes()
        return ImageContent(data=base64.b64encode(data).decode(), mime_type="image/jpeg")


def server(jobs: Jobs) -> MCPServer[Any]:
    """An MCP server over these jobs, for any transport."""
    tools = Tools(jobs)
    mcp: MCPServer[Any] = MCPServer(
        "conservator", title="Conservator", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING"
    )
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    makes = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    for look in (tools.diagnose, tools.list_tools, tools.get_record):
        mcp.add_tool(look, annotations=reads)
    for work in (tools.restore, tools.treat):
        mcp.add_tool(work, annotations=makes)
    for kind, media_type in MEDIA_TYPES.items():
        _resource(mcp, tools, "result", kind, media_type, "A treated picture.")
    _resource(mcp, tools, "record", "json", "application/json", "Everything that was done.")
    _resource(mcp, tools, "report", "html", "text/html", "A page about a treatment, if one was asked for.")
    return mcp


def _resource(mcp: MCPServer[Any], tools: Tools, name: str, suffix: str, media_type: str, says: str) -> None:
    uri = f"{_SCHEME}{{job}}/{name}.{suffix}"

    @mcp.resource(uri, name=f"{name}.{suffix}", description=says, mime_type=media_type)
    def read(job: str) -> bytes | str:
        data = tools.read(job, name)
        return data if media_type.startswith("image/") else data.decode()


def _checked(job: Job) -> Job:
    """A job that is done; raises what kept it from that."""
    if job.error is not None:
        raise failure(job.error)
    if job.state is not State.DONE:
        fix = f"ask for the record of {job.id} later, or call again"
        raise Stopping(f"the job is {job.state}, and the server may be about to end", "a job that is done", fix)
    return job


@contextmanager
def _told() -> Iterator[None]:
    """Errors raised on purpose are for the model to read."""
    try:
        yield
    except ConservatorError as error:
        raise ToolError(str(error)) from error


def _text(says: str) -> TextContent:
    return TextContent(text=says)
