"""What carries out jobs: many at once, each at least once, its result delivered exactly once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from conservator.errors import ToolFailed
from conservator.folders.outcome import Outcome
from conservator.folders.work import Job

LIVES = 3
"""Workers that may die on a photograph before it is given up."""


class Executor(Protocol):
    """Workers that live as long as its `with` block."""

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End the workers; after an error, at once."""

    def map(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Carry out the jobs, in no order; each is taken from the iterable no earlier than a worker is free for it."""
        ...


class Queue:
    """Jobs still to be given out. One whose worker died comes back, until it has cost LIVES workers."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._fresh = iter(jobs)
        self._back: deque[Job] = deque()
        self._deaths: Counter[Path] = Counter()

    def next(self) -> Job | None:
        """The next job, or None when there is none at the moment."""
        return self._back.popleft() if self._back else next(self._fresh, None)

    def back(self, job: Job) -> None:
        """Take a job back that its worker had not begun."""
        self._back.append(job)

    def lost(self, job: Job, how: str) -> Outcome | None:
        """Take a job back whose worker died; its outcome when it has cost too many."""
        self._deaths[job.source] += 1
        if self._deaths[job.source] < LIVES:
            self._back.append(job)
            return None
        got = f"{LIVES} workers died on {job.source} ({how})"
        return Outcome.failed(ToolFailed(got, "memory enough", "use fewer --workers or a smaller --tile"))
