"""Helpers of the tests of batches: folders of small photographs, a batch in this process, what its manifest says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from command_line import photograph
from conservator.folders.batch import KEPT
from conservator.folders.outcome import Outcome
from conservator.folders.work import Job, perform


class Here:
    """An executor without processes: what a batch decides does not depend on who does the work."""

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in jobs:
            yield job, perform(job)


class Listener:
    """Collects what a batch tells."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def __call__(self, path: Path, outcome: Outcome) -> None:
        self.outcomes[path.name] = outcome

    @property
    def statuses(self) -> dict[str, str]:
        return {name: str(outcome.status) for name, outcome in self.outcomes.items()}


def album(folder: Path, photographs: int = 3) -> Path:
    """Small photographs in a tree."""
    for number in range(photographs):
        photograph(folder / str(number % 2) / f"p{number}.png", seed=number)
    return folder


def rows(output: Path) -> dict[str, dict[str, Any]]:
    """The manifest, read as anybody can."""
    base = sqlite3.connect(output / KEPT / "manifest.sqlite")
    base.row_factory = sqlite3.Row
    found = {row["path"]: dict(row) for row in base.execute("SELECT * FROM photographs")}
    base.close()
    return found


def results(output: Path) -> dict[str, bytes]:
    """Bytes of every file below an output folder but the batch's own, hidden ones included."""
    files = (path for path in output.rglob("*") if path.is_file() and KEPT not in path.relative_to(output).parts)
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in files}
