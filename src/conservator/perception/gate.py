"""From probabilities to decisions: act only where the diagnosis is sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import BY_NAME
from conservator.models.catalogue import MODELS
from conservator.perception import frame, local
from conservator.pixels.types import Mask

SEED_PRECISION = 0.98
GROW_PRECISION = 0.9
SMALLEST = 12
"""Fewest cells of a treated patch: 12 cells are 28 × 28 px, below which a detection is a speck."""


@dataclass(frozen=True)
class Gate:
    """Two presence probabilities per kind: damage starts where `seed` is passed and spreads to where `grow` is.

    The numbers come from the model cards: the probability above which that share of cells was truly damaged on
    held-out training photographs.
    """

    seed: Mapping[str, float] = field(default_factory=dict)
    grow: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def calibrated(cls) -> Gate:
        """Thresholds measured when the shipped perceivers were trained."""
        table = {k: v for model in (local.MODEL, frame.MODEL) for k, v in MODELS[model].calibration.items()}
        return cls(
            {k: max(0.5, v[f"precision_{round(SEED_PRECISION * 100)}"]) for k, v in table.items()},
            {k: max(0.3, v[f"precision_{round(GROW_PRECISION * 100)}"]) for k, v in table.items()},
        )

    def decide(self, kind: str, presence: Mask, severity: Mask) -> Mask:
        """Severity to treat, float32 (h, w): exactly 0 outside connected patches that hold a sure cell."""
        from scipy import ndimage

        low, high = self.grow[kind], self.seed[kind]
        candidate = (presence >= min(low, high)) & (severity >= BY_NAME[kind].threshold)
        labels, count = ndimage.label(candidate, np.ones((3, 3)))
        if not count:
            return np.zeros_like(severity)
        sure = np.bincount(labels[presence >= high], minlength=count + 1)
        keep: NDArray[np.bool_] = sure >= min(SMALLEST, presence.size // 2 + 1)
        keep[0] = False
        return np.where(keep[labels], severity, 0.0).astype(np.float32)
