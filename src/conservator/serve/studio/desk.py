"""One photograph being worked on: what is asked for, what runs, and what came of it."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from conservator.errors import UsageError
from conservator.plan import Step
from conservator.report.story import Attempt, attempts
from conservator.serve.jobs import ENDED, Job, Jobs, State
from conservator.serve.orders import Order
from conservator.serve.refusals import NoSuchJob, failure
from conservator.serve.studio.brush import stretched
from conservator.serve.studio.draft import Draft, Place
from conservator.serve.studio.history import History, Version


@dataclass(frozen=True, eq=False)
class Run:
    """A job on its way to a version.

    draft   what it was asked for
    title   of the version that will come of it
    cache   of intermediate results
    anew    whether a policy makes the plan
    opens   name of the photograph that it looks at for the first time; None for a treatment
    """

    job: str
    draft: Draft
    title: str
    cache: str
    anew: bool = False
    opens: str | None = None


class Desk:
    """What one browser tab works on. Safe to use from several threads.

    draft    what is asked for now; edits replace it, runs carry it out
    history  None until a photograph has been looked at
    name     of the photograph's file
    painted  the mask that was last made of strokes
    wiped    the one before it: browsers may still hold its strokes for a moment, and they are not new
    target   key of the line whose mask is painted and uploaded; None for that of the whole plan
    """

    def __init__(self, jobs: Jobs) -> None:
        self.jobs, self.draft, self.name = jobs, Draft(), ""
        self.history: History | None = None
        self.painted: bytes | None = None
        self.wiped: bytes | None = None
        self.target: int | None = None
        self._running: Run | None = None
        self._made: dict[str, str] = {}  # the cache of each job
        self._lock = threading.RLock()

    def open(self, data: bytes, name: str) -> Run:
        """Look at a photograph. What is on the desk stays there until that has worked out.

        Raises what `Jobs.submit` raises.
        """
        cache = secrets.token_hex(16)
        order, shown = Order.diagnose(cache=cache), Path(name).name or "photo"
        return self._begin(order, data, None, Run("", Draft(), "as it came", cache, opens=shown))

    def run(self, *, anew: bool) -> Run:
        """Carry out the draft; a run that is under way is superseded and stops.

        anew   let the policy make the plan, instead of carrying out the plan as edited

        Raises UsageError without a photograph and for a draft that asks for something unknown or for nothing, and what
        `Jobs.submit` raises.
        """
        first, draft = self._history.versions[0], self.draft
        if not anew and not draft.lines:
            raise UsageError("an empty plan", "a step", "add a tool, or let the policy make the plan")
        edits = replace(draft, lines=self.current.draft.lines) if anew else draft
        said = edits.changes(self.current.draft) or ([] if anew else ["the same again"])
        title = ", ".join([f"plan by {draft.policy}", *said] if anew else said)
        cache = self._made[first.job]
        order = Order.restore(draft.options, plan=None if anew else draft.steps, cache=cache)
        run, places = Run("", draft, title, cache, anew), {} if anew else draft.places
        return self._begin(order, self.jobs.photo(first.job), draft.mask, run, places)

    def settle(self, run: Run) -> Version | None:
        """What came of a run that has ended; None when it was cancelled, superseded or broke off with the server.

        Edits made meanwhile stay. Raises InputError, UsageError or JobFailed when it failed.
        """
        with self._lock:
            if self._running is not run:
                return None
            job = self.jobs.get(run.job)
            if job.state not in ENDED:
                return None
            self._running = None
            if job.error is not None:
                raise failure(job.error)
            return self._version(run, job) if job.state is State.DONE else None

    @property
    def running(self) -> Run | None:
        """What has begun and was not settled."""
        return self._running

    def is_latest(self, run: Run) -> bool:
        """Whether nothing has superseded or cancelled a run."""
        return self._running is run

    def told(self, run: Run) -> list[Attempt]:
        """Steps that a run has begun so far."""
        return attempts(event for _, event in self.jobs.events(run.job))

    def cancel(self) -> bool:
        """Stop what runs, at once; whether anything did."""
        with self._lock:
            run, self._running = self._running, None
        if run is not None:
            with suppress(NoSuchJob):
                self.jobs.cancel(run.job)
        return run is not None

    def undo(self) -> Version:
        """Take back edits that have not been run; if there are none, go back by a version. UsageError at the start."""
        return self._look_at(self.current if self.edited else self._history.undo())

    def redo(self) -> Version:
        """Go forward again to the latest version made from the current one; UsageError when there is none."""
        return self._look_at(self._history.redo())

    def go(self, number: int) -> Version:
        """Look at a version; what is run next branches off there. UsageError when there is none."""
        return self._look_at(self._history.go(number))

    def close(self) -> None:
        """Stop, and remove the photograph and all that was made of it from the server."""
        self.cancel()
        with self._lock:
            made, self._made, self.history, self.draft = self._made, {}, None, Draft()
        self._remove(made)

    @property
    def current(self) -> Version:
        """The version that is looked at; UsageError without a photograph."""
        return self._history.current

    def result(self, name: str) -> Path:
        """A file of the current version; see `Jobs.file`."""
        return self.jobs.file(self.current.job, name)

    def region(self, id: str) -> Place:
        """A region of the photograph as it came, for a step to keep to; UsageError or NotReady when there is none."""
        with Image.open(self.jobs.file(self._history.versions[0].job, f"region-{id}")) as cells:
            return Place(id, stretched(np.asarray(cells, np.float32) / np.float32(255), self.found["size"]))

    @property
    def edited(self) -> list[str]:
        """Edits that have not been run, in words."""
        return [] if self.history is None else self.draft.changes(self.current.draft)

    @property
    def found(self) -> dict[str, Any]:
        """The diagnosis of the photograph as it came, see `Diagnosis.to_dict`; UsageError without one."""
        first = self._history.versions[0]
        found: dict[str, Any] = json.loads(self.jobs.file(first.job, "diagnosis").read_bytes())
        return found

    @property
    def _history(self) -> History:
        if self.history is None:
            raise UsageError("no photograph", "one to work on", "choose a photograph first")
        return self.history

    def _begin(
        self, order: Order, photo: bytes, mask: bytes | None, run: Run, places: Mapping[str, bytes] | None = None
    ) -> Run:
        with self._lock:
            job, _ = self.jobs.submit(order, photo, mask, places=places)
            self.cancel()  # not before: when the new one is turned away, the old one goes on
            self._made[job.id] = run.cache
            self._running = replace(run, job=job.id)
            return self._running

    def _version(self, run: Run, job: Job) -> Version:
        if run.opens is not None:
            old = {id: cache for id, cache in self._made.items() if id != run.job}
            self._made = {run.job: run.cache}
            self.name, self.draft, self.target = run.opens, run.draft, None
            self.history = History(Version(0, None, run.draft, run.job, run.title))
            self._remove(old)
            return self.history.current
        facts = job.facts or {}
        made = (Step.from_dict(step) for step in facts["steps"])
        planned = run.draft.planned(made) if run.anew else run.draft
        if self.draft == run.draft:
            self.draft = planned
        self.target = None if run.anew else self.target
        return self._history.add(planned, run.job, run.title, tuple(self.told(run)), facts)

    def _look_at(self, version: Version) -> Version:
        self.cancel()
        self.draft, self.target = version.draft, None
        return version

    def _remove(self, made: dict[str, str]) -> None:
        for id in made:
            with suppress(NoSuchJob):
                self.jobs.delete(id)
        for cache in set(made.values()):
            self.jobs.forget(cache)
