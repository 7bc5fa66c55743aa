"""The picture that was sharp before a known kernel blurred it, in a frame or in a region of one.

The sharp picture minimises ½|h ∗ x − y|² + λ|∇x|, total variation over the three colours together, by half-quadratic
splitting (Wang, Yang, Yin & Zhang, SIAM J. Imaging Sciences 2008) from a Wiener estimate: one round, which is most of
what eight give.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from conservator.pixels.types import Mask, Pixels

Floats = NDArray[np.float32]
Response = NDArray[np.float32] | NDArray[np.complex64]

_LEAST = np.float32(1e-9)

FADE = 48
"""Most px over which the border fades: slower than any zero of a disc up to 8 px, so that it does not ring itself."""

WEIGHT = 32.0
"""Of the splitting: gradients below 1 / WEIGHT are taken for ringing."""

VARIATION = 1 / 30
"""λ per unit of the Wiener estimate's doubt: so both are best at the same noise."""

PRESENT = 0.25
"""Least severity of a blurred region."""

AROUND = (63, 63)
"""Window in px whose severity a pixel's is compared with."""

PARTLY = (0.5, 0.85)
"""Share of the severity around it at which a pixel starts to be sharpened, and from which on it is in full."""


def sharpened(pixels: Pixels, response: Response, doubt: float, margin: int) -> Pixels:
    """The picture before a kernel blurred it.

    pixels    float32 (H, W, 3), sides at least 2 · margin
    response  transfer function of the kernel, (H, W // 2 + 1) as `rfft2` orders frequencies
    doubt     noise-to-signal ratio at half the sampling frequency, > 0; the larger, the more cautious
    margin    px along the border that are only there to be seen; the outermost fade to the mean against wrap-around

    returns   float32 (H, W, 3), not clipped; right inside the margin
    """
    size = pixels.shape[0], pixels.shape[1]
    mean = pixels.mean(axis=(0, 1))
    planes = np.ascontiguousarray(((pixels - mean) * fading(size, min(margin, FADE))[..., None]).transpose(2, 0, 1))
    slope = slope_power(size)
    seen, power = fft.rfft2(planes) * response.conj(), np.square(np.abs(response))
    sharp = fft.irfft2(seen * (1 / (power + np.float32(4 * doubt) * _squared(size) + _LEAST)), size)
    pull = np.float32(WEIGHT * VARIATION * doubt)
    seen += pull * fft.rfft2(_shrunk_gradient(sharp))
    sharp = fft.irfft2(seen * (1 / (power + pull * slope + _LEAST)), size)
    return np.asarray(sharp.transpose(1, 2, 0) + mean, np.float32)


def wholly_blurred(amount: Mask) -> Mask:
    """Where a pixel is all blurred, (H, W) in [0, 1]: at a soft border, sharp and blurred lie on top of each other."""
    level = cv2.blur(amount**3, AROUND) / np.maximum(cv2.blur(amount**2, AROUND), 1e-6)
    share = amount / np.maximum(level, PRESENT)
    return np.asarray(np.clip((share - PARTLY[0]) / (PARTLY[1] - PARTLY[0]), 0, 1), np.float32)


def blurred_along(pixels: Pixels, share: Mask, kernel: Floats) -> Pixels:
    """Pixels (H, W, C) with what is sharp among them blurred along: its edges would ring far into what is blurred."""
    if share.min() >= 1:
        return pixels
    blurred = cv2.filter2D(pixels, -1, np.ascontiguousarray(kernel[::-1, ::-1])).reshape(pixels.shape)
    return np.asarray(pixels + (1 - share[..., None]) * (blurred - pixels), np.float32)


def response_of(kernel: Floats, size: tuple[int, int]) -> NDArray[np.complex64]:
    """Transfer function of a kernel (n, n), n odd, over a picture of this size."""
    plane, half = np.zeros(size, np.float32), len(kernel) // 2
    rows, columns = (np.arange(-half, half + 1) % side for side in size)
    np.add.at(plane, (rows[:, None], columns), kernel)
    return np.asarray(fft.rfft2(plane), np.complex64)


def fading(size: tuple[int, int], margin: int) -> Floats:
    """1 inside, falling to 0 over the margin, (H, W)."""
    rows, columns = (_ramp(side, margin) for side in size)
    return rows[:, None] * columns


def gradient(planes: Floats) -> tuple[Floats, Floats]:
    """Forward differences of (…, H, W) across and down, the picture taken for periodic."""
    return np.roll(planes, -1, -1) - planes, np.roll(planes, -1, -2) - planes


def divergence(across: Floats, down: Floats) -> Floats:
    """−div, the transpose of `gradient`."""
    return np.asarray(np.roll(across, 1, -1) - across + np.roll(down, 1, -2) - down)


@lru_cache(maxsize=8)
def slope_power(size: tuple[int, int]) -> Floats:
    """Transfer function of −div grad with forward differences."""
    rows, columns = (4 * np.sin(np.pi * axis) ** 2 for axis in (fft.fftfreq(size[0]), fft.rfftfreq(size[1])))
    return np.asarray(rows[:, None] + columns, np.float32)


def _shrunk_gradient(planes: Floats) -> Floats:
    """−div of the gradient (3, H, W), shortened by 1 / weight: what total variation would have it be."""
    across, down = gradient(planes)
    length = np.sqrt((across * across + down * down).sum(axis=0)) + _LEAST
    share = np.maximum(1 - 1 / (np.float32(WEIGHT) * length), 0)
    return divergence(across * share, down * share)


def _ramp(side: int, margin: int) -> Floats:
    depth = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    share = np.clip(depth / max(margin, 1), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


@lru_cache(maxsize=8)
def _squared(size: tuple[int, int]) -> Floats:
    """Squared frequency, (cycles / px)²."""
    return np.asarray(fft.fftfreq(size[0])[:, None] ** 2 + fft.rfftfreq(size[1]) ** 2, np.float32)
