"""Tells the reader of a terminal, or of a log, what is going on; always on stderr."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from conservator.folders.manifest import Treated
from conservator.report.phrases import phrase

Failures = Sequence[tuple[str, int, str]]
"""(photograph, exit code, message) of each photograph that failed."""


_LOG_WIDTH = 500
"""Columns of a table in a log: a path folded into two lines cannot be searched for."""


class Narrator(ABC):
    """Follows a batch; use as a context manager around it.

    total   photographs to come
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.number = 0
        self.worked = 0
        self._begun = time.perf_counter()

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Put the terminal back in order."""
        self.close()

    def close(self) -> None:  # noqa: B027 — only a live display has something to put back
        """The batch is over, or broken off."""

    def expect(self, more: int) -> None:
        """So many photographs more are to come."""
        self.total += more

    def begin(self, label: str) -> None:
        """The next photograph."""
        self.number += 1
        self.show(label)

    def end(self, said: str, *, worked: bool = True) -> None:
        """What became of it; worked is False when nothing had to be computed."""
        self.worked += worked
        self.conclude(said)

    @property
    def remaining(self) -> float | None:
        """Seconds that the photographs to come will take at the pace so far; None before the first is done."""
        if not self.worked:
            return None
        return (time.perf_counter() - self._begun) / self.worked * (self.total - self.number + 1)

    @abstractmethod
    def show(self, label: str) -> None:
        """A photograph begins."""

    @abstractmethod
    def hear(self, event: Mapping[str, Any]) -> None:
        """An event of the treatment under way."""

    @abstractmethod
    def conclude(self, said: str) -> None:
        """A photograph is done."""

    @abstractmethod
    def note(self, text: str) -> None:
        """A remark beside the photographs."""

    @abstractmethod
    def summary(self, counts: Mapping[str, int], failures: Failures, treated: Sequence[Treated] = ()) -> None:
        """What became of all photographs."""


class Silent(Narrator):
    """Says nothing: errors are written elsewhere."""

    def show(self, label: str) -> None:
        """Nothing."""

    def hear(self, event: Mapping[str, Any]) -> None:
        """Nothing."""

    def conclude(self, said: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def summary(self, counts: Mapping[str, int], failures: Failures, treated: Sequence[Treated] = ()) -> None:
        """Nothing."""


class Plain(Narrator):
    """Lines for logs and pipes, one per event; tiles are left out."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = _LOG_WIDTH

    def show(self, label: str) -> None:
        """The photograph's name, its number and the time left."""
        place = f"[{self.number}/{self.total}] " if self.total > 1 else ""
        seconds = self.remaining or 0.0
        left = f" (about {_duration(seconds)} left)" if seconds >= 1.0 else ""
        self.console.print(f"{place}{label}{left}")

    def hear(self, event: Mapping[str, Any]) -> None:
        """One line for what is worth one."""
        said = phrase(event)
        if said:
            self.console.print(f"  {said}")

    def conclude(self, said: str) -> None:
        """One line."""
        self.console.print(f"  {said}")

    def note(self, text: str) -> None:
        """One line."""
        self.console.print(text)

    def summary(self, counts: Mapping[str, int], failures: Failures, treated: Sequence[Treated] = ()) -> None:
        """A line of counts, then tables of what was done and of what failed."""
        total = sum(counts.values())
        self.console.print(f"{total} photographs: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
        if treated:
            self.console.print(_treated_table(treated), soft_wrap=False)
        if failures:
            self.console.print(_failure_table(failures), soft_wrap=False)


class Live(Plain):
    """Two bars for a terminal: photographs and the tiles of the step at work, each with the time left."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        # Standard output is taken in only where it shares the terminal: a pipe must get its lines untouched.
        shared = sys.stdout.isatty()
        self._progress = Progress(*columns, *times, console=self.console, transient=True, redirect_stdout=shared)
        self._photographs = self._progress.add_task("photographs", total=total, visible=total > 1)
        self._step: TaskID | None = None

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def expect(self, more: int) -> None:
        """A longer bar."""
        super().expect(more)
        self._progress.update(self._photographs, total=self.total, visible=self.total > 1)

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()

    def hear(self, event: Mapping[str, Any]) -> None:
        """Tiles move the bar, everything else is a line above it."""
        if event["type"] == "tile":
            self._advance(event)
            return
        self._clear_step()
        super().hear(event)

    def conclude(self, said: str) -> None:
        """One line and one photograph further."""
        self._clear_step()
        self._progress.update(self._photographs, completed=self.number)
        super().conclude(said)

    def _advance(self, event: Mapping[str, Any]) -> None:
        if self._step is None:
            self._step = self._progress.add_task(f"  {event.get('tool', 'step')}", total=event["total"])
        self._progress.update(self._step, completed=event["done"], total=event["total"])

    def _clear_step(self) -> None:
        if self._step is not None:
            self._progress.remove_task(self._step)
            self._step = None


def narrator(total: int, *, quiet: bool = False) -> Narrator:
    """The narrator that suits stderr."""
    if quiet:
        return Silent(total)
    return Live(total) if Console(stderr=True).is_terminal else Plain(total)


def _treated_table(treated: Sequence[Treated]) -> Table:
    table = Table("tools", "photographs", "damage gone", "time of work")
    for tools, photographs, gain, seconds in treated:
        gone = "" if gain is None else f"{gain:.0%}"
        table.add_row(tools or "none", str(photographs), gone, _duration(seconds))
    return table


def _failure_table(failures: Failures) -> Table:
    table = Table("failed", "code", "why", title_justify="left")
    for label, code, message in failures:
        table.add_row(label, str(code), " ".join(message.split()))
    return table


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min {whole % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
