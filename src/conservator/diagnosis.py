"""Diagnosis: what is wrong and where, for one state of one photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conservator.degradations import BY_NAME, CELL, DEGRADATIONS, INDEX, NAMES
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.pixels.upsample import upsample
from conservator.regions import Region


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Maps, regions and confidence.

    size       (H, W) of the photo in pixels
    maps       float32 (D, h, w), severity in [0, 1]; exactly 0 where nothing should be treated
    raw        float32 (D, h, w), severity before the confidence gate
    deviation  float32 (D, h, w), standard deviation of `raw`, same unit
    presence   float32 (D, h, w), calibrated probability that the damage is there
    guide      float32 (h, w, 3), mean colour of each cell, for upsampling
    regions    at most eight regions that differ in what ails them, clean ones included
    """

    size: tuple[int, int]
    maps: Maps
    raw: Maps
    deviation: Maps
    presence: Maps
    guide: Pixels
    regions: tuple[Region, ...] = ()

    @property
    def degradations(self) -> tuple[str, ...]:
        """Names of what is to be treated anywhere, in channel order."""
        return tuple(name for name in NAMES if self.maps[INDEX[name]].any())

    @property
    def clean(self) -> bool:
        """True when nothing is to be treated."""
        return not self.maps.any()

    def cells(self, name: str) -> Mask:
        """Severity of one degradation on the cell grid, float32 (h, w)."""
        return np.asarray(self.maps[INDEX[name]])

    def damage(self) -> float:
        """Total perceived damage: mean over the frame of the sum of severities. 0 is clean."""
        return float(self.maps.sum(axis=0).mean())

    def whole(self, cells: Mask) -> Mask:
        """A map on the cell grid (h, w), such as a region's mask, per pixel: float32 (H, W)."""
        if not cells.any():
            return np.zeros(self.size, np.float32)
        # The grid's last cells may reach beyond the frame: upsample on whole cells, then look through the frame.
        grid = (cells.shape[0] * CELL, cells.shape[1] * CELL)
        return np.asarray(upsample(cells[None], grid, (0, 0, *self.size))[0])

    @property
    def severity(self) -> Mapping[str, Mask]:
        """Severity per pixel, float32 (H, W) per degradation; upsampled when asked for."""
        return _SeverityView(self)

    def to_dict(self) -> dict[str, Any]:
        """What a record keeps: no pixels."""
        return {
            "size": list(self.size),
            "damage": round(self.damage(), 5),
            "degradations": {
                d.name: {
                    "mean_severity": round(float(self.cells(d.name).mean()), 4),
                    "worst_severity": round(float(self.cells(d.name).max()), 4),
                    "share_of_frame": round(float((self.cells(d.name) > 0).mean()), 4),
                    "typical_value": round(_typical(self, d.name), 2),
                    "unit": d.unit,
                }
                for d in DEGRADATIONS
                if self.cells(d.name).any()
            },
            "regions": [
                {
                    "id": r.id,
                    "source": r.source,
                    "area": round(r.area, 4),
                    "severities": {k: round(v, 4) for k, v in r.severities.items()},
                }
                for r in self.regions
            ],
        }


def _typical(diagnosis: Diagnosis, name: str) -> float:
    cells = diagnosis.cells(name)
    return float(BY_NAME[name].value(np.median(cells[cells > 0])))


class _SeverityView(Mapping[str, Mask]):
    def __init__(self, diagnosis: Diagnosis) -> None:
        self._diagnosis = diagnosis

    def __getitem__(self, name: str) -> Mask:
        return self._diagnosis.whole(self._diagnosis.cells(name))

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)
