"""Workers as Ray actors, on as many machines as the cluster has; one that is lost with its machine costs a retry.

A photograph's bytes go to an actor and its result's bytes come back: nodes need no shared disk, and only this process
writes files, so nothing is ever written twice.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.folders.executor import LIVES, Queue
from conservator.folders.outcome import Outcome
from conservator.folders.work import Job, Made, deliver, make, read
from conservator.models.devices import VARIABLE as DEVICE_VARIABLE
from conservator.models.devices import device
from conservator.models.runtime import bound_threads, thread_limit

AHEAD = 2
"""Photographs an actor holds, the one at work included: the next one travels meanwhile, and no more fill the store."""

PATIENCE = 300.0
"""Seconds to wait while there is not a single actor."""

KNOCKING = 10.0
"""Seconds that the head of a cluster may take to answer."""

CLIENT_PORT = 10001
"""Where Ray's heads listen to addresses that begin with ray:// and name no port."""


class RayActors:
    """An executor on a Ray cluster, which needs the extra `cluster`.

    address   of the cluster: "local" starts one on this machine, "auto" finds the one this machine belongs to
    workers   actors; as many as there are CPUs for by default
    threads   CPUs and threads of each; 1 by default
    gpus      of each, shares of one included: 0.25 puts four actors on a GPU; where networks run, `device` says

    A cluster that this process is connected to already is used, whatever the address says, and left running.
    """

    def __init__(
        self, address: str = "local", workers: int | None = None, threads: int | None = None, gpus: float = 0.0
    ) -> None:
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            raise UsageError(f"gpus={gpus}", "a share up to 1, or a whole number", "0.25 puts four actors on a GPU")
        self._address, self._wanted, self._threads, self._gpus = address, workers, threads or 1, gpus
        self._loads: dict[Any, int] = {}
        self._running: dict[Any, tuple[Any, Job | None]] = {}
        self._stillborn = 0
        self._ours = False

    def __enter__(self) -> RayActors:
        self._ray = _ray()
        if not self._ray.is_initialized():
            self._connect()
            self._ours = True
        self._size = self._wanted or max(1, self._places())
        needs = {"num_cpus": self._threads, "num_gpus": self._gpus}
        self._actor = self._ray.remote(**needs, max_restarts=0, max_task_retries=0)(Actor)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for actor in {actor for actor, _ in self._running.values()} | self._loads.keys():
            self._ray.kill(actor)
        self._loads, self._running = {}, {}
        if self._ours:
            self._ray.shutdown()

    def map(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """See `Executor.map`."""
        queue = Queue(jobs)
        while True:
            self._hire()
            while (actor := self._free()) is not None and (job := queue.next()) is not None:
                yield from self._give(actor, job)
            if actor is not None and not any(self._loads.values()):
                return
            for reference in self._ready():
                yield from self._collect(reference, queue)

    def _places(self) -> int:
        """Actors that the cluster has room for."""
        there = self._ray.cluster_resources()
        places = int(there.get("CPU", 0)) // self._threads
        return min(places, int(there.get("GPU", 0) / self._gpus)) if self._gpus else places

    def _connect(self) -> None:
        # Offline is a promise: Ray would report to its makers that it was started.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local: dict[str, Any] = {}
        if self._address == "local":
            local = {"num_cpus": (self._wanted or thread_limit()) * self._threads, "include_dashboard": False}
        try:
            if not local:
                _knock(self._address)
            self._ray.init(self._address, log_to_driver=False, logging_level="error", **local)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            got = f"no Ray cluster at {self._address} ({' '.join(str(error).split())[:200]})"
            raise UsageError(got, "local, auto or the address of a cluster's head", "start one: ray start") from error

    def _hire(self) -> None:
        """Have as many actors as wanted, counting those on their way up."""
        coming = sum(job is None for _, job in self._running.values())
        for _ in range(self._size - len(self._loads) - coming):
            actor = self._actor.remote(self._threads, device())
            self._running[actor.build.remote()] = (actor, None)

    def _free(self) -> Any:
        """The actor with the least to do, or None when all have enough."""
        actor = min(self._loads, key=lambda actor: self._loads[actor], default=None)
        return None if actor is None or self._loads[actor] >= AHEAD else actor

    def _give(self, actor: Any, job: Job) -> Iterator[tuple[Job, Outcome]]:
        try:
            data = read(job)
        except Exception as error:
            yield job, Outcome.failed(error)
            return
        # Another machine has another current folder.
        reference = actor.treat.remote(replace(job, source=job.source.absolute()), data)
        self._running[reference] = (actor, job)
        self._loads[actor] += 1

    def _ready(self) -> list[Any]:
        """References that are done; raises ToolFailed when no actor comes up for too long."""
        begun = time.monotonic()
        while True:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=5.0)
            if done:
                return list(done)
            if not self._loads and time.monotonic() - begun > PATIENCE:
                got = f"no actor in {PATIENCE:.0f} s; the cluster has {self._ray.cluster_resources()}"
                wanted = f"{self._threads} free CPUs" + (f" and {self._gpus:g} of a GPU" if self._gpus else "")
                raise ToolFailed(got, wanted, "add a node, or ask for fewer --threads or --gpus")

    def _collect(self, reference: Any, queue: Queue) -> Iterator[tuple[Job, Outcome]]:
        actor, job = self._running[reference]
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._loads.pop(actor, None)
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)
            if job is None:
                del self._running[reference]
                self._bury(error)
            else:
                yield from self._salvage(actor, queue)
            return
        del self._running[reference]
        if job is None:
            self._welcome(actor, result)
        else:
            yield job, self._finish(actor, job, result)

    def _salvage(self, actor: Any, queue: Queue) -> Iterator[tuple[Job, Outcome]]:
        """What a dead actor had: results it gave, the photograph it died on, and those that waited, at no charge."""
        died = False
        for reference in [reference for reference, (whose, _) in self._running.items() if whose == actor]:
            _, job = self._running.pop(reference)
            assert job is not None
            try:
                yield job, self._finish(actor, job, self._ray.get(reference))
            except self._ray.exceptions.RayError as error:
                if died:
                    queue.back(job)
                elif outcome := queue.lost(job, type(error).__name__):
                    yield job, outcome
                died = True

    def _welcome(self, actor: Any, build: dict[str, str]) -> None:
        """An actor is there; UsageError when it would restore differently from this process."""
        if build != (ours := Actor.build()):
            differing = sorted(name for name in {*build, *ours} if build.get(name) != ours.get(name))
            raise UsageError(f"a node with another {', '.join(differing)}", "the same everywhere", "install it there")
        self._loads[actor] = 0
        self._stillborn = 0

    def _bury(self, error: Exception) -> None:
        """An actor did not come up; ToolFailed when that happens again and again."""
        self._stillborn += 1
        if self._stillborn >= LIVES * self._size:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ToolFailed(f"no actor comes up: {lines[-1]}", "Conservator on every node", "install it") from error

    def _finish(self, actor: Any, job: Job, result: Made | Outcome) -> Outcome:
        if actor in self._loads:  # it may have died since it gave this result
            self._loads[actor] -= 1
        if isinstance(result, Outcome):
            return result
        try:
            return deliver(job, result)
        except Exception as error:
            return Outcome.failed(error)


