"""From probabilities to decisions: act only where the diagnosis is sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import BY_NAME, Sight
from conservator.models.catalogue import MODELS
from conservator.perception import local
from conservator.pixels.types import Mask

SEED_PRECISION = 0.98
GROW_PRECISION = 0.95
"""Local damage: of the cells above the threshold, this share was truly damaged on held-out photographs."""

LEAST = MappingProxyType({"jpeg": (0.95, 0.95), "rain": (0.95, 0.6)})
USUAL_LEAST = (0.9, 0.8)
"""Least probabilities for local damage, seed and grow, chosen on held-out photographs: where compression leaks into a
clean cell beside it little was to be gained; rain is worth much, and few of its cells are sure, but leaves and letters
look like it here and there."""

SCENE = MappingProxyType({"haze": (0.95, 0.4), "low_light": (0.95, 0.35), "over_exposure": (0.9, 0.4)})
"""Haze and exposure, seed and grow: `training/tune_gate.py` prints gain against harm on held-out photographs. It would
allow less, but real close-ups of dark or pale things are judged wrongly more often than those photographs. What has
begun spreads far: half a face brightened looks worse than none or all of it."""

FADING = (0.7, 0.9)
"""Presence of haze and exposure up to which nothing is done and from which everything: what spreads ends where it is
believed no more, and without an edge. On 144 held-out mixtures 98.0 instead of 96.0 % of what was clean stays so, and
0.15 dB less is gained."""

MOSTLY = 0.6
"""Presence that three of four cells must reach for haze or exposure to be the whole frame's, which is treated to its
last cell: a face must not stay dark in a room that was lit. All real exposures reach it, no mixture held out does."""

EVERYWHERE = MappingProxyType(
    {"noise": (0.5, 0.25), "jpeg": (0.5, 0.25), "rain": (0.5, 0.19), "motion_blur": (0.8, 0.4)}
)
"""Local damage whose presence reaches the first in half of the cells and the second in 19 of 20 is the whole frame's,
and those are seed and grow then: many cells that are half sure are sure together. No clean photograph held out comes
near, nor any with a clean region: medians reach 0.35 at most, without rain 0.15 for rain; soft and grainy ones 0.58 for
motion. Defocus is not among these: a soft lens reaches 0.84."""

FAINT = 0.7
"""Share of the least severity from which it is treated then: from σ 3 on, not 6. All over a frame it is not texture."""

SMALLEST = MappingProxyType({"rain": 40})
USUAL_SMALLEST = 12
"""Fewest sure cells of a treated patch: 12 cells are 28 × 28 px, below which a detection is a speck. A few leaves or
letters pass for rain."""

SMALLEST_SHARE = MappingProxyType({"haze": 0.04, "low_light": 0.012, "over_exposure": 0.012})
"""Least share of the frame that must be surely hazy or wrongly exposed: a real veil shows in many places."""


@dataclass(frozen=True)
class Gate:
    """Two presence probabilities per kind: damage starts where `seed` is passed and spreads to where `grow` is."""

    seed: Mapping[str, float] = field(default_factory=dict)
    grow: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def calibrated(cls) -> Gate:
        """Thresholds measured when the shipped perceivers were trained."""
        table = MODELS[local.MODEL].calibration
        least = {kind: LEAST.get(kind, USUAL_LEAST) for kind in table}
        seed = {k: max(least[k][0], v[f"precision_{round(SEED_PRECISION * 100)}"]) for k, v in table.items()}
        grow = {k: max(least[k][1], v[f"precision_{round(GROW_PRECISION * 100)}"]) for k, v in table.items()}
        for kind, pair in SCENE.items():
            seed[kind], grow[kind] = pair
        return cls(seed, grow)

    def decide(self, kind: str, presence: Mask, severity: Mask) -> Mask:
        """Severity to treat, float32 (h, w): exactly 0 outside connected patches that hold enough sure cells.

        A wrong veil or exposure harms as much as a right one helps, so these are treated with their expected severity.
        """
        from scipy import ndimage

        low, high, least = self.grow[kind], self.seed[kind], BY_NAME[kind].threshold
        if kind in EVERYWHERE and _everywhere(presence, *EVERYWHERE[kind]):
            (high, low), least = EVERYWHERE[kind], FAINT * least
        candidate = (presence >= min(low, high)) & (severity >= least)
        labels, count = ndimage.label(candidate, np.ones((3, 3)))
        if not count:
            return np.zeros_like(severity)
        sure = np.bincount(labels[presence >= high], minlength=count + 1)
        frame = BY_NAME[kind].sight is Sight.FRAME
        fewest = SMALLEST_SHARE[kind] * presence.size if frame else SMALLEST.get(kind, USUAL_SMALLEST)
        keep: NDArray[np.bool_] = sure >= min(fewest, presence.size // 2 + 1)
        keep[0] = False
        amount = severity * presence * _belief(presence) if frame else severity
        return np.where(keep[labels], amount, 0.0).astype(np.float32)


def _belief(presence: Mask) -> Mask:
    """Share of haze and exposure that is treated, float32 (h, w) in [0, 1]."""
    if np.quantile(presence, 0.25) >= MOSTLY:
        return np.ones_like(presence)
    return np.asarray(np.clip((presence - FADING[0]) / (FADING[1] - FADING[0]), 0, 1), np.float32)


def _everywhere(presence: Mask, half: float, most: float) -> bool:
    median, least = np.quantile(presence, (0.5, 0.05))
    return bool(median >= half and least >= most)
