"""Scratches, dust and folds: what is found and how well it is filled, and what is taken for a mark where there is none.

Clean photographs, every second one as a grey print, are marred; the pixels that changed are the mask of what is to be
done. Beside it, photographs without marks are treated: whatever changes in them is a false alarm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks import peers
from conservator.benchmarks.controls import true_diagnosis
from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import WORSE, OnRow, decibel, result_of
from conservator.benchmarks.photos import Bytes, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.degradations import CELL, NAMES
from conservator.pixels.inpainting import DEEPEST, depth
from conservator.pixels.types import Samples
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy
from conservator.synthesis import degrade, draw_preset
from conservator.treatment import restore

TITLE = "Scratches, dust and folds"
OURS, TOLD = "conservator", "conservator, true mask"
VISIBLE = 30
"""Levels by which a pixel must have changed to count as a mark that should be found."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

NEAR = np.ones((5, 5), np.uint8)
"""Around a mark, two pixels farther are no false alarm: marks shine into their surroundings."""

Hole: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Case:
    """A marred photograph, its truth, and where they differ, (H, W)."""

    photo: str
    before: Bytes
    truth: Bytes

    @property
    def marred(self) -> Hole:
        """Where they differ at all."""
        return np.asarray((self.before != self.truth).any(axis=2))

    @property
    def visible(self) -> Hole:
        """Where they differ by VISIBLE levels."""
        return np.asarray(np.abs(self.before.astype(np.int16) - self.truth).max(axis=2) >= VISIBLE)


Contestant: TypeAlias = Callable[[Case], Bytes]


def treated(picture: Bytes, hole: Hole | None = None) -> Bytes:
    """What `treat` makes of a picture; with a hole (H, W), what it makes of that mask. Perception has no part in it."""
    options: dict[str, Any] = {} if hole is None else {"find": False}
    script = ScriptedPolicy([Step("scratches", ("scratches",), options=options, reason="benchmark")])
    mask = None if hole is None else hole.astype(np.uint8) * 255
    return result_of(restore(picture, policy=script, mask=mask, perceiver=_nothing_found))


def _nothing_found(samples: Samples) -> Any:
    grid = tuple(-(-side // CELL) for side in samples.shape[:2])
    return true_diagnosis(np.zeros((len(NAMES), *grid), np.float32), samples)


CONTESTANTS: Mapping[str, Contestant] = {
    "input": lambda case: case.before,
    OURS: lambda case: treated(case.before),
    TOLD: lambda case: treated(case.before, case.marred & (depth(case.marred) <= DEEPEST)),
    "Telea, true mask": lambda case: peers.telea(case.before, case.marred),
    "median": lambda case: peers.median(case.before),
    "top hats + Telea": lambda case: peers.top_hats(case.before),
}


def run(
    photos: Sequence[Path],
    *,
    unmarred: Sequence[Path] = (),
    seed: int = 0,
    contestants: Mapping[str, Contestant] = CONTESTANTS,
    on_row: OnRow | None = None,
) -> Findings:
    """Mar every photograph and have everybody repair it; then treat `photos` and `unmarred` as they are."""
    rows: list[Row] = []
    for row in chain(_repairs(photos, seed, contestants), _alarms([*photos, *unmarred], contestants[OURS])):
        rows.append(row)
        if on_row is not None:
            on_row(row)
    repairs = [row for row in rows if "gain_db" in row]
    alarms = [row for row in rows if "gain_db" not in row]
    tables = {
        "repairs": [_repaired(part) for part in _by(repairs, "method")],
        "found": [_found(part) for part in _by(repairs, "method") if part[0]["found_percent"] is not None],
        "photographs without marks": [_alarmed(part) for part in _by(alarms, "folder")],
    }
    return Findings(TITLE, tables, rows, {"photos": len(photos), "unmarred": len(unmarred)})


def _cases(photos: Sequence[Path], seed: int) -> Iterator[Case]:
    for index, path in enumerate(photos):
        clean = to_unit(read(path))
        if index % 2:
            clean = np.repeat((clean @ LUMA)[..., None], 3, axis=2)
        sample = degrade(clean, draw_preset(np.random.default_rng((seed, index)), ["scratches"]))
        yield Case(path.name, to_bytes(sample.degraded), to_bytes(sample.clean))


def _repairs(photos: Sequence[Path], seed: int, contestants: Mapping[str, Contestant]) -> Iterator[Row]:
    for case in _cases(photos, seed):
        for name, contestant in contestants.items():
            begun = time.perf_counter()
            after = contestant(case)
            seconds = (time.perf_counter() - begun) * 1e6 / after[..., 0].size
            gain = decibel(after, case.truth) - decibel(case.before, case.truth)
            row = {"photo": case.photo, "method": name, "gain_db": gain, "per_megapixel_seconds": seconds}
            yield row | _inside(case, after) | _recognised(case, after)


def _inside(case: Case, after: Bytes) -> Row:
    """PSNR where marks lay, and mean change in levels elsewhere."""
    mask = case.marred.astype(np.float32)
    harm = np.abs(after.astype(np.int16) - case.before).mean(axis=2)
    before, now = (decibel(picture, case.truth, mask) for picture in (case.before, after))
    return {"gain_inside_db": now - before, "psnr_inside_db": now, "harm_outside_levels": mean(harm[~case.marred])}


def _recognised(case: Case, after: Bytes) -> Row:
    """Pixels that changed against marks: how many of the visible ones, and how many of those changed lie near one."""
    changed, near = (after != case.before).any(axis=2), cv2.dilate(case.marred.astype(np.uint8), NEAR) > 0
    return {"found_percent": percent(changed[case.visible]), "right_percent": percent(near[changed])}


def _alarms(photos: Sequence[Path], contestant: Contestant) -> Iterator[Row]:
    for path in photos:
        picture = read(path)
        change = np.abs(contestant(Case(path.name, picture, picture)).astype(np.int16) - picture).max(axis=2)
        yield {"photo": path.name, "folder": path.parent.name, "touched_percent": percent(change > 0),
               "seen_percent": percent(change >= VISIBLE)}  # fmt: skip


def _by(rows: Sequence[Row], key: str) -> list[list[Row]]:
    return [[row for row in rows if row[key] == value] for value in dict.fromkeys(row[key] for row in rows)]


def _repaired(rows: Sequence[Row]) -> Row:
    gain = np.array([row["gain_db"] for row in rows])
    means = ("gain_inside_db", "psnr_inside_db", "gain_db", "harm_outside_levels")
    return {
        "method": rows[0]["method"],
        "photos": len(rows),
        **{key: mean([row[key] for row in rows]) for key in means},
        "worst_db": float(gain.min()),
        "worse_percent": percent(gain < WORSE),
        "per_megapixel_seconds": mean([row["per_megapixel_seconds"] for row in rows]),
    }


def _found(rows: Sequence[Row]) -> Row:
    """Means over the photographs, of precision over those where anything changed."""
    right = [row["right_percent"] for row in rows if row["right_percent"] is not None]
    found = [row["found_percent"] for row in rows if row["found_percent"] is not None]
    return {"method": rows[0]["method"], "recall_percent": mean(found), "precision_percent": mean(right)}


def _alarmed(rows: Sequence[Row]) -> Row:
    touched = np.array([row["touched_percent"] for row in rows])
    return {
        "folder": rows[0]["folder"],
        "photos": len(rows),
        "photos_touched_percent": percent(touched > 0),
        "pixels_touched_percent": float(touched.mean()),
        "pixels_seen_changed_percent": mean([row["seen_percent"] for row in rows]),
        "worst_photo_percent": float(touched.max()),
    }
