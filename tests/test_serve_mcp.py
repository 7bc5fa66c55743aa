"""MCP with the official client, over both transports: every tool, pictures in and out, progress, resources, errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from PIL import Image

import conservator
from conservator.benchmarks.loopback import Loopback
from conservator.serve.transports import RecentEvents
from serving import alive, png, slow, until, workers

TOKEN = "correct-horse-battery-staple"

Connect = Callable[[], Client]


def coded(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("data"), environment={"CONSERVATOR_TOKEN": TOKEN}) as running:
        yield running


def over_http(server: Loopback, token: str = TOKEN, mode: str = "auto") -> Client:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=300.0)
    return Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode)


def over_stdio() -> Client:
    environment = {"PYTHONPATH": str(Path(conservator.__file__).parents[1]), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "conservator", "mcp"]
    return Client(StdioServerParameters(command=command[0], args=command[1:], env=environment))


@pytest.fixture(params=["streamable http", "streamable http with sessions", "stdio"])
def connect(request: pytest.FixtureRequest, server: Loopback) -> Connect:
    if request.param == "stdio":
        return over_stdio
    mode = "legacy" if "sessions" in request.param else "auto"
    return lambda: over_http(server, mode=mode)


def talk(connect: Connect, with_client: Callable[[Client], Awaitable[None]]) -> None:
    async def conversation() -> None:
        async with connect() as client:
            await with_client(client)

    asyncio.run(asyncio.wait_for(conversation(), 300))


def picture(result: CallToolResult) -> Image.Image:
    (content,) = [block for block in result.content if block.type == "image"]
    return Image.open(io.BytesIO(base64.b64decode(content.data)))


def test_a_client_calls_every_tool(connect: Connect) -> None:
    async def session(client: Client) -> None:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"diagnose", "restore", "treat", "list_tools", "get_record"}

        found = await client.call_tool("diagnose", {"photo": coded(png())})
        assert found.structured_content is not None and "noise" in found.structured_content["degradations"]
        assert picture(found).format == "JPEG"

        told: list[tuple[float, str | None]] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, message))

        options = {"instruction": "remove the noise", "prefer": ["denoise"]}
        restored = await client.call_tool(
            "restore", {"photo": coded(png()), "options": options}, progress_callback=hear
        )
        facts: Any = restored.structured_content
        assert not restored.is_error and [step["tool"] for step in facts["steps"]] == ["denoise"]
        assert picture(restored).size == (104, 72)
        assert [step for step, _ in told] == sorted({step for step, _ in told}) and told
        assert any(message and message.startswith("found: noise") for _, message in told)

        (result,) = (await client.read_resource(facts["result"])).contents
        assert result.mime_type == "image/png"
        treated = Image.open(io.BytesIO(base64.b64decode(result.blob)))  # type: ignore[union-attr]
        assert (treated.format, treated.size) == ("PNG", (104, 72))

        record: Any = (await client.call_tool("get_record", {"job": facts["job"]})).structured_content
        assert record["call"]["instruction"] == "remove the noise"
        (same,) = (await client.read_resource(facts["record"])).contents
        assert json.loads(same.text) == record  # type: ignore[union-attr]

        again = await client.call_tool(
            "treat", {"photo": facts["result"], "tool": "joint", "options": {"container": "webp"}}
        )
        chained: Any = again.structured_content
        assert chained["container"] == "webp" and chained["result"].endswith("/result.webp")

        cards: Any = (await client.call_tool("list_tools", {"treating": ["noise"]})).structured_content
        assert "joint" in [card["name"] for card in cards["tools"]]

    talk(connect, session)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("restore", {"photo": "no base64!"}, "base64"),
        ("restore", {"photo": "/etc/passwd"}, "base64"),
        ("restore", {"photo": coded(b"GIF89a")}, "a GIF file"),
        ("restore", {"photo": coded(png()[:-200])}, "wanted"),
        ("restore", {"photo": coded(png()), "options": {"policy": "luck"}}, "luck"),
        ("treat", {"photo": coded(png()), "tool": "joinz"}, "did you mean joint"),
        ("diagnose", {"photo": f"conservator://jobs/{'0' * 32}/result.png"}, "no job has this id"),
        ("diagnose", {"photo": "conservator://jobs/../../etc/passwd"}, "result.png"),
        ("get_record", {"job": "0" * 32}, "no job has this id"),
        ("list_tools", {"treating": ["boredom"]}, "boredom"),
    ],
)
def test_errors_tell_the_model_what_to_do(
    server: Loopback, tool: str, arguments: dict[str, object], says: str
) -> None:
    async def session(client: Client) -> None:
        answer = await client.call_tool(tool, arguments)
        assert answer.is_error
        assert says in " ".join(block.text for block in answer.content if block.type == "text")

    talk(lambda: over_http(server), session)


def test_a_look_that_fails_keeps_nothing_either(tmp_path: Path) -> None:
    async def session(client: Client) -> None:
        assert (await client.call_tool("diagnose", {"photo": coded(png()[:-200])})).is_error

    with Loopback(tmp_path, environment={"CONSERVATOR_TOKEN": TOKEN}) as server:
        talk(lambda: over_http(server), session)
        assert not list((tmp_path / "jobs").iterdir())


def test_a_resource_that_does_not_exist_is_an_error(server: Loopback) -> None:
    async def session(client: Client) -> None:
        templates = (await client.list_resource_templates()).resource_templates
        assert "conservator://jobs/{job}/result.png" in {template.uri_template for template in templates}
        with pytest.raises(MCPError):
            await client.read_resource(f"conservator://jobs/{'0' * 32}/result.png")

    talk(lambda: over_http(server), session)


def test_a_client_that_goes_away_stops_its_job(server: Loopback) -> None:
    (worker,) = workers(server.process.pid)

    async def session(client: Client) -> None:
        begun = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            if message and message.startswith("opened"):
                begun.set()

        call = asyncio.create_task(client.call_tool("restore", {"photo": coded(slow())}, progress_callback=hear))
        await asyncio.wait_for(begun.wait(), 200)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(until, lambda: not alive(worker), "the end of the worker")

    talk(lambda: over_http(server), session)


def test_without_the_token_nobody_talks(server: Loopback) -> None:
    async def session(client: Client) -> None:
        raise AssertionError("let in")

    with pytest.raises(BaseException) as refused:
        talk(lambda: over_http(server, token="guess"), session)
    assert "let in" not in repr(refused.value)


def message(method: str, **more: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method} | more


def events(answer: httpx2.Response) -> Iterator[tuple[str, str]]:
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            id = value
        elif name == "data":
            yield id, value


@contextlib.contextmanager
def session_of(server: Loopback) -> Iterator[httpx2.Client]:
    """A session as it is on the wire, whose next request has the id 2."""
    headers = {
        "Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
    }  # fmt: skip
    with httpx2.Client(base_url=server.url, headers=headers, timeout=120.0) as client:
        who = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        opened = client.post("/mcp", json=message("initialize", id=1, params=who))
        client.headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
        client.post("/mcp", json=message("notifications/initialized"))
        yield client


def called(client: httpx2.Client, **arguments: object) -> list[tuple[str, str]]:
    """Events of the call of `list_tools` with the id 2."""
    call = message("tools/call", id=2, params={"name": "list_tools", "arguments": arguments})
    with client.stream("POST", "/mcp", json=call) as answer:
        return list(events(answer))


def missed(client: httpx2.Client, last: str) -> list[str]:
    """What a client is sent that takes up its session behind an event, up to the answer."""
    told = []
    with client.stream("GET", "/mcp", headers={"Last-Event-ID": last}) as again:
        for _, data in events(again):
            told.append(data)
            if '"result"' in data:
                break
    return told


def test_a_session_goes_on_where_its_connection_broke(server: Loopback) -> None:
    with session_of(server) as client:
        first, *_, (_, result) = called(client)
        assert "joint" in result and result in missed(client, first[0])


def test_sessions_with_the_same_request_ids_do_not_hear_each_other(server: Loopback) -> None:
    with session_of(server) as one, session_of(server) as other:
        mine, theirs = called(one, treating=["noise"]), called(other, treating=["rain"])
        assert mine[-1][1] != theirs[-1][1]
        assert missed(other, theirs[0][0])[-1] == theirs[-1][1]
        with one.stream("GET", "/mcp", headers={"Last-Event-ID": mine[0][0]}, timeout=5.0) as again:
            told = []
            with contextlib.suppress(httpx2.ReadTimeout):  # the stream stays open
                told.extend(data for _, data in events(again))
        assert mine[-1][1] in told and theirs[-1][1] not in told
        with other.stream("GET", "/mcp", headers={"Last-Event-ID": mine[0][0]}) as again:
            assert not list(events(again))


class Relay:
    """Stands between a client and the server, and cuts every connection when told to."""

    def __init__(self, port: int) -> None:
        self._there, self._open, self._carrying = port, set[asyncio.StreamWriter](), set[Any]()
        self.cuts = 0

    async def __aenter__(self) -> Relay:
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        self.cut()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def cut(self) -> None:
        self.cuts += 1
        for end in self._open:
            end.transport.abort()

    async def _carry(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._carrying.add(asyncio.current_task())
        there, on = await asyncio.open_connection("127.0.0.1", self._there)
        self._open |= {back, on}
        await asyncio.gather(self._pour(here, on), self._pour(there, back))

    async def _pour(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()


def test_the_official_client_takes_its_call_up_where_the_connection_broke(server: Loopback) -> None:
    steps: list[float] = []
    asked: list[str] = []

    async def note(request: httpx2.Request) -> None:
        asked.extend([request.method] if "last-event-id" in request.headers else [])

    async def conversation() -> CallToolResult:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            Relay(server.port) as relay,
            httpx2.AsyncClient(headers=headers, timeout=300.0, event_hooks={"request": [note]}) as http,
            Client(streamable_http_client(relay.url, http_client=http), mode="legacy") as client,
        ):

            async def hear(step: float, total: float | None, message: str | None) -> None:
                steps.append(step)
                if message and message.startswith("opened"):
                    relay.cut()

            answer = await client.call_tool("restore", {"photo": coded(png(seed=4))}, progress_callback=hear)
            assert relay.cuts == 1
            return answer

    before = done(server)
    answer = asyncio.run(asyncio.wait_for(conversation(), 300))
    assert not answer.is_error and picture(answer).size == (104, 72)
    assert "GET" in asked and steps == [float(step) for step in range(1, len(steps) + 1)]  # none lost, none twice
    assert done(server) == before + 1


def done(server: Loopback) -> int:
    """Jobs that the server has finished."""
    told = httpx2.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60).text
    return int(float(next(line for line in told.splitlines() if 'state="done"' in line).split()[-1]))


def test_missed_messages_are_sent_again_within_bounds() -> None:
    from mcp.server.streamable_http import EventMessage
    from mcp_types import JSONRPCNotification

    async def exchange() -> None:
        kept = RecentEvents(most=1500)
        note = JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"text": "x" * 50})
        ids = [await kept.store_event(stream, note) for stream in ("a", "b", "a", "a")]
        sent: list[EventMessage] = []

        async def send(message: EventMessage) -> None:
            sent.append(message)

        assert await kept.replay_events_after(ids[0], send) == "a"
        assert [message.event_id for message in sent] == ids[2:]
        assert await kept.replay_events_after("a guess", send) is None
        for _ in range(10):
            await kept.store_event("a", note)
        assert await kept.replay_events_after(ids[0], send) is None

    asyncio.run(exchange())
