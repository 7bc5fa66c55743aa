"""Regions: soft masks with a name, a source and what ails them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from conservator.errors import UsageError
from conservator.pixels.types import Mask

WHOLE = "whole"
"""Id of the region that is the entire frame, each place as severe as its map says."""

EVERYWHERE = "everywhere"
"""Id of the frame taken as one thing: each kind is equally severe all over, at its mean where it was found."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the frame.

    id          short name, unique in a diagnosis: "r1", "r2", …
    mask        float32 (h, w) in [0, 1] on the cell grid (one value per CELL × CELL pixels), or (H, W) for "text"
    source      who drew it: "perceiver", "user", "sam", "text"
    severities  mean severity in [0, 1] of each degradation that ails it
    """

    id: str
    mask: Mask
    source: str = "perceiver"
    severities: Mapping[str, float] = field(default_factory=dict)

    @property
    def area(self) -> float:
        """Share of the frame, in [0, 1]."""
        return float(np.mean(self.mask))

    @property
    def clean(self) -> bool:
        """True when nothing ails the region."""
        return not self.severities


def area(chosen: Iterable[str], regions: Iterable[Region]) -> Mask | float:
    """Where some of the regions are: their masks added, at most 1; 1.0 for the frame. UsageError for an unknown id."""
    ids = tuple(chosen)
    if ids in ((WHOLE,), (EVERYWHERE,)):
        return 1.0
    masks = {region.id: region.mask for region in regions}
    if unknown := [one for one in ids if one not in masks]:
        wanted = f"some of {sorted(masks)}, {WHOLE!r} or {EVERYWHERE!r}"
        raise UsageError(f"regions {unknown}", wanted, "see the diagnosis")
    return np.asarray(np.clip(sum(masks[one] for one in ids), 0.0, 1.0), np.float32)
