"""Full-reference measures: how close a result is to a known truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.pixels.types import Mask, Pixels

Floats = NDArray[np.float64]

SSIM_WINDOW = 11
"""Side in pixels of SSIM's Gaussian window: sigma 1.5 cut at 3.5 sigma."""

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's scales, the finest first."""


def psnr(result: Pixels, truth: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, at least 0 for pictures in range; infinite when they are equal.

    result, truth   float32 (H, W, 3) in [0, 1]
    The peak is 1; the error is averaged over pixels and channels, as in scikit-image and the denoising literature.
    Raises UsageError when the shapes differ.
    """
    check_alike(result, truth)
    return _decibel(float(np.mean(np.square(result.astype(np.float64) - truth))))


def psnr_inside(result: Pixels, truth: Pixels, mask: Mask) -> float:
    """The same inside a mask, in dB: each pixel's error counts as much as the mask says.

    result, truth   float32 (H, W, 3) in [0, 1]
    mask            float32 (H, W) in [0, 1]
    Raises UsageError when shapes differ or the mask is empty.
    """
    check_alike(result, truth)
    if mask.shape != result.shape[:2]:
        raise UsageError(f"mask of shape {mask.shape}", f"{result.shape[:2]}", "resize the mask")
    total = float(mask.sum(dtype=np.float64))
    if total <= 0:
        raise UsageError("an empty mask", "at least one pixel to measure")
    error = np.square(result.astype(np.float64) - truth).mean(axis=-1)
    return _decibel(float((error * mask).sum()) / total)


def ssim(result: Pixels, truth: Pixels) -> float:
    """Structural similarity in [-1, 1], 1 when equal: mean over channels and pixels.

    result, truth   float32 (H, W, 3) in [0, 1], at least 11 x 11 pixels
    Wang et al. (TIP 2004): Gaussian window of sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03; scikit-image's.
    Raises UsageError when the shapes differ or the pictures are smaller than the window.
    """
    from skimage.metrics import structural_similarity

    check_alike(result, truth)
    if min(result.shape[:2]) < SSIM_WINDOW:
        raise UsageError(f"pictures of shape {result.shape}", f"at least {SSIM_WINDOW} pixels on a side")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    similarity: Callable[..., float] = structural_similarity
    return float(similarity(result, truth, channel_axis=-1, **options))


def ms_ssim(result: Pixels, truth: Pixels) -> float:
    """Multi-scale structural similarity in [0, 1], 1 when equal.

    result, truth   float32 (H, W, 3) in [0, 1], more than 160 pixels on a side
    Wang et al. (Asilomar 2003): SSIM's contrast and structure at five scales, halved by means of 2 x 2, luminance at
    the last; over all channels at once and negative terms at 0, as in torchmetrics.
    Raises UsageError when the shapes differ or the pictures are too small.
    """
    check_alike(result, truth)
    least = (SSIM_WINDOW - 1) * 2 ** (len(SCALES) - 1)
    if min(result.shape[:2]) <= least:
        raise UsageError(f"pictures of shape {result.shape}", f"more than {least} pixels on a side")
    pair, value = (result.astype(np.float64), truth.astype(np.float64)), 1.0
    for i, exponent in enumerate(SCALES):
        if i:
            pair = _halved(pair[0]), _halved(pair[1])
        whole, contrast = _similarities(*pair)
        term = whole.mean() if i == len(SCALES) - 1 else contrast[5:-5, 5:-5].mean()
        value *= max(float(term), 0.0) ** exponent
    return value


def _similarities(result: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """SSIM and its contrast-structure term per pixel and channel."""
    from scipy.ndimage import gaussian_filter

    def mean(plane: Floats) -> Floats:
        return np.asarray(gaussian_filter(plane, (1.5, 1.5, 0), mode="mirror", truncate=3.5))

    a, b = mean(result), mean(truth)
    spread = mean(result * result) - a * a + mean(truth * truth) - b * b + 0.03**2
    contrast = (2 * (mean(result * truth) - a * b) + 0.03**2) / spread
    return contrast * (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2), contrast


def gmsd(result: Pixels, truth: Pixels) -> float:
    """Gradient magnitude similarity deviation: how unevenly edges were changed; at least 0, 0 when equal.

    result, truth   float32 (H, W, 3) in [0, 1]
    Xue et al. (TIP 2014): Prewitt gradients of the halved luma, the standard deviation of their similarity. It follows
    people's judgement more closely than SSIM and needs no weights. Raises UsageError when the shapes differ.
    """
    check_alike(result, truth)
    a, b = (_gradient(_halved(np.pad(_luma(p), [(0, n % 2) for n in p.shape[:2]]))) for p in (result, truth))
    constant = 170 / 255**2
    return float(np.std((2 * a * b + constant) / (a * a + b * b + constant)))


def _gradient(plane: Floats) -> Floats:
    from scipy.ndimage import correlate

    prewitt = np.array([[1, 0, -1]] * 3) / 3
    across, down = (correlate(plane, kernel, mode="constant") for kernel in (prewitt, prewitt.T))
    return np.asarray(np.hypot(across, down))


def _luma(picture: Pixels) -> Floats:
    return np.asarray(picture.astype(np.float64) @ [0.299, 0.587, 0.114])


def _halved(plane: Floats) -> Floats:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    even = plane[: len(plane) // 2 * 2, : plane.shape[1] // 2 * 2]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def region_iou(found: Sequence[Mask] | NDArray[np.float32], truth: Sequence[Mask] | NDArray[np.float32]) -> float:
    """How well found regions match true ones: mean over the true regions of intersection over union, in [0, 1].

    found, truth   masks, float32 (h, w) in [0, 1] each, any number of them

    Each true region is matched with at most one found region, so that the sum is largest (Hungarian method); one left
    over scores 0. Soft masks compare by sum of minima over sum of maxima, which is the usual ratio when they are
    binary. Empty masks are no regions; where neither side has any, the two agree: 1.
    Raises UsageError when the masks' shapes differ.
    """
    from scipy.optimize import linear_sum_assignment

    ours, theirs = ([np.asarray(m, np.float64) for m in masks if np.any(m)] for masks in (found, truth))
    if len({m.shape for m in ours + theirs}) > 1:
        shapes = sorted({m.shape for m in ours + theirs})
        raise UsageError(f"masks of shapes {shapes}", "one shape", "resize them to one grid")
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    table = np.array([[np.minimum(a, b).sum() / np.maximum(a, b).sum() for b in theirs] for a in ours])
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(theirs))


def _decibel(error: float) -> float:
    return -10.0 * math.log10(error) if error > 0 else math.inf


def check_alike(result: Pixels, truth: Pixels) -> None:
    """UsageError unless both are pictures (H, W, 3) of one size, with something in them."""
    if result.shape != truth.shape or result.ndim != 3 or result.shape[2] != 3 or not result.size:
        raise UsageError(f"pictures of shapes {result.shape} and {truth.shape}", "(H, W, 3), the same for both")
