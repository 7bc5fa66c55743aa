"""Full-reference measures: how close a result is to a known truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.pixels.types import Mask, Pixels

SSIM_WINDOW = 11
"""Side in pixels of SSIM's Gaussian window: sigma 1.5 cut at 3.5 sigma."""


def psnr(result: Pixels, truth: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, at least 0 for pictures in range; infinite when they are equal.

    result, truth   float32 (H, W, 3) in [0, 1]
    The peak is 1; the error is averaged over pixels and channels, as in scikit-image and the denoising literature.
    Raises UsageError when the shapes differ.
    """
    _check(result, truth)
    return _decibel(float(np.mean(np.square(result.astype(np.float64) - truth))))


def psnr_inside(result: Pixels, truth: Pixels, mask: Mask) -> float:
    """The same inside a mask, in dB: each pixel's error counts as much as the mask says.

    result, truth   float32 (H, W, 3) in [0, 1]
    mask            float32 (H, W) in [0, 1]
    Raises UsageError when shapes differ or the mask is empty.
    """
    _check(result, truth)
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

    _check(result, truth)
    if min(result.shape[:2]) < SSIM_WINDOW:
        raise UsageError(f"pictures of shape {result.shape}", f"at least {SSIM_WINDOW} pixels on a side")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    similarity: Callable[..., float] = structural_similarity
    return float(similarity(result, truth, channel_axis=-1, **options))


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


def _check(result: Pixels, truth: Pixels) -> None:
    if result.shape != truth.shape or result.ndim != 3 or result.shape[2] != 3 or not result.size:
        raise UsageError(f"pictures of shapes {result.shape} and {truth.shape}", "(H, W, 3), the same for both")