class Actor:
    """What runs on a node: restores photographs one after another with networks of its own."""

    def __init__(self, threads: int, device: str) -> None:
        os.environ[DEVICE_VARIABLE] = device  # another machine has another environment
        bound_threads(threads)

    @staticmethod
    def build() -> dict[str, str]:
        """What results depend on: versions and networks."""
        import numpy
        import onnxruntime

        from conservator import __version__
        from conservator.models.catalogue import MODELS

        packages = {"conservator": __version__, "numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__}
        return packages | {name: MODELS[name].sha256 for name in MODELS}

    def treat(self, job: Job, data: bytes) -> Made | Outcome:
        """See `make`; whatever goes wrong is the outcome."""
        begun = time.perf_counter()
        try:
            made = make(job, data)
        except Exception as error:
            return replace(Outcome.failed(error), seconds=time.perf_counter() - begun)
        return replace(made, outcome=replace(made.outcome, seconds=time.perf_counter() - begun))


def _knock(address: str) -> None:
    """OSError or ValueError unless somebody listens at an address of a cluster: Ray itself would try for minutes."""
    from ray._private.services import canonicalize_bootstrap_address

    found = address if "://" in address else f"ray://{canonicalize_bootstrap_address(address)}"
    place = urlsplit(found)
    socket.create_connection((place.hostname or "", place.port or CLIENT_PORT), timeout=KNOCKING).close()


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ModelMissing(f"Ray: {error}", "the extra cluster", "pip install 'conservator[cluster]'") from error
    return ray
