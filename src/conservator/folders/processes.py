"""Workers as processes of this machine, each with its own networks; one that dies costs a retry, not the batch."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from types import TracebackType

from conservator.errors import UsageError
from conservator.folders.executor import Queue
from conservator.folders.outcome import Outcome
from conservator.folders.work import Job, perform
from conservator.models.runtime import bound_threads, thread_limit

# A forked child would inherit threads and locks of the networks in a state nobody knows.
_SPAWN = multiprocessing.get_context("spawn")

_PATIENCE = 10.0  # seconds an idle worker may take to end by itself


class Processes:
    """An executor of worker processes, started when there is work for them.

    workers   most processes; as many as there are threads by default
    threads   to share between all workers; `thread_limit()` by default
    """

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"workers={workers}", "a whole number ≥ 1", "use 1 for the least")
        total = threads or thread_limit()
        self.workers = workers or total
        self._threads = max(1, total // self.workers)
        self._staff: list[_Worker] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self._staff:
            worker.dismiss(at_once=kind is not None)
        self._staff = []

    def map(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See `Executor.map`."""
        queue = Queue(jobs)
        while True:
            while len(self._busy()) < self.workers and (job := queue.next()) is not None:
                self._free().give(job)
            busy = self._busy()
            if not busy:
                return
            for pipe in wait([worker.pipe for worker in busy.values()]):
                yield from self._collect(busy[pipe], queue)

    def _busy(self) -> dict[object, _Worker]:
        """Workers at a job, by their pipes."""
        return {worker.pipe: worker for worker in self._staff if worker.job is not None}

    def _free(self) -> _Worker:
        """An idle worker that lives, or a new one."""
        for worker in [worker for worker in self._staff if worker.job is None]:
            if worker.alive:
                return worker
            self._staff.remove(worker)
        self._staff.append(_Worker(self._threads))
        return self._staff[-1]

    def _collect(self, worker: _Worker, queue: Queue) -> Iterator[tuple[Job, Outcome]]:
        job, outcome = worker.take()
        if outcome is None:
            self._staff.remove(worker)
            outcome = queue.lost(job, worker.death)
        if outcome is not None:
            yield job, outcome


class _Worker:
    """One process and the job it is at."""

    def __init__(self, threads: int) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.job: Job | None = None
        self._process = _SPAWN.Process(target=_work, args=(theirs, threads), daemon=True)
        with _deaf():
            self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def death(self) -> str:
        """How the process ended."""
        self._process.join(_PATIENCE)
        self._process.kill()  # one that closed its pipe and lives on is of no use
        self._process.join()
        code = self._process.exitcode
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def give(self, job: Job) -> None:
        self.job = job
        # A pipe that broke is readable, and `take` says then that the worker died.
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def take(self) -> tuple[Job, Outcome | None]:
        """The job and its outcome; None when the worker died."""
        assert self.job is not None
        job, self.job = self.job, None
        try:
            return job, self.pipe.recv()
        except (EOFError, OSError):
            self.pipe.close()
            return job, None

    def dismiss(self, *, at_once: bool) -> None:
        """End the process."""
        self.pipe.close()
        if not at_once and self.job is None:
            self._process.join(_PATIENCE)
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes started inside never hear Ctrl-C, not even before their first line: it is for the one that started
    them, which ends them in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, threads: int) -> None:
    """A worker's life: job after job until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    bound_threads(threads)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(perform(job))


def _die_with_parent() -> None:
    """A worker nobody waits for any more must not write what a later run writes, too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
