"""A batch killed again and again, all its processes at once: is anything half, lost or done twice?"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ToolFailed
from conservator.folders.batch import KEPT
from conservator.folders.manifest import done_in

TITLE = "A batch killed at random moments"


def run(
    *, photos: int = 12, kills: int = 100, workers: int = 2, seed: int = 0, on_row: OnRow | None = None
) -> Findings:
    """Kill batches of small photographs at random moments, look at what is left each time, and go on.

    photos   in the folder; when all are done, the next kill begins with an empty output folder
    kills    SIGKILLs of the whole process group, anywhere in the time that an undisturbed batch takes
    """
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), workers)
        trial.prepare(photos, rng)
        rows: list[Row] = []
        while len(rows) < kills:
            finished = trial.attempt(float(rng.uniform(0.0, trial.seconds)))
            found = trial.look()
            if finished:
                trial.check_whole()
                continue
            rows.append({"kill": len(rows), **found})
            if on_row is not None:
                on_row({"task": f"kill {len(rows)} of {kills}: {found['done']} of {photos} done"})
        trial.attempt(None)
        trial.look()
        trial.check_whole()
    settings = {"photos": photos, "workers": workers, "undisturbed_seconds": trial.seconds}
    return Findings(TITLE, {"kills": [_summary(rows, photos, trial.wholes)]}, rows, settings)


@dataclass
class Trial:
    """A folder of photographs, the results it should give, and an output folder that suffers.

    seconds   that an undisturbed batch takes
    wholes    batches that came to their end and were like the undisturbed one to the byte
    """

    folder: Path
    workers: int
    seconds: float = 0.0
    wholes: int = 0
    _wanted: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def prepare(self, photos: int, rng: np.random.Generator) -> None:
        """Write the photographs and restore them undisturbed."""
        from conservator.photo import open_photo, save
        from conservator.synthesis.weather import smooth_field

        for number in range(photos):
            clean = np.stack([0.15 + 0.7 * smooth_field((72, 104), rng, 4) for _ in range(3)], axis=2)
            clean[:, 52:] += rng.normal(0.0, 0.1, (72, 52, 3)).astype(np.float32)
            place = self.folder / "in" / str(number % 3) / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            save(open_photo(np.rint(np.clip(clean, 0, 1) * 255).astype(np.uint8)), place)
        begun = time.perf_counter()
        code = self._batch("undisturbed").wait()
        self.seconds = time.perf_counter() - begun
        self._wanted = _digests(self.folder / "undisturbed")
        if code or len(self._wanted) != photos:
            raise ToolFailed(f"the undisturbed batch ended with {code}", f"0 and {photos} results")

    def attempt(self, after: float | None) -> bool:
        """Start the batch or go on with it, kill it after so many seconds; True when it came to its end before."""
        process = self._batch("out")
        try:
            process.wait(after)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False

    def look(self) -> Row:
        """What is there: photographs done, results that are half or strange, done ones lost or written again."""
        there, done = _digests(self.folder / "out"), done_in(self.folder / "out" / KEPT)
        half = sum(self._wanted.get(name) != digest for name, digest in there.items())
        lost = sum(there.get(output) != self._wanted[output] for output in done)
        files = {output: (self.folder / "out" / output).stat() for output in done if output in there}
        now = {output: (status.st_ino, status.st_mtime_ns) for output, status in files.items()}
        doubled = sum(now.get(output) != known for output, known in self._seen.items())
        self._seen = now
        return {"done": len(done), "half": half, "lost": lost, "doubled": doubled}

    def check_whole(self) -> None:
        """A batch at its end must have given what the undisturbed one gave; the next begins anew."""
        if _digests(self.folder / "out") != self._wanted:
            raise ToolFailed("a batch that was killed gave other results", "those of the undisturbed one")
        shutil.rmtree(self.folder / "out")
        self.wholes += 1
        self._seen = {}

    def _batch(self, output: str) -> subprocess.Popen[bytes]:
        folders = [str(self.folder / "in"), str(self.folder / output)]
        return subprocess.Popen(
            [sys.executable, "-m", "conservator", "batch", *folders, "--workers", str(self.workers), "--quiet"],
            start_new_session=True,
        )


def _digests(output: Path) -> dict[str, str]:
    """SHA-256 of every file but the batch's own."""
    files = [path for path in output.rglob("*") if path.is_file() and KEPT not in path.relative_to(output).parts]
    return {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _summary(rows: list[Row], photos: int, wholes: int) -> Row:
    midway = sum(0 < row["done"] < photos for row in rows)
    sums = {key: sum(row[key] for row in rows) for key in ("half", "lost", "doubled")}
    return {"photos": photos, "kills": len(rows), "midway": midway, **sums, "identical batches": wholes}
