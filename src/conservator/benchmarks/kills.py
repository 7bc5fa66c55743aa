"""A batch killed again and again, all its processes at once: is anything half, lost or done twice?"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.nursery import Nursery
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ToolFailed
from conservator.folders.batch import KEPT, UNFINISHED
from conservator.folders.manifest import outputs_in

TITLE = "A batch killed at random moments"

STARTING = 0.1
"""Share of the kills that come while a batch starts; all others come between its first result and its last."""

PATIENCE = 3600.0
"""Seconds for a batch that nobody disturbs."""

_LOOK = 0.002  # seconds between two looks at how far a batch is


def run(
    *, photos: int = 12, kills: int = 100, workers: int = 2, seed: int = 0, on_row: OnRow | None = None
) -> Findings:
    """Kill batches of small photographs at random moments, look at what is left each time, and go on.

    photos   in the folder; when all are done, the next kill begins with an empty output folder
    kills    SIGKILLs of the whole process group
    """
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name, _nursery(Path(name), photos, workers, rng) as nursery:
        trial = Trial(Path(name), nursery)
        trial.prepare(photos)
        rows: list[Row] = []
        while len(rows) < kills:
            before = len(trial.results())
            if trial.attempt(_moment(photos - before, rng)):
                trial.look()
                trial.check_whole()
                continue
            found = trial.look()
            rows.append({"kill": len(rows), "phase": _phase(before, found["there"], photos), **found})
            if on_row is not None:
                on_row({"task": f"kill {len(rows)} of {kills}, {rows[-1]['phase']}: {found['done']} of {photos} done"})
        trial.attempt(None)
        trial.look()
        trial.check_whole()
    settings = {"photos": photos, "workers": workers, "first_seconds": trial.first, "pace_seconds": trial.pace}
    return Findings(TITLE, {"kills": [_summary(rows, photos, trial.wholes)]}, rows, settings)


def _moment(left: int, rng: np.random.Generator) -> float | None:
    """When to kill, see `Trial.attempt`; None is never: with one photograph left there is no time between results."""
    if rng.random() < STARTING:
        return float(rng.uniform(0.0, 1.0))
    return float(rng.uniform(1.0, left)) if left > 1 else None


def _phase(before: int, now: int, photos: int) -> str:
    return "starting" if now == before else "working" if now < photos else "ending"


@dataclass
class Trial:
    """A folder of photographs, the results it should give, and an output folder that suffers.

    first    seconds from the start of an undisturbed batch to its first result
    pace     seconds from one result to the next
    wholes   batches that came to their end and were like the undisturbed one to the byte
    """

    folder: Path
    nursery: Nursery
    first: float = 0.0
    pace: float = 0.0
    wholes: int = 0
    _wanted: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def prepare(self, photos: int) -> None:
        """Restore the photographs undisturbed, twice: the second time what networks say is known."""
        self.nursery.begin(self.folder / "undisturbed")
        self.nursery.ended(PATIENCE)
        self._wanted = self._digests("undisturbed")
        begun = time.perf_counter()
        self.nursery.begin(self.folder / "out")
        self._await("out", 1)
        self.first = time.perf_counter() - begun
        self._await("out", photos)
        self.pace = (time.perf_counter() - begun - self.first) / (photos - 1)
        self.nursery.ended(PATIENCE)
        if self.nursery.code or len(self._wanted) != photos:
            raise ToolFailed(f"the undisturbed batch ended with {self.nursery.code}", f"0 and {photos} results")
        self.check_whole()

    def attempt(self, moment: float | None) -> bool:
        """Start the batch or go on with it, and kill it; True when it came to its end before.

        moment   whole results of this attempt, and the share of the time to the next one behind them
        """
        before = len(self.results())
        self.nursery.begin(self.folder / "out")
        if moment is None:
            return self.nursery.ended(PATIENCE)
        if moment >= 1:
            self._await("out", before + int(moment))
        if self.nursery.ended(moment % 1 * (self.pace if moment >= 1 else self.first)):
            return True
        self.nursery.kill()
        return False

    def results(self, output: str = "out") -> list[Path]:
        """Files in the output folder but the batch's own."""
        found = []
        for folder, below, names in os.walk(self.folder / output):
            below[:] = [name for name in below if name != KEPT]
            found += [Path(folder, name) for name in names]
        return found

    def _await(self, output: str, count: int) -> None:
        """Wait until so many results are there, or the batch has ended."""
        while len(self.results(output)) < count and not self.nursery.ended(_LOOK):
            pass

    def look(self) -> Row:
        """What is there: photographs done, results that are half or strange, done ones lost or written again."""
        kept = self.folder / "out" / KEPT
        there, (done, at_work) = self._digests("out"), outputs_in(kept)
        half = sum(self._wanted.get(name) != digest for name, digest in there.items())
        lost = sum(there.get(output) != self._wanted[output] for output in done)
        files = {output: (self.folder / "out" / output).stat() for output in done if output in there}
        now = {output: (status.st_ino, status.st_mtime_ns) for output, status in files.items()}
        doubled = sum(now.get(output) != known for output, known in self._seen.items())
        self._seen = now
        unfinished = len(list((kept / UNFINISHED).glob(".conservator-*/*")))
        state = {"there": len(there), "done": len(done), "at_work": at_work, "unfinished": unfinished}
        return {**state, "half": half, "lost": lost, "doubled": doubled}

    def check_whole(self) -> None:
        """A batch at its end must have given what the undisturbed one gave; the next begins anew."""
        if self._digests("out") != self._wanted:
            raise ToolFailed("a batch that was killed gave other results", "those of the undisturbed one")
        shutil.rmtree(self.folder / "out")
        self.wholes += 1
        self._seen = {}

    def _digests(self, output: str) -> dict[str, str]:
        files = {path.relative_to(self.folder / output).as_posix(): path for path in self.results(output)}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


@contextmanager
def _nursery(folder: Path, photos: int, workers: int, rng: np.random.Generator) -> Iterator[Nursery]:
    from conservator.photo import open_photo, save
    from conservator.synthesis.weather import smooth_field

    for number in range(photos):
        clean = np.stack([0.15 + 0.7 * smooth_field((72, 104), rng, 4) for _ in range(3)], axis=2)
        clean[:, 52:] += rng.normal(0.0, 0.1, (72, 52, 3)).astype(np.float32)
        place = folder / "in" / str(number % 3) / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        save(open_photo(np.rint(np.clip(clean, 0, 1) * 255).astype(np.uint8)), place)
    with Nursery(folder / "in", folder / "cache", workers) as nursery:
        yield nursery


def _summary(rows: list[Row], photos: int, wholes: int) -> Row:
    phases = {phase: sum(row["phase"] == phase for row in rows) for phase in ("starting", "working", "ending")}
    # Files half written, or in place and not entered yet: where a kill could do harm.
    delivering = sum(row["unfinished"] > 0 or row["there"] > row["done"] for row in rows)
    harm = {key: sum(row[key] for row in rows) for key in ("half", "lost", "doubled")}
    counts = {"photos": photos, "kills": len(rows), **phases, "while delivering": delivering}
    return {**counts, **harm, "identical batches": wholes}
