"""Many clients at one server: how long they wait, who is turned away, and that nothing is lost even if it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from conservator.benchmarks.loopback import Loopback
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ModelMissing, ToolFailed

TITLE = "The server under load"
PATIENCE = 600.0
"""Seconds to wait for being accepted, and from then on for the end of the job; beyond, it counts as lost."""

_PAUSE = 0.05  # seconds between two looks at a job


def run(
    *,
    jobs: int = 100,
    clients: int = 8,
    workers: int = 1,
    max_queue: int = 4,
    side: int = 128,
    kills: int = 0,
    seed: int = 0,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Findings:
    """Have clients restore computed photographs on a server of their own on this machine.

    jobs       photographs in all, no two alike
    clients    that submit at the same time
    max_queue  places in the queue; fewer than clients, and some are turned away and come again
    side       of the photographs in pixels
    kills      how often the server is killed without a warning, and started again
    """
    try:
        import httpx2  # noqa: F401
    except ImportError as error:
        raise ModelMissing("httpx2", "the extra `server`", "pip install 'conservator[server]'") from error
    with TemporaryDirectory() as folder:
        bench = _Bench(Path(folder), ("--workers", workers, "--max-queue", max_queue), on_row)
        begun = time.perf_counter()
        rows = bench.run([picture(side, seed + number) for number in range(jobs)], clients, kills)
        seconds = time.perf_counter() - begun
    settings = {
        "jobs": jobs, "clients": clients, "workers": workers, "max_queue": max_queue, "side": side, "kills": kills
    }  # fmt: skip
    return Findings(TITLE, summary(rows, seconds, settings), rows, settings)


def picture(side: int, seed: int) -> bytes:
    """A noisy photograph of shades as the bytes of a PNG file."""
    from conservator.photo import encode, open_photo
    from conservator.synthesis.weather import smooth_field

    rng = np.random.default_rng(seed)
    shades = np.stack([smooth_field((side, side), rng, 4) for _ in range(3)], axis=2)
    noisy = np.clip(shades + rng.normal(0, 0.1, shades.shape), 0, 1)
    return encode(open_photo(np.rint(noisy * 255).astype(np.uint8)), "png")


def summary(rows: Sequence[Row], seconds: float, settings: dict[str, Any]) -> dict[str, list[Row]]:
    """What became of the jobs, and how long it took them."""
    fates = {
        "jobs": len(rows),
        "clients": settings["clients"],
        "workers": settings["workers"],
        "rejected": sum(row["rejected"] for row in rows),
        "kills": settings["kills"],
        "lost": sum(row["state"] != "done" for row in rows),
        "doubled": sum(row["times_done"] > 1 for row in rows),
        "whole_seconds": seconds,
        "per_job_seconds": seconds / len(rows),
    }
    times = [
        {"from submitting": until, **_quantiles([row[key] for row in rows if row[key] is not None])}
        for until, key in (("to accepted", "accepted_seconds"), ("to result", "result_seconds"))
    ]
    return {"jobs": [fates], "waiting": times}


def _quantiles(seconds: Sequence[float]) -> Row:
    p50, p99, worst = np.quantile(seconds, (0.5, 0.99, 1.0)) if seconds else (None, None, None)
    return {"p50_seconds": p50, "p99_seconds": p99, "worst_seconds": worst}


class _Bench:
    """A server, and clients that do not give up when it dies."""

    def __init__(self, folder: Path, options: tuple[object, ...], on_row: Callable[[Row], None]) -> None:
        self._folder, self._options, self._on_row = folder, options, on_row
        self._done = threading.Semaphore(0)

    def run(self, files: Sequence[bytes], clients: int, kills: int) -> list[Row]:
        """One row per file, in their order."""
        server = Loopback(self._folder, *self._options).__enter__()
        try:
            with ThreadPoolExecutor(clients) as pool:
                client = _Client(server.url)
                waiting = [pool.submit(self._one, client, number, file) for number, file in enumerate(files)]
                for _ in range(kills):
                    for _ in range(max(1, len(files) // (kills + 1))):
                        self._done.acquire()
                    server.kill()
                    server = Loopback(self._folder, *self._options, port=server.port).__enter__()
                return [future.result() for future in waiting]
        finally:
            server.kill()

    def _one(self, client: _Client, number: int, file: bytes) -> Row:
        row = client.restore(number, file)
        self._on_row(row)
        self._done.release()
        return row


class _Client:
    """Submits, waits and fetches, over and over until it has an answer."""

    def __init__(self, url: str) -> None:
        import httpx2

        self._http = httpx2.Client(base_url=url, timeout=30.0, trust_env=False)
        self._broken = httpx2.TransportError

    def restore(self, number: int, file: bytes) -> Row:
        """The row of one photograph."""
        begun = time.perf_counter()
        row: Row = {"number": number, "state": "never accepted", "rejected": 0, "times_done": 0}
        row |= {"accepted_seconds": None, "result_seconds": None}
        id = None
        while id is None and time.perf_counter() - begun < PATIENCE:
            headers = {"Idempotency-Key": f"load-{number}"}
            answer = self._ask("POST", "/v1/jobs", files={"photo": ("photo.png", file)}, headers=headers)
            if answer.status_code == 429:
                row["rejected"] += 1
                time.sleep(float(answer.headers["Retry-After"]))
            else:
                id = _checked(answer).json()["id"]
        accepted = time.perf_counter()
        row["accepted_seconds"] = accepted - begun
        while id is not None and time.perf_counter() - accepted < PATIENCE:
            row["state"] = _checked(self._ask("GET", f"/v1/jobs/{id}")).json()["state"]
            if row["state"] not in ("queued", "running"):
                break
            time.sleep(_PAUSE)
        if row["state"] == "done":
            _checked(self._ask("GET", f"/v1/jobs/{id}/result"))
            row["result_seconds"] = time.perf_counter() - begun
            row["times_done"] = self._ask("GET", f"/v1/jobs/{id}/events").text.count("event: done\n")
        return row

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        """An answer, however often the connection breaks first."""
        end = time.perf_counter() + PATIENCE
        while True:
            try:
                return self._http.request(method, path, **content)
            except self._broken:
                if time.perf_counter() > end:
                    raise
                time.sleep(_PAUSE)


def _checked(answer: Any) -> Any:
    if answer.is_error:
        raise ToolFailed(f"the server answered {answer.status_code}: {answer.text[:200]}", "an answer")
    return answer
