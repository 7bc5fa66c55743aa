"""Threads that hand jobs to worker processes, one each, and watch over them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from conservator.errors import ConservatorError
from conservator.models.runtime import THREADS_VARIABLE
from conservator.serve.store import Job

if TYPE_CHECKING:
    from conservator.serve.foreman import Foreman
    from conservator.serve.limits import Limits

Outcome = dict[str, Any]
"""`{"done": facts}`, `{"failed": error}` or, when the worker died, `{}`."""


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
            try:
                if (job := self._foreman.next_job()) is not None:
                    self._work(job)
            except Exception:  # a full disk under the book, most likely: nothing is lost, so try again
                logging.getLogger(__name__).exception("a worker's thread stumbled")
                time.sleep(1.0)
        self.stop()

    def _work(self, job: Job) -> None:
        with self._lock:
            self._job, self.overdue = job.id, False
        watch = threading.Timer(self._foreman.limits.max_seconds, self._expire, (job.id,))
        watch.start()
        outcome: Outcome = {}
        try:
            outcome = self._carry_out(job)
        finally:
            watch.cancel()
            with self._lock:
                self._job = None
            if self._process.poll() is not None and not self._foreman.stopping:
                self._process = _start(self._foreman.limits)
            self._foreman.ended(job, outcome, overdue=self.overdue)

    def kill(self, id: str) -> None:
        """Kill the worker if it is at this job, and at no other."""
        with self._lock:
            if self._job == id:
                self._process.kill()

    def stop(self) -> None:
        """End the worker process, and with it whatever it is at."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Of the worker process."""
        return self._process.pid

    def _expire(self, id: str) -> None:
        with self._lock:
            self.overdue = self._job == id
        self.kill(id)

    def _carry_out(self, job: Job) -> Outcome:
        # Asked after `_job` is set: a cancellation is either seen here, or finds the worker to kill.
        try:
            order = self._foreman.order(job)
        except ConservatorError as error:
            return {"failed": error.to_dict()}
        if order is None:
            return {}
        stdin, stdout = cast("tuple[IO[str], IO[str]]", (self._process.stdin, self._process.stdout))
        try:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            for line in stdout:
                told = json.loads(line)
                if "event" not in told:
                    return cast(Outcome, told)
                self._foreman.heard(job, told["event"])
        except (OSError, ValueError):  # a pipe that broke, a line that was cut
            pass
        self.stop()
        return {}


def _start(limits: Limits) -> subprocess.Popen[str]:
    import conservator

    package = str(Path(conservator.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {THREADS_VARIABLE: str(limits.threads())} | os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-m", "conservator.serve.worker"], env=environment, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it, if it is there."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


