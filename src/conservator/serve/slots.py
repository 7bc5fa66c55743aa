"""Threads that hand jobs to worker processes, one each, and watch over them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from conservator.models.runtime import THREADS_VARIABLE
from conservator.serve.limits import TOKEN_VARIABLE, Limits
from conservator.serve.refusals import NoRoom
from conservator.serve.store import Job

if TYPE_CHECKING:
    from conservator.serve.foreman import Foreman

Outcome = dict[str, Any]
"""`{"done": facts}`, `{"failed": error}`, `{"put off": reason}` before it began or, of a dead worker, `{}`."""


_PAUSE = 5.0
"""Seconds until a worker for whose job there was no room takes one again."""


class Slot(threading.Thread):
    """One worker process at a time, replaced when it dies."""

    def __init__(self, foreman: Foreman, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._foreman = foreman
        self._lock = threading.Lock()
        self._job: str | None = None
        self._process = _start(foreman.limits)
        self.overdue = False

    def run(self) -> None:
        """Work until there are no more jobs."""
        while not self._foreman.stopping:
            with self._patience():
                if (job := self._foreman.next_job()) is not None:
                    self._work(job)
        self.stop()

    def _work(self, job: Job) -> None:
        with self._lock:
            self._job, self.overdue = job.id, False
        watch = threading.Timer(self._foreman.limits.max_seconds, self._expire, (job.id,))
        watch.start()
        outcome: Outcome = {}
        with self._patience():
            outcome = self._carry_out(job)
        watch.cancel()
        with self._lock:
            self._job = None
        if not outcome and not self._foreman.stopping:
            self.stop()
            self._process = _start(self._foreman.limits)
        entered = False
        while not entered:
            with self._patience():
                self._foreman.ended(job, outcome, overdue=self.overdue)
                entered = True
            if self._foreman.stopping:  # what could not be entered, the next server begins again
                return
        if "put off" in outcome:
            self._foreman.pause(_PAUSE)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """What a full disk breaks is tried again: a job must neither be lost nor end the thread."""
        try:
            yield
        except Exception:
            logging.getLogger(__name__).exception("a worker's thread stumbled")
            time.sleep(1.0)

    def kill(self, id: str) -> None:
        """Kill the worker if it is at this job, and at no other."""
        with self._lock:
            if self._job == id:
                self._process.kill()

    def stop(self) -> None:
        """End the worker process, and with it whatever it is at."""
        self._process.kill()
        self._process.wait()

    def _expire(self, id: str) -> None:
        with self._lock:
            self.overdue = self._job == id
        self.kill(id)

    def _carry_out(self, job: Job) -> Outcome:
        # Asked after `_job` is set: a cancellation is either seen here, or finds the worker to kill.
        try:
            order = self._foreman.order(job)
        except NoRoom as error:
            return {"put off": error.got}
        stdin, stdout = cast("tuple[IO[str], IO[str]]", (self._process.stdin, self._process.stdout))
        if order is not None:
            with suppress(OSError, ValueError):  # a pipe that broke, a line that was cut
                stdin.write(json.dumps(order) + "\n")
                stdin.flush()
                for line in stdout:
                    told = json.loads(line)
                    if "event" not in told:
                        return cast(Outcome, told)
                    self._foreman.heard(job, told["event"])
        return {}


def _start(limits: Limits) -> subprocess.Popen[str]:
    import conservator

    package = str(Path(conservator.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {THREADS_VARIABLE: str(limits.threads()), "PYTHONPATH": path}
    environment.pop(TOKEN_VARIABLE, None)
    return subprocess.Popen(
        [sys.executable, "-m", "conservator.serve.worker"], env=environment, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it, if it is there."""
    with suppress(OSError):
        shutil.rmtree(folder)


