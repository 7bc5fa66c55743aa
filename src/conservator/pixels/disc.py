"""An aperture's disc: its kernel and its transfer function."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from conservator.pixels.deconvolution import response_of

Floats = NDArray[np.float32]


def disc(radius: float) -> Floats:
    """Kernel of a disc of `radius` px ≥ 0, float32 (n, n), n odd; at the rim a pixel counts in part."""
    half = math.ceil(radius + 0.5)
    reach = np.arange(-half, half + 1)
    inside = np.clip(radius + 0.5 - np.hypot(reach[:, None], reach), 0, 1)
    return np.asarray(inside / inside.sum(), np.float32)


@lru_cache(maxsize=16)
def transfer(radius: float, size: tuple[int, int]) -> Floats:
    """Transfer function of the disc, real, float32 (H, W // 2 + 1) as `rfft2` orders frequencies."""
    return np.ascontiguousarray(response_of(disc(radius), size).real)
