"""Real exposure brackets: one folder per scene with `reference.jpg` and `lumaNNN.jpg`, NNN the mean luma of 255."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import WORSE, OnRow, Treat, compared, gains, restored, result_of, spent
from conservator.benchmarks.photos import Bytes, photographs, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.errors import InputError

TITLE = "Real exposure brackets"
OURS = "conservator"
NEAR = 1.25
"""Ratio of mean luma to the reference's up to which an exposure counts as right."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """One exposure of a scene."""

    path: Path
    reference: Path

    @property
    def scene(self) -> str:
        """Name of the scene's folder."""
        return self.path.parent.name

    @cached_property
    def exposed(self) -> str:
        """dark, bright, or near the reference's own mean luma."""
        found = re.fullmatch(r"luma(\d+)", self.path.stem)
        if found is None:
            raise InputError(f"{self.path} is no exposure", "a name such as luma093.jpg", "rename or remove it")
        ratio = int(found[1]) / max(1.0, float(read(self.reference).mean()))
        return "dark" if ratio < 1 / NEAR else "bright" if ratio > NEAR else "near"


def exposures(folder: Path, limit: int | None = None) -> list[Exposure]:
    """All exposures of the first `limit` scenes; InputError when a scene has no reference."""
    scenes: dict[Path, list[Path]] = {}
    for path in photographs(folder):
        scenes.setdefault(path.parent, []).append(path)
    found: list[Exposure] = []
    for scene, paths in list(scenes.items())[:limit]:
        references = [path for path in paths if path.stem == "reference"]
        if len(references) != 1:
            raise InputError(f"{len(references)} references in {scene}", "one reference.jpg", "complete the scene")
        found += [Exposure(path, references[0]) for path in paths if path not in references]
    return found


def gamma(picture: Bytes) -> Bytes:
    """Gamma 2.2 towards the middle: brighter when the mean is below one half, darker when above."""
    pixels = to_unit(picture)
    return to_bytes(pixels ** np.float32(1 / 2.2 if pixels.mean() < 0.5 else 2.2))


def clahe(picture: Bytes) -> Bytes:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld, 1994) of Lab lightness, limit 2, 8 by 8 tiles."""
    import cv2

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


CLASSICAL: Mapping[str, Callable[[Bytes], Bytes]] = {"gamma 2.2": gamma, "CLAHE": clahe}


def run(folder: Path, *, limit: int | None = None, treat: Treat = restored, on_row: OnRow | None = None) -> Findings:
    """Restore every exposure and compare with the reference, beside what the classical corrections do.

    limit   most scenes
    """
    rows: list[Row] = []
    for exposure in exposures(folder, limit):
        for row in _measured(exposure, treat):
            rows.append({"scene": exposure.scene, "photo": exposure.path.stem, "exposed": exposure.exposed, **row})
            if on_row is not None:
                on_row(rows[-1])
    methods = list(dict.fromkeys(row["method"] for row in rows))
    tables = {
        "all exposures (interval over scenes)": [_overall(name, rows) for name in methods],
        "by exposure": [_part(name, part, rows) for part in ("dark", "near", "bright") for name in methods],
    }
    return Findings(TITLE, tables, rows, {"scenes": len({row["scene"] for row in rows})})


def _measured(exposure: Exposure, treat: Treat) -> list[Row]:
    before, truth = read(exposure.path), read(exposure.reference)
    treatment = treat(exposure.path)
    found = [{"method": OURS, **compared(before, result_of(treatment), truth), **spent(treatment)}]
    return found + [{"method": name, **compared(before, correct(before), truth)} for name, correct in CLASSICAL.items()]


def _overall(method: str, rows: Sequence[Row]) -> Row:
    own = [row for row in rows if row["method"] == method]
    return {"method": method, **gains(own, groups=[row["scene"] for row in own])}


def _part(method: str, part: str, rows: Sequence[Row]) -> Row:
    gain = [row["gain_db"] for row in rows if row["method"] == method and row["exposed"] == part]
    return {
        "exposed": part,
        "method": method,
        "photos": len(gain),
        "gain_db": mean(gain),
        "worst_db": min(gain, default=None),
        "worse_percent": percent(np.array(gain) < WORSE),
    }
