"""Batches that are at work at once, because they are forked from a process that has loaded everything; for `kills.py`.

python -m conservator.benchmarks.nursery IN CACHE WORKERS     begins a batch of IN into each folder that comes as a
                                                              line, and tells its process id and, later, its exit code

What networks say is kept in CACHE: a batch whose photographs were treated before spends its time reading, checking,
writing and entering, which is where a kill could do harm.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from conservator.folders import processes
from conservator.folders.batch import batch
from conservator.folders.outcome import Outcome
from conservator.folders.work import Job
from conservator.perception.remembering import Remembering


class Nursery:
    """One such process, seen from outside; use as a context manager. A batch at a time."""

    def __init__(self, source: Path, cache: Path, workers: int) -> None:
        words = [str(source), str(cache), str(workers)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conservator.benchmarks.nursery", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self._batch = 0
        self.code = 0

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self._batch:
                os.killpg(self._batch, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def begin(self, output: Path) -> None:
        """Begin a batch into a folder."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{output}\n".encode())
        self._batch = self._told()

    def ended(self, seconds: float) -> bool:
        """Whether the batch ends within this time; `code` is its exit code then, negative when a signal ended it."""
        assert self._process.stdout is not None
        if self._batch and select.select([self._process.stdout], [], [], seconds)[0]:
            self.code, self._batch = self._told(), 0
        return not self._batch

    def kill(self) -> None:
        """Kill the batch and its workers without a warning."""
        os.killpg(self._batch, signal.SIGKILL)
        self.code, self._batch = self._told(), 0

    def _told(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class _Known(processes.Processes):
    """Workers that look at no photograph which was looked at before."""

    def __init__(self, workers: int, cache: Path) -> None:
        super().__init__(workers, workers)
        self._look = Remembering(cache)

    def map(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See `Executor.map`."""
        yield from super().map(replace(job, call={**job.call, "perceiver": self._look}) for job in jobs)


def main(source: str, cache: str, workers: str) -> None:
    """Begin a batch for every line."""
    import conservator.treatment  # noqa: F401  # loaded once, for all of them

    processes._SPAWN = multiprocessing.get_context("fork")  # type: ignore[assignment]  # no networks run here
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            os._exit(_carried_out(source, line.strip(), cache, int(workers)))
        with suppress(OSError):  # the child was faster
            os.setpgid(child, child)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _carried_out(source: str, output: str, cache: str, workers: int) -> int:
    try:
        batch(source, output, executor=_Known(workers, Path(cache)), cache=cache)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
