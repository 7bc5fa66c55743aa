"""How right the diagnosis is: cell by cell against the truth, kind by kind, and region by region."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks.draws import global_sample, spatial_sample
from conservator.benchmarks.figures import auc, calibration_error, mean, overlap, percent
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.degradations import BY_NAME, INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.pixels.reduce import mask_cells
from conservator.synthesis import Sample

if TYPE_CHECKING:
    from conservator.perception import Perceiver

TITLE = "Perception: severity maps and regions against the truth"
DRAWS: dict[str, Callable[..., Sample]] = {"spatial": spatial_sample, "global": global_sample}

Cells = NDArray[np.float32]


@dataclass
class Pool:
    """All cells of one kind, photograph after photograph: truth and what the diagnosis said."""

    truth: list[Cells] = field(default_factory=list)
    presence: list[Cells] = field(default_factory=list)
    raw: list[Cells] = field(default_factory=list)
    deviation: list[Cells] = field(default_factory=list)
    treated: list[Cells] = field(default_factory=list)

    def add(self, channel: int, sample: Sample, found: Diagnosis) -> None:
        """The cells of one photograph."""
        maps = (sample.truth, found.presence, found.raw, found.deviation, found.maps)
        for column, plane in zip(vars(self).values(), maps, strict=True):
            column.append(plane[channel].ravel())


def run(
    photos: Sequence[Path],
    *,
    seed: int = 0,
    perceiver: Perceiver | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Diagnose every clean photograph once damaged region by region and once all over, by any kind.

    perceiver   what diagnoses; the shipped one when omitted
    """
    from conservator.perception import observe

    look = perceiver or observe
    pools = {draw: {kind: Pool() for kind in NAMES} for draw in DRAWS}
    rows: list[Row] = []
    for draw, make in DRAWS.items():
        for index, path in enumerate(photos):
            sample = make(to_unit(read(path)), seed, index)
            found = look(to_bytes(sample.degraded).astype(np.uint16) * np.uint16(257))
            for kind, pool in pools[draw].items():
                pool.add(INDEX[kind], sample, found)
            rows.append({"draw": draw, "photo": path.name, **photo_row(sample, found)})
            if on_row is not None:
                on_row(rows[-1])
    return Findings(TITLE, _summary(rows, pools), rows, {"photos": len(photos)})


def photo_row(sample: Sample, found: Diagnosis) -> Row:
    """Overlap of what is treated with what is damaged, for the kinds that are in either, and of the regions."""
    masks = [mask_cells(mask) for mask in sample.regions]
    return {"map_iou": dict(_map_overlaps(sample, found)), "region_iou": _region_overlap(found, masks)}


def _map_overlaps(sample: Sample, found: Diagnosis) -> Iterator[tuple[str, float]]:
    for kind in NAMES:
        true = sample.truth[INDEX[kind]] >= BY_NAME[kind].threshold
        both = overlap(found.cells(kind) > 0, true)
        if both is not None:
            yield kind, both


def _region_overlap(found: Diagnosis, masks: Sequence[Cells]) -> float | None:
    from conservator.quality.reference import region_iou

    return region_iou([region.mask for region in found.regions], masks) if masks else None


def kind_row(kind: str, pool: Pool) -> Row | None:
    """Figures of one kind over all its cells; None when it is nowhere.

    Present cells are those above the kind's threshold, absent ones have no trace of it; what lies between is judged by
    neither. Ranking and calibration use presence, the error is that of severity where the kind is present.
    """
    truth, presence, raw, deviation, treated = (np.concatenate(column) for column in vars(pool).values())
    degradation = BY_NAME[kind]
    present, absent = truth >= degradation.threshold, truth == 0
    if not present.any():
        return None
    judged = present | absent
    error = np.abs(degradation.value(raw[present]) - degradation.value(truth[present]))
    return {
        "kind": kind,
        "cells_present_percent": percent(present),
        "auc": auc(presence[judged], present[judged]),
        "mean_error": float(error.mean()),
        "unit": degradation.unit,
        "calibration_error": calibration_error(presence[judged], present[judged]),
        "within_deviation_percent": percent(np.abs(raw - truth)[present] <= deviation[present]),
        "treated_of_present_percent": percent(treated[present] > 0),
        "treated_of_absent_percent": percent(treated[absent] > 0),
    }


def _summary(rows: Sequence[Row], pools: dict[str, dict[str, Pool]]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {}
    for draw, kinds in pools.items():
        own = [row for row in rows if row["draw"] == draw]
        overlaps = partial(_mean_overlap, own)
        found = [row | {"map_iou": overlaps(kind)} for kind, pool in kinds.items() if (row := kind_row(kind, pool))]
        tables[f"{draw} damage, kind by kind"] = found
    tables["regions against the true partition"] = [_regions(rows)]
    return tables


def _mean_overlap(rows: Sequence[Row], kind: str) -> float | None:
    return mean([row["map_iou"][kind] for row in rows if kind in row["map_iou"]])


def _regions(rows: Sequence[Row]) -> Row:
    found = [row["region_iou"] for row in rows if row["region_iou"] is not None]
    return {"photos": len(found), "region_iou": mean(found), "above_half_percent": percent(np.array(found) > 0.5)}
