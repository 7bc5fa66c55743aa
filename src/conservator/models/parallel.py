"""Several things at a time: as many as there are threads to use, with results in the order of the asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from conservator.models.runtime import thread_limit

T = TypeVar("T")


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Results in the order of the tasks, whichever ends first; at most `thread_limit()` of them run at a time.

    Networks let go of the interpreter while they run, so threads are enough. Every task is waited for; then the first
    failure, in the order of the tasks, is raised.
    """
    workers = min(len(tasks), thread_limit())
    if workers < 2:
        return [task() for task in tasks]
    with ThreadPoolExecutor(workers) as pool:
        asked = [pool.submit(task) for task in tasks]
    return [one.result() for one in asked]
