"""The server killed without a warning, and asked to end: nothing lost, nothing done twice."""

from __future__ import annotations

from pathlib import Path

import httpx2

from conservator.benchmarks.loopback import Loopback
from serving import alive, png, slow, until, workers


def state(client: httpx2.Client, id: str) -> str:
    return str(client.get(f"/v1/jobs/{id}").json()["state"])


def submit(client: httpx2.Client, photo: bytes, key: str) -> str:
    answer = client.post("/v1/jobs", files={"photo": photo}, headers={"Idempotency-Key": key})
    return str(answer.json()["id"])


def kinds(client: httpx2.Client, id: str) -> list[str]:
    text = client.get(f"/v1/jobs/{id}/events").text
    return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]


def test_after_kill_9_the_next_server_does_every_job_exactly_once(tmp_path: Path) -> None:
    with Loopback(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        done = submit(client, png(seed=1), "done")
        until(lambda: state(client, done) == "done", "the end of the first job")
        result = client.get(f"/v1/jobs/{done}/result").content
        photo = slow()
        half = submit(client, photo, "half")
        waiting = [submit(client, png(seed=seed), f"waiting-{seed}") for seed in (2, 3)]
        until(lambda: state(client, half) == "running", "the beginning of the slow job")
        orphans = workers(server.process.pid)
        server.kill()
    until(lambda: not any(alive(pid) for pid in orphans), "the end of the workers")
    left = [file for file in (tmp_path / "jobs" / half).rglob("*") if file.name.startswith(".")]
    assert left == []
    with Loopback(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        assert submit(client, photo, "half") == half  # a client that asks again gets the job it has
        client.post(f"/v1/jobs/{half}/cancel")  # it would take long, and has shown that it is there
        for id in waiting:
            until(lambda id=id: state(client, id) == "done", "the end of a job that waited")  # type: ignore[misc]
            assert kinds(client, id).count("done") == 1
        assert client.get(f"/v1/jobs/{done}/result").content == result
        told = client.get(f"/v1/jobs/{half}/events").text
        assert "the server was killed" in told and kinds(client, half)[-1] == "cancelled"


def test_asked_to_end_the_server_finishes_what_it_can_and_keeps_the_rest(tmp_path: Path) -> None:
    with Loopback(tmp_path, "--grace", 60) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        first = submit(client, png(height=300, width=400), "first")
        second = submit(client, png(seed=1), "second")
        until(lambda: state(client, first) == "running", "the beginning")
        assert server.terminate() == 0
    assert server.log[-1] == server.log[-1] | {"event": "ended", "done": 1, "queued": 1, "running": 0}
    with Loopback(tmp_path, "--grace", 0) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        assert state(client, first) == "done"
        until(lambda: state(client, second) == "done", "the end of the one that waited")
        third = submit(client, slow(), "third")
        until(lambda: state(client, third) == "running", "the beginning")
        with client.stream("GET", f"/v1/jobs/{third}/events") as following:
            lines = following.iter_lines()
            next(lines)
            assert server.terminate() == 0
            assert not any("event: done" in line for line in lines)  # the stream ends, and the server with it
    assert server.log[-1] == server.log[-1] | {"event": "ended", "done": 2, "queued": 1}
