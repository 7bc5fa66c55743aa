"""How many photographs a batch restores in a given time, against the number of its workers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ToolFailed
from conservator.folders.batch import batch
from conservator.folders.executor import Executor
from conservator.folders.outcome import Outcome, Status
from conservator.folders.processes import Processes
from conservator.folders.ray_actors import AHEAD, RayActors

TITLE = "Throughput of a batch"


def run(
    photos: Sequence[Path],
    *,
    workers: Sequence[int] = (1, 2),
    threads: int | None = None,
    ray: str | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Restore the photographs once for each number of workers; the first is what the others are compared with.

    threads   of all workers of a pool together, of each actor on Ray
    ray       address of a Ray cluster; processes of this machine without it

    Workers start, load their networks and restore their first photograph before the time that counts begins;
    `startup_seconds` says how long that took. Raises ToolFailed when a photograph cannot be restored.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = _copied(photos, folder / "in")
        rows: list[Row] = []
        for count in dict.fromkeys(workers):
            first = [photos[number % len(photos)] for number in range(count * (AHEAD if ray else 1))]
            _copied(first, folder / f"first{count}")
            with RayActors(ray, count, threads) if ray else Processes(count, threads) as staff:
                startup = _timed(folder / f"first{count}", Kept(staff), folder / f"begun{count}")
                seconds = _timed(folder / "in", Kept(staff), folder / f"out{count}")
            row: Row = {"workers": count, "photos": len(photos), "startup_seconds": startup, "seconds": seconds}
            rows.append(row | {"all_megapixels": pixels / 1e6})
            if on_row is not None:
                on_row({"task": f"{count} workers: {seconds:.1f} s after {startup:.1f} s"})
    table = [_compared(row, rows[0]) for row in rows]
    where = "Ray" if ray else "processes"
    return Findings(TITLE, {f"{len(photos)} photographs, {where}": table}, rows, {"threads": threads, "ray": ray})


def _copied(photos: Sequence[Path], folder: Path) -> int:
    """Put the photographs into a folder of their own; returns their pixels."""
    from conservator.photo import open_photo

    folder.mkdir()
    pixels = 0
    for number, photo in enumerate(photos):
        height, width = open_photo(photo).size
        pixels += height * width
        shutil.copyfile(photo, folder / f"{number}{photo.suffix}")
    return pixels


class Kept:
    """Workers that are still there after a batch, for the next one."""

    def __init__(self, workers: Executor) -> None:
        self.map = workers.map

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the workers alone."""


def _timed(folder: Path, workers: Executor, output: Path) -> float:
    """Seconds of a batch."""

    def tell(path: Path, outcome: Outcome) -> None:
        if outcome.status is Status.FAILED:
            raise ToolFailed(outcome.reason, "photographs that can be restored")

    begun = time.perf_counter()
    batch(folder, output, executor=workers, on_photo=tell)
    return time.perf_counter() - begun


def _compared(row: Row, first: Row) -> Row:
    faster = first["seconds"] / row["seconds"]
    return {
        "workers": row["workers"],
        "startup_seconds": row["startup_seconds"],
        "seconds": row["seconds"],
        "per_megapixel_seconds": row["seconds"] / row["all_megapixels"],
        "photos per hour": round(3600 * row["photos"] / row["seconds"]),
        "faster_ratio": faster,
        "efficiency_percent": 100.0 * faster * first["workers"] / row["workers"],
    }
