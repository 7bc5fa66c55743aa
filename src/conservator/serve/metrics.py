"""Counters in Prometheus' text format; few enough to be written by hand."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from conservator.serve.jobs import Jobs

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What happened since the server began. Safe to use from several threads."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._requests: Counter[Labels] = Counter()
        self._seconds: dict[Labels, float] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the pattern, not the path."""
        place = (("method", method), ("route", route))
        with self._lock:
            self._requests[(*place, ("status", str(status)))] += 1
            self._seconds[place] = self._seconds.get(place, 0.0) + seconds

    def text(self, jobs: Jobs) -> str:
        """The page."""
        with self._lock:
            requests, seconds = dict(self._requests), dict(self._seconds)
        states: dict[Labels, float] = {(("state", str(state)),): count for state, count in jobs.counts().items()}
        parts = (
            _metric("uptime_seconds", "gauge", "Seconds since the server began.", {(): time.monotonic() - self._begun}),
            _metric("jobs", "gauge", "Jobs that are kept, by state.", states),
            _metric("workers", "gauge", "Worker processes.", {(): jobs.limits.workers}),
            _metric("queue_limit", "gauge", "Jobs that may wait.", {(): jobs.limits.max_queue}),
            _metric("rejected_total", "counter", "Jobs refused because the queue was full.", {(): jobs.rejected}),
            _metric("worker_deaths_total", "counter", "Workers that died of themselves.", {(): jobs.deaths}),
            _metric("requests_total", "counter", "Requests answered.", requests),
            _metric("request_seconds_total", "counter", "Time spent on requests.", seconds),
        )
        return "".join(line for part in parts for line in part)


def _metric(name: str, kind: str, says: str, values: Mapping[Labels, float]) -> Iterable[str]:
    yield f"# HELP conservator_{name} {says}\n# TYPE conservator_{name} {kind}\n"
    for labels, value in sorted(values.items()):
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        yield f"conservator_{name}{f'{{{inside}}}' if inside else ''} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
