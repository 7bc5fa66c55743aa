"""Who is let in, and how: token, host, origin, long and slow bodies."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.datastructures import Headers
from typer.testing import CliRunner

from conservator.benchmarks.loopback import Loopback
from conservator.cli import app
from conservator.serve.guard import Access
from serving import png, until

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    folder = tmp_path_factory.mktemp("data")
    (folder / "token").write_text(f"{TOKEN}\n")
    options = ("--token-file", folder / "token", "--max-megabytes", 0.1)
    with Loopback(folder / "jobs", *options) as running:
        yield running


def get(server: Loopback, path: str, **headers: str | bytes) -> httpx2.Response:
    return httpx2.get(f"{server.url}{path}", headers=headers, timeout=60)  # type: ignore[arg-type]


def test_only_the_token_opens_the_door(server: Loopback) -> None:
    assert get(server, "/v1/tools", Authorization=f"Bearer {TOKEN}").status_code == 200
    for wrong in ("", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Basic Zm9v", b"Bearer \xff"):
        for path in ("/v1/tools", "/metrics", "/openapi.json", "/mcp", f"/v1/jobs/{'0' * 32}", "/nowhere"):
            answer = get(server, path, Authorization=wrong)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert get(server, "/health").status_code == 200


def test_a_body_without_a_token_is_not_even_read(server: Loopback) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 150000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 401"


def test_a_body_that_hides_its_length_is_measured_on_the_way(server: Loopback) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        yield from (b"x" * 100_000 for _ in range(100))

    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "multipart/form-data; boundary=x"}
    for _ in range(3):  # whoever has not sent everything yet hears the answer, too
        answer = httpx2.post(f"{server.url}/v1/jobs", content=endless(), headers=headers, timeout=60)
        assert answer.status_code == 413 and answer.json()["error"] == "TooLarge"
    until(lambda: 413 in [line.get("status") for line in server.log], "the line in the log")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("data"), "--patience", 3) as running:
        yield running


@contextlib.contextmanager
def connected(server: Loopback, count: int) -> Iterator[list[socket.socket]]:
    """Sockets that have sent nothing yet."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        yield [stack.enter_context(socket.create_connection(address, 240)) for _ in range(count)]


