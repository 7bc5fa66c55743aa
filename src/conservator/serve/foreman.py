"""Gives jobs to the workers and enters what became of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from conservator.errors import BudgetExceeded
from conservator.files import make_folder
from conservator.policies import LEARNING
from conservator.serve.limits import Limits
from conservator.serve.logs import say
from conservator.serve.refusals import NoRoom, keeping
from conservator.serve.slots import Outcome, Slot, remove
from conservator.serve.store import Job, State, Store, now

CACHE = "cache"
"""Folder, beside that of the jobs, of the intermediate results that some of them share."""

MASK, PLACE = "mask", "place-"
"""Files of a job: its mask, and, with their names behind it, the places that its plan names."""

Listener = Callable[[str], None]
"""Called, from any thread, with the id of a job that has news."""


class Foreman:
    """Between the book and the workers.

    announce   is told of every job with news
    memory     file of the experience that policies which search use and add to
    progress   of the step that each running job is at: tool, and tiles done of total
    deaths     of workers so far
    """

    def __init__(
        self, store: Store, folder: Path, limits: Limits, announce: Listener, memory: Path | None = None
    ) -> None:
        self.memory = memory
        self.limits, self.stopping, self.deaths = limits, False, 0
        self.progress: dict[str, dict[str, Any]] = {}
        self.seconds: deque[float] = deque(maxlen=20)
        self._store, self._folder, self._announce = store, folder, announce
        self._news = threading.Condition()
        for job in store.running():
            remove(self.place(job))
            self._again(job, "the server was killed")
        self._slots = [Slot(self, f"worker-{number}") for number in range(1, limits.workers + 1)]
        for slot in self._slots:
            slot.start()

    def place(self, job: Job) -> Path:
        """Folder of what an attempt makes: a worker that outlived its server writes where nobody looks."""
        return self._folder / job.id / f"attempt-{job.attempt}"

    def wake(self) -> None:
        """There is a job."""
        with self._news:
            self._news.notify_all()

    def kill(self, id: str) -> None:
        """Stop the worker that is at a job, if one is."""
        for slot in self._slots:
            slot.kill(id)

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopping = True
        self.wake()

    def pause(self, seconds: float) -> None:
        """Wait, but not for longer than the server goes on."""
        with self._news:
            self._news.wait_for(lambda: self.stopping, seconds)

    def close(self, grace: float) -> None:
        """Stop; what still runs after `grace` seconds waits for the next server."""
        self.stop()
        end = time.monotonic() + grace
        for slot in self._slots:
            slot.join(max(0.0, end - time.monotonic()))
        for job in self._store.running():
            with suppress(NoRoom):
                self._store.requeue(job, "the server ended", fault=False)
            self.kill(job.id)
        for slot in self._slots:
            slot.join()

    def next_job(self) -> Job | None:
        """The oldest job that waits; blocks until there is one. None when the server stops."""
        with self._news:
            while not self.stopping:
                if (job := self._store.claim()) is not None:
                    break
                self._news.wait()
            else:
                return None
        self._announce(job.id)
        return job

    def order(self, job: Job) -> dict[str, Any] | None:
        """What a worker is sent, see `worker.carry_out`; None when the job was cancelled meanwhile.

        NoRoom when there is none for what it makes.
        """
        now = self._store.get(job.id)
        if now is None or now.state is not State.RUNNING:
            return None
        with keeping():
            make_folder(self.place(job))
        home = self._folder / job.id
        return job.order.model_dump() | {
            "photo": str(home / "photo"),
            "mask": str(home / MASK) if (home / MASK).exists() else None,
            "places": {path.name.removeprefix(PLACE): str(path) for path in sorted(home.glob(f"{PLACE}*"))},
            "out": str(self.place(job)),
            "cache": str(self._folder.parent / CACHE / job.order.cache) if job.order.cache else None,
            "memory": str(self.memory) if self.memory is not None and _searches(job) else None,
            "max_pixels": self.limits.max_pixels,
        }

    def heard(self, job: Job, event: dict[str, Any]) -> None:
        """Keep an event, if there is room: work goes on without; of tiles only the latest."""
        if event["seq"] < 0:
            self.progress[job.id] = {name: event[name] for name in ("tool", "done", "total")}
        else:
            try:
                self._store.tell(job.id, {name: value for name, value in event.items() if name != "seq"})
            except NoRoom as error:
                say("event lost", job=job.id[:8], type=event.get("type"), reason=error.got)
        self._announce(job.id)

    def ended(self, job: Job, outcome: Outcome, *, overdue: bool) -> None:
        """Enter what came of an attempt; one whose worker died is tried again, within limits, without room later."""
        self.progress.pop(job.id, None)
        if "done" in outcome:
            kept = self._store.finish(job, State.DONE, facts=outcome["done"], size=_size(self.place(job)))
            self.seconds.append(now() - (job.started or now()))
        else:
            kept = False
            self._fail(job, outcome, overdue)
        if not kept:
            remove(self.place(job))
        if self._store.get(job.id) is None:  # deleted meanwhile
            remove(self._folder / job.id)
        self._announce(job.id)

    def _fail(self, job: Job, outcome: Outcome, overdue: bool) -> None:
        if "traceback" in outcome:
            say("failed", job=job.id[:8], traceback=outcome["traceback"])
        if "failed" in outcome:
            self._store.finish(job, State.FAILED, error=outcome["failed"])
        elif "put off" in outcome:
            self._store.requeue(job, outcome["put off"], fault=False)
            self.wake()
        elif overdue:
            got, wanted = "the job took too long", f"at most {self.limits.max_seconds:g} s"
            self._store.finish(job, State.FAILED, error=BudgetExceeded(got, wanted, "shrink the photograph").to_dict())
        else:
            self.deaths += self._again(job, "its worker died")

    def _again(self, job: Job, reason: str) -> bool:
        """Queue an attempt that broke off once more, or give it up; False when it was cancelled, and so broke off."""
        if job.faults + 1 < self.limits.attempts:
            changed = self._store.requeue(job, reason, fault=True)
            self.wake()
            return changed
        got = f"{reason}, {self.limits.attempts} times now"
        told = {"type": "WorkerDied", "got": got, "wanted": "a job that ends", "fix": "shrink the photograph"}
        return self._store.finish(job, State.FAILED, error=told)


def _searches(job: Job) -> bool:
    """Whether a policy makes the plan that uses experience."""
    return job.order.call == "restore" and job.order.plan is None and job.order.options["policy"] in LEARNING


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; 0 when it was deleted meanwhile."""
    with suppress(OSError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0
