"""Motion blur: the path that smeared each region is read from the region and divided out; a network finishes the work.

The severity map only says where to look and how long the path may be; its shape is what the picture itself shows.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from scipy import fft, ndimage

from conservator.degradations import INDEX, MOTION_BLUR
from conservator.models.runtime import thread_limit
from conservator.pixels.deconvolution import (
    PRESENT,
    blurred_along,
    fading,
    response_of,
    sharpened,
    wholly_blurred,
)
from conservator.pixels.motion import Floats, find_kernel, reach_of, settled
from conservator.pixels.motion_evidence import agreement, noise_of, rippling, smoothness, spilled
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.tools.card import Tiles, tool
from conservator.tools.finishing import MODEL, finished

Box: TypeAlias = tuple[slice, slice]

SOURCE = (
    "kernel: Cho & Lee (SIGGRAPH Asia 2009), Xu, Zheng & Jia (CVPR 2013); "
    "deconvolution: Wiener (1949), total variation by splitting (Wang et al., SIAM J. Imaging Sciences 2008)"
)
HALO = 96
"""Half of it fades out against wrap-around, half is what ripples need."""

WINDOW = 384
"""Most side in px of the part of a region that its path is read from: the one with most detail."""

TOGETHER = (33, 33)
"""Window in px over which severity is averaged before regions are told apart: specks are none."""

LEAST = 3.0
"""Fewest sides of a kernel that a region is high and wide: less shows no path."""

FADE = 4.0
"""Deviation in px of the fading rim that keeps sharp pixels out of the evidence."""

DOUBTS = (0.05, 0.15, 0.4)
"""Regularisations to choose from: a path is known to a few per cent only, and no better than that is its inverse."""

GRAIN = 0.02
"""Regularisation that noise of one 8-bit level in the luma asks for; it grows as noise to the power 1.6."""

RIPPLES = 0.5
"""Most change of what is flat, as a share of the mean change; above it the next regularisation is tried."""

PARTS = 0.6
"""Length of each of the two overlapping parts of a region that must show the same path."""

SPILT = 0.04
"""Most of a kernel on its rim: a path ends somewhere, what a region's outline puts into a kernel does not."""

AGREEING = (0.94, 0.98)
SMOOTH = (2.85, 3.1)
"""Agreement of the parts and smoothness along the path between which it is believed by degrees."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@tool(treats=(MOTION_BLUR.name,), halo=HALO, tiles=Tiles.DISCOURAGED, models=(MODEL,), source=SOURCE)
def motion_deblur(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Sharpens what movement smeared where the picture itself shows along which path; leaves the rest alone."""
    return finished(pixels, *stilled(pixels, severity[INDEX[MOTION_BLUR.name]]), severity, HALO)


def stilled(pixels: Pixels, amount: Mask) -> tuple[Pixels, Mask]:
    """The physics alone: every connected region by a path of its own, and how far each pixel's is believed.

    pixels  float32 (H, W, 3)
    amount  float32 (H, W), severity of motion blur
    """
    with fft.set_workers(thread_limit()):
        return _stilled(pixels, amount)


def _stilled(pixels: Pixels, amount: Mask) -> tuple[Pixels, Mask]:
    result, share, luma = pixels.copy(), wholly_blurred(amount), pixels @ LUMA
    believed = np.zeros_like(amount)
    labels, _ = ndimage.label(cv2.blur(amount, TOGETHER) > PRESENT)
    for number, around in enumerate(ndimage.find_objects(labels), 1):
        core = _clipped(around, amount.shape)
        if core is None:
            continue
        own = share * (labels == number)
        extent = float(MOTION_BLUR.value(np.average(amount[core], weights=own[core] + np.float32(1e-6))))
        found = _path(luma, own, core, extent)
        if found is not None:
            kernel, doubt, trust = found
            result[core] += trust * own[core][..., None] * (_sharp(pixels, own, core, kernel, doubt) - pixels[core])
            believed[core] += trust * own[core]
    return result, believed