def told(line: socket.socket) -> bytes:
    """All that the server says until it ends the connection; waits for it."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := line.recv(65536):
            said += data
    return said


def begun(server: Loopback, body: bytes, length: int = 1000) -> bytes:
    lines = (f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {TOKEN}", f"Content-Length: {length}")
    kind = "Content-Type: multipart/form-data; boundary=x"
    return "\r\n".join(["POST /v1/jobs HTTP/1.1", *lines, kind, "", ""]).encode() + body


def test_silent_connections_starve_nobody_and_do_not_stay(impatient: Loopback) -> None:
    half = f"GET /v1/tools HTTP/1.1\r\nHost: 127.0.0.1:{impatient.port}\r\n".encode()
    with connected(impatient, 450) as silent:
        for line in silent[200:]:
            with contextlib.suppress(ConnectionError):
                line.sendall(half)
        for _ in range(20):
            answer = httpx2.get(f"{impatient.url}/v1/tools", timeout=60)
            assert answer.status_code == 200
        assert not any(told(line) for line in silent)


def test_a_head_and_a_body_that_trickle_are_not_waited_for(impatient: Loopback) -> None:
    with connected(impatient, 2) as (head, body):
        form = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        body.sendall(begun(impatient, form, 10**6))
        head.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        with contextlib.suppress(ConnectionError):
            while not select.select([body], [], [], 0.3)[0]:
                body.sendall(b"x")
                head.sendall(b"x")
        said = told(body)
        assert said.startswith(b"HTTP/1.1 408") and b"TooSlow" in said and b"nosniff" in said
        assert told(head) == b""


def test_who_does_not_read_the_answers_is_left(impatient: Loopback) -> None:
    ask = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{impatient.port}\r\n\r\n".encode()
    length = len(httpx2.get(f"{impatient.url}/openapi.json", timeout=60).content)
    asked = 20_000_000 // length
    with connected(impatient, 1) as (line,):
        line.setblocking(False)
        rest, taken = ask * asked, 0
        with pytest.raises(ConnectionError):  # from a server that went on waiting, no error would come
            while select.select([], [line], [], 240)[1]:
                rest = rest[line.send(rest or ask) :]
        line.setblocking(True)
        with contextlib.suppress(ConnectionResetError):
            while data := line.recv(2**20):
                taken += len(data)
    assert taken < asked * length


def test_too_many_requests_at_a_time_are_refused_as_everything_is(server: Loopback) -> None:
    with connected(server, 200) as busy:
        for line in busy:
            line.sendall(begun(server, b"--x"))
        until(lambda: get(server, "/v1/tools", Authorization=f"Bearer {TOKEN}").status_code == 503, "a full house")
        refused = get(server, "/v1/tools", Authorization=f"Bearer {TOKEN}")
        assert refused.json()["error"] == "Busy" and int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert get(server, "/health").status_code == 200
    until(lambda: get(server, "/v1/tools", Authorization=f"Bearer {TOKEN}").status_code == 200, "room")


def test_what_is_no_http_is_answered_with_the_same_headers(server: Loopback) -> None:
    with connected(server, 1) as (line,):
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        said = told(line)
    assert said.startswith(b"HTTP/1.1 400") and b"nosniff" in said and b"no-store" in said


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": ""}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
    ids=["a name that points here", "no name", "another site's page", "a page of nowhere"],
)
def test_web_pages_cannot_reach_a_server_on_their_readers_machine(server: Loopback, headers: dict[str, str]) -> None:
    for path in ("/health", "/v1/tools", "/mcp"):
        answer = get(server, path, Authorization=f"Bearer {TOKEN}", **headers)
        assert answer.status_code == 403, path


def test_a_server_for_others_answers_to_any_name_but_not_to_other_sites() -> None:
    access = Access(TOKEN, loopback=False)
    known = {"authorization": f"Bearer {TOKEN}", "host": "photos.example"}
    assert access.refusal("/v1/tools", Headers(known)) is None
    assert access.refusal("/v1/tools", Headers(known | {"origin": "https://photos.example"})) is None
    other = access.refusal("/v1/tools", Headers(known | {"origin": "https://evil.example"}))
    assert other is not None and other.status_code == 403


@pytest.mark.parametrize("content", [b"short", "Passwort mit Ümlaut".encode(), b"tab\tand more characters"])
def test_a_token_that_keeps_nobody_out_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    done = CliRunner().invoke(app, ["serve", "--token-file", str(tmp_path / "token"), "--data-dir", str(tmp_path)])
    assert done.exit_code == 2


def test_being_reachable_without_a_token_is_said(tmp_path: Path) -> None:
    with Loopback(tmp_path / "open", "--host", "0.0.0.0") as server:
        assert "no token keeps them out" in server.said[0]
    with Loopback(tmp_path / "closed", "--host", "0.0.0.0", environment={"CONSERVATOR_TOKEN": TOKEN}) as server:
        assert server.said[0].startswith("{")
        url = f"http://127.0.0.1:{server.port}/v1/diagnose"
        assert httpx2.post(url, files={"photo": png()}, timeout=60).status_code == 401


def test_a_taken_port_and_a_taken_folder_are_usage_errors(server: Loopback, tmp_path: Path) -> None:
    folder = server.process.args[server.process.args.index("--data-dir") + 1]  # type: ignore[union-attr,arg-type]
    for port, place, says in ((server.port, tmp_path, "Address already in use"), (0, folder, "no other server")):
        command = [sys.executable, "-m", "conservator", "serve", "--port", str(port), "--data-dir", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and says in done.stderr
