"""Broken bodies: whatever arrives is answered, and the server lives on.

CONSERVATOR_EXAMPLES=100000 python -m pytest tests/test_serve_fuzz.py     looks for longer
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conservator.benchmarks.loopback import Loopback
from serving import alive, png, workers

EXAMPLES = int(os.environ.get("CONSERVATOR_EXAMPLES", "150"))
BOUNDARY = "----boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(**fields: str) -> bytes:
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + png(24, 24) + f"\r\n--{BOUNDARY}--\r\n".encode()


def call(method: str, **parameters: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()


BODIES = {
    ("/v1/jobs", FORM): form(strength="0.5", instruction="keep the grain", settings="{}", prefer="joint"),
    ("/v1/diagnose", FORM): form(),
    ("/mcp", "application/json"): call("tools/call", name="list_tools", arguments={"treating": ["noise"]}),
}


def broken(body: bytes, chance: random.Random) -> bytes:
    """A body with a few accidents: bytes changed, pieces lost, doubled or put in."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.choice((0, 1, 2, 8, 64)))
        odd = bytes([chance.randrange(256)])
        piece = chance.choice((b"", odd, body[start:end] * 2, b"\r\n", b"\0", b'"', b"%", b"\xff"))
        body = body[:start] + piece + body[end:]
    return body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    # Without a place in the queue, what is whole by chance is turned away like the rest.
    with Loopback(tmp_path_factory.mktemp("data"), "--max-queue", 0, "--max-megabytes", 1) as running:
        yield running


@pytest.mark.parametrize("place", BODIES, ids=lambda place: place[0])
def test_broken_bodies_are_refused_and_break_nothing(server: Loopback, place: tuple[str, str]) -> None:
    path, kind = place
    chance = random.Random(0)
    headers = {"Content-Type": kind, "Accept": "application/json, text/event-stream"}
    before = workers(server.process.pid)
    with httpx2.Client(base_url=server.url, headers=headers, timeout=120.0) as client:
        for _ in range(EXAMPLES):
            body = broken(BODIES[place], chance)
            answer = client.post(path, content=body)
            assert 400 <= answer.status_code < 500 or path == "/mcp", (answer.status_code, body)
            assert answer.status_code < 500, body
        assert client.get("/health").json()["status"] == "ok"
    assert alive(server.process.pid) and workers(server.process.pid) == before
    assert not [line for line in server.log if line["level"] in ("error", "critical")]


def test_nothing_of_it_is_left_behind(server: Loopback) -> None:
    folder = Path(str(server.process.args[server.process.args.index("--data-dir") + 1]))
    assert list((folder / "jobs").iterdir()) == []
