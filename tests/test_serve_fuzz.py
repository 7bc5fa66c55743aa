"""Broken bodies: whatever arrives is answered, and the server lives on. `conservator bench fuzz` looks for longer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conservator.benchmarks.broken import Request, requests, scrambled
from conservator.benchmarks.loopback import Loopback
from serving import alive, workers

EXAMPLES = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    # Without a place in the queue, what is whole by chance is turned away like the rest.
    with Loopback(tmp_path_factory.mktemp("data"), "--max-queue", 0, "--max-megabytes", 1) as running:
        yield running


@pytest.mark.parametrize("whole", requests(), ids=lambda whole: f"{whole.path} {whole.headers.get('Mcp-Name', '')}")
def test_broken_bodies_are_refused_and_break_nothing(server: Loopback, whole: Request) -> None:
    chance = random.Random(0)
    before = workers(server.process.pid)
    with httpx2.Client(base_url=server.url, headers=dict(whole.headers), timeout=120.0) as client:
        expected = 429 if whole.path != "/mcp" else 200
        assert client.post(whole.path, content=whole.body).status_code == expected, "whole, it passes every check"
        for _ in range(EXAMPLES):
            body = scrambled(whole.body, chance)
            answer = client.post(whole.path, content=body)
            assert answer.status_code == expected or 400 <= answer.status_code < 500, (answer.status_code, body)
        assert client.get("/health").json()["status"] == "ok"
    assert alive(server.process.pid) and workers(server.process.pid) == before
    assert not [line for line in server.log if line["level"] in ("error", "critical")]


def test_nothing_of_it_is_left_behind(server: Loopback) -> None:
    folder = Path(str(server.process.args[server.process.args.index("--data-dir") + 1]))  # type: ignore[union-attr,arg-type]
    assert list((folder / "jobs").iterdir()) == []
