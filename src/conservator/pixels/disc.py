"""An aperture's disc: its kernel, its transfer function, and the picture that was sharp before it.

The sharp picture minimises ½|h ∗ x − y|² + λ|∇x|, total variation over the three colours together, by half-quadratic
splitting (Wang, Yang, Yin & Zhang, SIAM J. Imaging Sciences 2008) from a Wiener estimate: one round, which is most of
what eight give.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from conservator.pixels.types import Pixels

Floats = NDArray[np.float32]

_LEAST = np.float32(1e-9)

FADE = 48
"""Most px over which the border fades: slower than any zero of a disc up to 8 px, so that it does not ring itself."""

WEIGHT = 32.0
"""Of the splitting: gradients below 1 / WEIGHT are taken for ringing."""

VARIATION = 1 / 30
"""λ per unit of the Wiener estimate's doubt: so both are best at the same noise."""


def disc(radius: float) -> Floats:
    """Kernel of a disc of `radius` px ≥ 0, float32 (n, n), n odd; at the rim a pixel counts in part."""
    half = math.ceil(radius + 0.5)
    reach = np.arange(-half, half + 1)
    inside = np.clip(radius + 0.5 - np.hypot(reach[:, None], reach), 0, 1)
    return np.asarray(inside / inside.sum(), np.float32)


@lru_cache(maxsize=16)
def transfer(radius: float, size: tuple[int, int]) -> Floats:
    """Transfer function of the disc, real, float32 (H, W // 2 + 1) as `rfft2` orders frequencies."""
    kernel = disc(radius)
    plane, half = np.zeros(size, np.float32), len(kernel) // 2
    rows, columns = (np.arange(-half, half + 1) % side for side in size)
    np.add.at(plane, (rows[:, None], columns), kernel)
    return np.ascontiguousarray(fft.rfft2(plane).real)


def sharpened(pixels: Pixels, radius: float, doubt: float, margin: int) -> Pixels:
    """The picture before a disc of `radius` px blurred it.

    pixels   float32 (H, W, 3), sides at least 2 · margin
    radius   in px, > 0
    doubt    noise-to-signal ratio at half the sampling frequency, > 0; the larger, the more cautious
    margin   px along the border that are only there to be seen; the outermost fade to the mean against wrap-around

    returns  float32 (H, W, 3), not clipped; right inside the margin
    """
    size = pixels.shape[0], pixels.shape[1]
    mean = pixels.mean(axis=(0, 1))
    planes = np.ascontiguousarray(((pixels - mean) * _fade(size, min(margin, FADE))[..., None]).transpose(2, 0, 1))
    blur, slope = transfer(radius, size), _slope(size)
    seen, power = fft.rfft2(planes) * blur, blur * blur
    sharp = fft.irfft2(seen * (1 / (power + np.float32(4 * doubt) * _squared(size) + _LEAST)), size)
    pull = np.float32(WEIGHT * VARIATION * doubt)
    seen += pull * fft.rfft2(_shrunk_gradient(sharp))
    sharp = fft.irfft2(seen * (1 / (power + pull * slope + _LEAST)), size)
    return np.asarray(sharp.transpose(1, 2, 0) + mean, np.float32)


def _shrunk_gradient(planes: Floats) -> Floats:
    """−div of the gradient (3, H, W), shortened by 1 / weight: what total variation would have it be."""
    across, down = np.roll(planes, -1, 2) - planes, np.roll(planes, -1, 1) - planes
    length = np.sqrt((across * across + down * down).sum(axis=0)) + _LEAST
    share = np.maximum(1 - 1 / (np.float32(WEIGHT) * length), 0)
    across *= share
    down *= share
    return np.asarray(np.roll(across, 1, 2) - across + np.roll(down, 1, 1) - down)


def _fade(size: tuple[int, int], margin: int) -> Floats:
    """1 inside, falling to 0 over the margin, (H, W)."""
    rows, columns = (_ramp(side, margin) for side in size)
    return rows[:, None] * columns


def _ramp(side: int, margin: int) -> Floats:
    depth = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    share = np.clip(depth / max(margin, 1), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


@lru_cache(maxsize=8)
def _slope(size: tuple[int, int]) -> Floats:
    """Transfer function of −div grad with forward differences."""
    rows, columns = (4 * np.sin(np.pi * axis) ** 2 for axis in (fft.fftfreq(size[0]), fft.rfftfreq(size[1])))
    return np.asarray(rows[:, None] + columns, np.float32)


@lru_cache(maxsize=8)
def _squared(size: tuple[int, int]) -> Floats:
    """Squared frequency, (cycles / px)²."""
    return np.asarray(fft.fftfreq(size[0])[:, None] ** 2 + fft.rfftfreq(size[1]) ** 2, np.float32)
