"""The server killed without a warning, and asked to end: nothing lost, nothing done twice."""

from __future__ import annotations

from pathlib import Path

import httpx2

import conservator
from conservator.benchmarks.loopback import Loopback
from conservator.photo import encode
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
    photos = {"done": png(seed=1), "half": png(300, 400), "waiting 2": png(seed=2), "waiting 3": png(seed=3)}
    with Loopback(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        ids = {"done": submit(client, photos["done"], "done")}
        until(lambda: state(client, ids["done"]) == "done", "the end of the first job")
        result = client.get(f"/v1/jobs/{ids['done']}/result").content
        ids |= {key: submit(client, photo, key.replace(" ", "-")) for key, photo in photos.items() if key not in ids}
        with client.stream("GET", f"/v1/jobs/{ids['half']}/events") as following:
            next(line for line in following.iter_lines() if line == "event: opened")  # in the middle of the work
        orphans = workers(server.process.pid)
        server.kill()
    until(lambda: not any(alive(pid) for pid in orphans), "the end of the workers")
    left = [file for file in (tmp_path / "jobs" / ids["half"]).rglob("*") if file.name.startswith(".")]
    assert left == []
    with Loopback(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=120.0) as client:
        assert submit(client, photos["half"], "half") == ids["half"]  # a client that asks again gets the job it has
        for key, id in ids.items():
            until(lambda id=id: state(client, id) not in ("queued", "running"), f"the end of {key}")  # type: ignore[misc]
            told = kinds(client, id)
            assert told.count("done") == 1 and told[-1] == "done", told
            attempts = 2 if key == "half" else 1
            assert told.count("running") == attempts == client.get(f"/v1/jobs/{id}").json()["attempt"]
        assert "the server was killed" in client.get(f"/v1/jobs/{ids['half']}/events").text
        assert client.get(f"/v1/jobs/{ids['done']}/result").content == result
        for key in ids.keys() - {"done"}:
            wanted = encode(conservator.restore(photos[key]).photo, "png")
            assert client.get(f"/v1/jobs/{ids[key]}/result").content == wanted, f"{key} is another picture"
        assert 'conservator_jobs{state="done"} 4' in client.get("/metrics").text
    assert len(list((tmp_path / "jobs").iterdir())) == 4
    assert [path.parent.name for path in (tmp_path / "jobs" / ids["half"]).rglob("result.*")] == ["attempt-2"]


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
