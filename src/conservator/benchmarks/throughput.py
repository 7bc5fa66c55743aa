"""How many photographs a batch restores in a given time, against the number of its workers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ToolFailed
from conservator.folders.batch import batch
from conservator.folders.executor import Executor
from conservator.folders.outcome import Outcome, Status
from conservator.folders.processes import Processes
from conservator.folders.ray_actors import RayActors

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

    Workers start within the time, as they do for a user; `first_seconds` says how much of it that took. Raises
    ToolFailed when a photograph cannot be restored.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = _copied(photos, folder / "in")
        rows: list[Row] = []
        for count in workers:
            executor = RayActors(ray, count, threads) if ray else Processes(count, threads)
            rows.append(_timed(folder, count, executor, pixels) | {"workers": count})
            if on_row is not None:
                on_row({"task": f"{count} workers: {rows[-1]['seconds']:.1f} s"})
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


def _timed(folder: Path, count: int, executor: Executor, pixels: int) -> Row:
    done: list[float] = []
    begun = time.perf_counter()

    def tell(path: Path, outcome: Outcome) -> None:
        if outcome.status is Status.FAILED:
            raise ToolFailed(outcome.reason, "photographs that can be restored")
        done.append(time.perf_counter() - begun)

    batch(folder / "in", folder / f"out{count}", executor=executor, on_photo=tell)
    seconds = time.perf_counter() - begun
    return {"photos": len(done), "seconds": seconds, "first_seconds": done[0], "all_megapixels": pixels / 1e6}


def _compared(row: Row, first: Row) -> Row:
    faster = first["seconds"] / row["seconds"]
    return {
        "workers": row["workers"],
        "seconds": row["seconds"],
        "first_seconds": row["first_seconds"],
        "per_megapixel_seconds": row["seconds"] / row["all_megapixels"],
        "photos per hour": round(3600 * row["photos"] / row["seconds"]),
        "faster_ratio": faster,
        "efficiency_percent": 100.0 * faster * first["workers"] / row["workers"],
    }
