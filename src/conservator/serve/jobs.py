"""Jobs: accepted once, carried out once, kept on disk, and still there after the server was killed.

Each job runs in a worker process, because only a process can be stopped in the middle of a network's run, and because
a decoder that crashes takes nothing else with it. Only the server writes the book; a worker writes into a folder that
belongs to one attempt. So an attempt counts when the book says so, and a worker that outlived its server cannot finish
a job a second time.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conservator.cache import prune
from conservator.files import make_folder, write_atomically
from conservator.memory import opened
from conservator.serve.foreman import CACHE, MASK, PLACE, Foreman, Listener
from conservator.serve.limits import Limits
from conservator.serve.orders import Order
from conservator.serve.refusals import KeyReused, NoSuchJob, NotReady, QueueFull, Stopping, keeping
from conservator.serve.slots import remove
from conservator.serve.store import ENDED, Job, State, Store

__all__ = ["ENDED", "Job", "Jobs", "State"]

_SWEEP = 60.0
"""Seconds between two looks for expired jobs."""


class Jobs:
    """The queue, its workers and what they made, in one folder. Safe to use from several threads.

    folder     belongs to one server at a time; UsageError when another one has it. Others may keep things in it, too
    limits     see `Limits`
    memory     see `Foreman`; InputError or OutputError when it cannot be one
    """

    def __init__(self, folder: Path, limits: Limits | None = None, memory: Path | None = None) -> None:
        with opened(memory):
            pass
        self.limits = limits or Limits()
        self.rejected = 0
        self.folder, self._folder, self._cache = folder, folder / "jobs", folder / CACHE
        make_folder(self._folder)
        self._store = Store(folder / "jobs.sqlite3")
        remove(self._cache)  # of another release, perhaps
        self._listeners: set[Listener] = set()
        self._entering, self._closing = threading.Lock(), threading.Event()
        self._remove_strays()
        self._looked = time.monotonic()
        self._foreman = Foreman(self._store, self._folder, self.limits, self._announce, memory)
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()

    def submit(
        self,
        order: Order,
        photo: bytes,
        mask: bytes | None = None,
        *,
        places: Mapping[str, bytes] | None = None,
        key: str | None = None,
    ) -> tuple[Job, bool]:
        """Accept a job; returns it, and whether it is new. It is on the disk when this returns.

        places  masks by the names, of letters and digits, that steps of the plan have as their regions
        key     an earlier job with the same key and the same content is returned instead

        Raises TooLarge, UnknownFormat, KeyReused, QueueFull, NoRoom, Stopping.
        """
        masks = {MASK: mask} if mask is not None else {}
        masks |= {f"{PLACE}{name}": place for name, place in (places or {}).items()}
        digest = _digest(order, photo, masks)
        self.limits.check(photo, "a photograph", order.scale)
        for drawn in masks.values():
            self.limits.check(drawn, "a mask")
        with self._entering:  # two requests with one key must not both be new
            if (earlier := self._earlier(key, digest)) is not None:
                return earlier, False
            job = self._enter(order, photo, masks, key, digest)
        self._foreman.wake()
        self._announce(job.id)
        return job, True

    def get(self, id: str) -> Job:
        """A job by id; NoSuchJob when there is none."""
        job = self._store.get(id)
        if job is None:
            raise NoSuchJob("no job has this id", "the id of a job neither deleted nor expired", "submit it again")
        return job

    def progress(self, id: str) -> dict[str, Any] | None:
        """Of the step that a running job is at: its tool, and tiles done of total."""
        return self._foreman.progress.get(id)

    def events(self, id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """Numbered events behind the given one; NoSuchJob."""
        self.get(id)
        return self._store.events(id, after)

    def file(self, id: str, name: str) -> Path:
        """What a job made: "result", "record", "report" or "diagnosis"; NoSuchJob, or NotReady when it has not."""
        job = self.get(id)
        if job.state is not State.DONE:
            raise NotReady(f"the job is {job.state}", "a job that is done", "look at its state first")
        found = next(self._foreman.place(job).glob(f"{name}.*"), None)
        if found is None:
            raise NotReady(f"the job has made no {name}", "something it was asked for", "submit it with that option")
        return found

    def photo(self, id: str) -> bytes:
        """The photograph that a job was submitted with; NoSuchJob."""
        self.get(id)
        return (self._folder / id / "photo").read_bytes()

    def mask(self, id: str, name: str = MASK) -> Path | None:
        """The file of the mask that a job was submitted with, or of a place by PLACE and its name; NoSuchJob."""
        self.get(id)
        return next((path for path in (self._folder / id).iterdir() if path.name == name), None)

    def cancel(self, id: str) -> Job:
        """Stop a job that has not ended, at once; NoSuchJob."""
        if self._store.cancel(id) is State.RUNNING:
            self._foreman.kill(id)
        self._announce(id)
        return self.get(id)

    def delete(self, id: str) -> None:
        """Stop a job and remove everything about it; NoSuchJob."""
        self.cancel(id)
        self._store.delete(id)
        remove(self._folder / id)
        self._announce(id)

    def forget(self, cache: str) -> None:
        """Remove the intermediate results that jobs of this cache shared."""
        remove(self._cache / cache)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of every job with news; returns what ends it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def counts(self) -> dict[State, int]:
        """Jobs by state."""
        return self._store.counts()

    @property
    def deaths(self) -> int:
        """Workers that died of themselves so far."""
        return self._foreman.deaths

    @property
    def stopping(self) -> bool:
        """Whether nothing more is accepted."""
        return self._foreman.stopping

    def stop(self) -> None:
        """Accept nothing more, and begin nothing more."""
        self._foreman.stop()
        self._announce("")

    def close(self, grace: float = 0.0) -> dict[State, int]:
        """Stop; jobs that still run after `grace` seconds wait for the next server on this folder. Returns `counts`."""
        self.stop()
        self._closing.set()
        self._foreman.close(grace)
        left = self.counts()
        self._store.close()
        return left

    def expire(self) -> None:
        """Remove ended jobs and intermediate results that are too old, or too large together; time during which no
        server runs does not age a job."""
        prune(self._cache, self.limits.cache_bytes, time.time() - self.limits.keep_seconds)
        since = time.monotonic()
        self._store.grow_older(since - self._looked)
        self._looked = since
        for id in self._store.expired(self.limits.keep_seconds, self.limits.keep_bytes):
            self._store.delete(id)
            remove(self._folder / id)

    def _earlier(self, key: str | None, digest: str) -> Job | None:
        job = self._store.by_key(key) if key is not None else None
        if job is not None and job.digest != digest:
            raise KeyReused("this idempotency key with other content", "the same request", "use a new key")
        return job

    def _enter(self, order: Order, photo: bytes, masks: Mapping[str, bytes], key: str | None, digest: str) -> Job:
        if self.stopping:
            raise Stopping("the server is about to end", "a running server", "try again in a moment")
        if self.counts()[State.QUEUED] >= self.limits.max_queue:
            raise self._full()
        id = secrets.token_hex(16)
        home = self._folder / id
        try:
            with keeping():
                make_folder(home)
                write_atomically(home / "photo", photo)
                for name, mask in masks.items():
                    write_atomically(home / name, mask)
            size = len(photo) + sum(map(len, masks.values()))
            self._store.add(id, order, digest=digest, key=key, size=size)
        except BaseException:
            remove(home)
            raise
        return self.get(id)

    def _full(self) -> QueueFull:
        self.rejected += 1
        recent = self._foreman.seconds
        mean = sum(recent) / len(recent) if recent else 1.0
        seconds = max(1, min(300, round(mean / self.limits.workers)))
        got, wanted = f"{self.limits.max_queue} jobs wait already", "room in the queue"
        return QueueFull(got, wanted, f"try again in {seconds} s", retry_after=seconds)

    def _announce(self, id: str) -> None:
        for listener in tuple(self._listeners):
            listener(id)

    def _remove_strays(self) -> None:
        """Folders of jobs that were never entered, or deleted, when a server was killed."""
        known = self._store.ids()
        for folder in self._folder.iterdir():
            if folder.name not in known:
                remove(folder)

    def _sweep(self) -> None:
        while not self._closing.wait(min(_SWEEP, self.limits.keep_seconds)):
            try:
                self.expire()
            except Exception:  # a full disk, say: what could not go now goes at a later turn
                logging.getLogger(__name__).exception("expired jobs could not be removed")


def _digest(order: Order, photo: bytes, masks: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(order.model_dump_json().encode())
    for name, part in {"photo": photo, **masks}.items():
        digest.update(name.encode() + hashlib.sha256(part).digest())
    return digest.hexdigest()
