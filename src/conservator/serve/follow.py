"""Following a job from the event loop while it runs elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from conservator.serve.jobs import ENDED, Jobs
from conservator.serve.refusals import NoSuchJob

Told = tuple[int | None, dict[str, Any]]
"""An event with its number; tiles have none. An empty event says only that nothing happened for a while."""


async def follow(jobs: Jobs, id: str, after: int = 0, pause: float = 15.0) -> AsyncIterator[Told]:
    """Events of a job behind the given number, as they happen, until it has ended or the server stops.

    pause   seconds of silence before an empty event
    """
    shown = None
    with _Bell(jobs, id) as bell:
        while True:
            bell.silence()
            try:
                job = await asyncio.to_thread(jobs.get, id)
                told = await asyncio.to_thread(jobs.events, id, after)
            except NoSuchJob:  # deleted while we looked on
                return
            for number, event in told:
                after = number
                yield number, event
            if job.state in ENDED or jobs.stopping:
                return
            progress = jobs.progress(id)
            if progress is not None and progress != shown:
                shown = progress
                yield None, {"type": "tile", **progress}
            if not await bell.rung(pause):
                yield None, {}


class _Bell:
    """Rings in this event loop when a job has news; use as a context manager."""

    def __init__(self, jobs: Jobs, id: str) -> None:
        self._id, self._event, self._loop = id, asyncio.Event(), asyncio.get_running_loop()
        self._stop = jobs.listen(self._heard)

    def __enter__(self) -> _Bell:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def silence(self) -> None:
        """What comes next counts."""
        self._event.clear()

    async def rung(self, seconds: float) -> bool:
        """Wait for news; False when there were none."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        return self._event.is_set()

    def _heard(self, id: str) -> None:
        if id in ("", self._id):
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._event.set)
