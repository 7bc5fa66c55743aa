"""Broken bodies: whatever arrives is answered, and the server lives on. `conservator bench fuzz` looks for longer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conservator.benchmarks import bodies
from conservator.benchmarks.accidents import scrambled
from conservator.benchmarks.loopback import Loopback
from conservator.errors import ConservatorError
from serving import alive, workers

EXAMPLES = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("data"), *bodies.LIMITS) as running:
        yield running


def test_broken_bodies_are_answered_and_carried_out_or_refused(server: Loopback) -> None:
    sender, ends = bodies.Sender(server.url), {"at work": 0, "refused": 0, "refused at work": 0}
    before = workers(server.process.pid)
    for whole in bodies.whole():
        sender.send(whole)
    for number in range(EXAMPLES):
        request = bodies.broken(random.Random(number))
        try:
            ends["at work"] += sender.send(request)
        except bodies.RefusedAtWork:
            ends["refused at work"] += 1
        except ConservatorError:
            ends["refused"] += 1
    assert all(ends.values()), f"nothing is learned from {ends}"
    assert httpx2.get(f"{server.url}/health", timeout=120).json()["status"] == "ok"
    assert alive(server.process.pid) and workers(server.process.pid) == before
    assert not [line for line in server.log if line["level"] in ("error", "critical")]


@pytest.mark.parametrize("whole", bodies.whole(), ids=lambda one: f"{one.path} {one.headers.get('Mcp-Name', '')}")
def test_broken_bodies_get_a_status_that_blames_them(server: Loopback, whole: bodies.Request) -> None:
    chance = random.Random(0)
    with httpx2.Client(base_url=server.url, headers=dict(whole.headers), timeout=120.0) as client:
        for _ in range(EXAMPLES):
            body = scrambled(whole.body, chance)[:-40]  # never whole by chance: nothing is begun
            answer = client.post(whole.path, content=body)
            assert 400 <= answer.status_code < 500, (answer.status_code, body)


def test_nothing_of_it_is_left_behind(server: Loopback) -> None:
    folder = Path(str(server.process.args[server.process.args.index("--data-dir") + 1]))  # type: ignore[union-attr,arg-type]
    jobs = httpx2.get(f"{server.url}/metrics", timeout=120).text
    kept = sum(int(line.split()[-1]) for line in jobs.splitlines() if line.startswith("conservator_jobs{"))
    assert len(list((folder / "jobs").iterdir())) == kept  # results of MCP's tools stay for a while
