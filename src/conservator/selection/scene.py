"""A photograph as the words look at it: a small copy, its tones and texture, and its diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conservator.diagnosis import Diagnosis
from conservator.pixels.reduce import resample_cells, thumbnail
from conservator.pixels.types import Mask, Pixels, Samples

LONGEST = 384
"""Pixels of the long side of the small copy: large enough for a face in a group, small enough for milliseconds."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What there is to look at.

    samples     uint16 (H, W, 3)
    diagnosis   of these samples
    """

    samples: Samples
    diagnosis: Diagnosis

    @cached_property
    def small(self) -> Pixels:
        """float32 (h, w, 3) in [0, 1], at most LONGEST on a side."""
        return thumbnail(self.samples, LONGEST)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the small copy."""
        return self.small.shape[0], self.small.shape[1]

    @cached_property
    def lab(self) -> Pixels:
        """CIE L*a*b*, float32 (h, w, 3): L in [0, 100]."""
        import cv2

        return np.asarray(cv2.cvtColor(self.small, cv2.COLOR_RGB2Lab), np.float32)

    @property
    def lightness(self) -> Mask:
        """L* in [0, 100]."""
        return self.lab[..., 0]

    @cached_property
    def texture(self) -> Mask:
        """Standard deviation of L* in 5 × 5 pixels."""
        import cv2

        mean, square = (cv2.blur(plane, (5, 5)) for plane in (self.lightness, self.lightness**2))
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float32)

    def cells(self, kind: str) -> Mask:
        """Whether a kind of damage is to be treated, in [0, 1], at the small size."""
        here = (self.diagnosis.cells(kind) > 0).astype(np.float32)
        full = self.samples.shape[0], self.samples.shape[1]
        return np.asarray(resample_cells(here[None], full, self.size)[0], np.float32)


def ramp(values: Mask, low: float, high: float) -> Mask:
    """0 below `low`, 1 above `high`, smooth between; falls where high < low."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def guided(mask: Mask, guide: Mask, radius: int = 6, eps: float = 1e-3) -> Mask:
    """The mask drawn to the edges of the guide in [0, 1] (guided filter, He et al., TPAMI 2013); both (h, w)."""
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_m = cv2.blur(guide, size), cv2.blur(mask, size)
    variance = cv2.blur(guide * guide, size) - mean_g**2
    a = (cv2.blur(guide * mask, size) - mean_g * mean_m) / (np.maximum(variance, 0) + eps)
    b = mean_m - a * mean_g
    return np.asarray(np.clip(cv2.blur(a, size) * guide + cv2.blur(b, size), 0, 1), np.float32)
