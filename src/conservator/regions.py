"""Regions: soft masks with a name, a source and what ails them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

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