def _clipped(around: Box, size: tuple[int, ...]) -> Box | None:
    """The part of a box inside the halo; None when there is none."""
    rows, columns = (
        slice(max(one.start, HALO), min(one.stop, side - HALO)) for one, side in zip(around, size, strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _path(luma: Mask, share: Mask, core: Box, extent: float) -> tuple[Floats, float, float] | None:
    """Kernel of a region, the doubt to divide it out with, and the trust in both; None without trust."""
    side = reach_of(extent)
    box = _window(luma, share, core)
    plane, share = luma[box], share[box]
    if min(plane.shape) < LEAST * side or share.sum() < (LEAST * side) ** 2:
        return None
    weight = share * _inside(share) * fading(plane.shape, side)
    parts = [_read(plane[part], weight[part], extent) for part in _parts(plane.shape)]
    trust = _between(agreement(*parts), AGREEING)
    if not trust:
        return None
    kernel = settled(plane, weight, np.mean(parts, axis=0))
    if spilled(kernel) > SPILT:
        return None
    noise = noise_of(plane, share)
    trust *= _between(smoothness(plane, weight, kernel, noise), SMOOTH)
    for doubt in DOUBTS if trust else ():
        calm = doubt >= min(GRAIN * (255 * noise) ** 1.6, DOUBTS[-1])
        if calm and rippling(plane, share, kernel, doubt, side) < RIPPLES:
            return kernel, doubt, trust
    return None


def _window(luma: Mask, share: Mask, core: Box) -> Box:
    """The part of the box with most detail, of sides good for FFTs."""
    height, width = (fft.prev_fast_len(min(WINDOW, one.stop - one.start), real=True) for one in core)
    across, down = (cv2.Sobel(luma[core], cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    total = cv2.integral(share[core] * (across * across + down * down))
    detail = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    row, column = np.unravel_index(int(detail.argmax()), detail.shape)
    top, left = core[0].start + int(row), core[1].start + int(column)
    return slice(top, top + height), slice(left, left + width)


def _inside(share: Mask) -> Mask:
    """Fades out at the region's rim, from the inside: a few sharp pixels hide the path of many."""
    return np.asarray(np.clip(2 * cv2.GaussianBlur(share, (0, 0), FADE) - 1, 0, 1), np.float32)


def _parts(size: tuple[int, ...]) -> list[Box]:
    """The first and the last part along the longer side."""
    longer = int(size[1] > size[0])
    length = fft.prev_fast_len(max(1, round(PARTS * size[longer])), real=True)
    whole = slice(0, size[1 - longer])
    parts = slice(0, length), slice(size[longer] - length, size[longer])
    return [(whole, part) if longer else (part, whole) for part in parts]


def _read(plane: Mask, weight: Mask, extent: float) -> Floats:
    return find_kernel(plane, weight * fading(plane.shape, reach_of(extent)), extent)


def _sharp(pixels: Pixels, share: Mask, core: Box, kernel: Floats, doubt: float) -> Pixels:
    """The core without the blur."""
    rows, columns = (slice(one.start - HALO, one.stop + HALO) for one in core)
    blurred = blurred_along(pixels[rows, columns], share[rows, columns], kernel)
    height, width = blurred.shape[:2]
    tall, wide = (fft.next_fast_len(side, real=True) for side in (height, width))
    padded = cv2.copyMakeBorder(blurred, 0, tall - height, 0, wide - width, cv2.BORDER_REFLECT)
    sharp = sharpened(np.asarray(padded, np.float32), response_of(kernel, (tall, wide)), doubt, HALO)
    return sharp[HALO : height - HALO, HALO : width - HALO]


def _between(value: float, limits: tuple[float, float]) -> float:
    return min(max((value - limits[0]) / (limits[1] - limits[0]), 0.0), 1.0)
