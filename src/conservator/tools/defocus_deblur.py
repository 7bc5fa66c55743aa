"""Defocus, undone without a network: the disc that blurred each block is read from its spectrum and divided out.

The severity map only says where to look and for which radius; a radius that is 5 % too large costs more than half of
the gain, and no map is that exact. Blocks lie on a grid of the whole frame, so tiles of any size agree about them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from conservator.degradations import DEFOCUS_BLUR, INDEX
from conservator.models.runtime import thread_limit
from conservator.pixels.deconvolution import blurred_along, sharpened, wholly_blurred
from conservator.pixels.disc import disc, transfer
from conservator.pixels.disc_evidence import RADII, RINGS, SIDE, Evidence, find, ring_powers
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.tools.card import Kind, tool

SOURCE = (
    "zeros of the spectrum: Gennery (JOSA 1973), Rom (IEEE Trans. Information Theory 1975); "
    "deconvolution: Wiener (1949), total variation by splitting (Wang et al., SIAM J. Imaging Sciences 2008)"
)
STEP = SIDE // 2
"""Blocks overlap by half; every tile starts on this grid."""

HALO = 4 * STEP
"""A pixel listens to the blocks around it, they to their neighbours; those see half a block and a little around it."""

RINGING = 1.6
"""Radius in px per STEP of margin that deconvolution sees: ripples reach as far as their zero is narrow."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

APART = (0.15, 0.4)
"""Difference in log severity up to which a pixel is sharpened as the blocks around it are, and from which on not."""

FADE = 4.0
"""Deviation in px of the fading border that keeps sharp pixels out of a block's spectrum."""

LEAST_COVER = 0.25
"""Share of a block that must be blurred for its spectrum to say anything."""

DOUBTS = 0.003 * np.sqrt(10.0) ** np.arange(5)
"""Regularisations to choose from, up to 0.3; below the first a polygonal aperture rings."""

GRAIN = 0.02
"""Regularisation that noise of one 8-bit level in the luma asks for; it grows as noise to the power 1.6."""

WIDE = 4.0
"""Radius in px from which the regularisation grows with its square: the narrower a zero, the farther it ripples."""

MISFIT = 0.12
"""Misfit of the spectrum that doubles it: blur in linear light, compression, other shapes of blur fill the zeros."""

CONTRAST = (6.0, 20.0)
FITTING = (0.2, 0.5)
"""Evidence and misfit between which a disc is believed by degrees. Sharp pictures reach 5.5, motion misfits by 0.3."""


@dataclass(frozen=True, eq=False)
class _Discs:
    """What the blocks of a tile were blurred with, all (rows, columns) on the grid of blocks.

    radius    int, index into RADII
    doubt     int, index into DOUBTS
    trust     float32 in [0, 1], 0 where nothing is to be done
    severity  float32, mean of the map
    """

    radius: NDArray[np.intp]
    doubt: NDArray[np.intp]
    trust: Mask
    severity: Mask


@tool(treats=(DEFOCUS_BLUR.name,), halo=HALO, multiple_of=STEP, kind=Kind.PHYSICAL, source=SOURCE)
def defocus_deblur(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Sharpens what lay out of focus where the picture itself shows how large the blur is; leaves the rest alone."""
    with fft.set_workers(thread_limit()):
        return _refocused(pixels, severity[INDEX[DEFOCUS_BLUR.name]])


def _refocused(pixels: Pixels, amount: Mask) -> Pixels:
    result, force = pixels.copy(), wholly_blurred(amount)
    discs = _discs(pixels @ LUMA, amount, force)
    if discs is None or not discs.trust.any():
        return result
    for radius, doubt in _kinds(discs):
        here = discs.trust * ((discs.radius == radius) & (discs.doubt == doubt))
        margin = min(STEP * math.ceil(RADII[radius] / RINGING), HALO)
        box = _box(here, amount.shape, margin)
        if box is not None:
            share = force[box] * _agreeing(amount[box], here, discs.severity, box)
            blurred = blurred_along(pixels[box], force[box], disc(RADII[radius]))
            response = transfer(float(RADII[radius]), blurred.shape[:2])
            sharp = sharpened(blurred, response, float(DOUBTS[doubt]), margin)
            result[box] += share[..., None] * (sharp - pixels[box])
    return result


def _agreeing(amount: Mask, trust: Mask, severity: Mask, box: tuple[slice, slice]) -> Mask:
    """Trust at the pixels of a box, as far as their severity is that of the blocks it comes from."""
    share = _spread(trust, box)
    expected = _spread(trust * severity, box) / np.maximum(share, 1e-6)
    apart = np.abs(np.log(np.maximum(amount, 1e-6) / np.maximum(expected, 1e-6)))
    return np.asarray(share * np.clip((APART[1] - apart) / (APART[1] - APART[0]), 0, 1), np.float32)


def _box(grid: Mask, size: tuple[int, ...], margin: int) -> tuple[slice, slice] | None:
    """Where blocks with trust show in the core, and the margin around it; None when they do not reach the core."""
    sides = []
    for axis, side in enumerate(size):
        blocks = np.flatnonzero(grid.any(axis=1 - axis))
        start, stop = max(int(blocks[0]) * STEP, HALO), min(int(blocks[-1]) * STEP + SIDE, side - HALO)
        if start >= stop:
            return None
        sides.append(slice(start - margin, stop + margin))
    return sides[0], sides[1]


def _kinds(discs: _Discs) -> set[tuple[int, int]]:
    at_work = discs.trust > 0
    return set(zip(discs.radius[at_work].tolist(), discs.doubt[at_work].tolist(), strict=True))


def _discs(luma: Mask, amount: Mask, force: Mask) -> _Discs | None:
    """What the blocks show; None when none of them is blurred."""
    # Sharp pixels have no zeros: a few of them hide those of a whole block. So the border fades out, from the inside.
    inside = np.asarray(np.clip(2 * cv2.GaussianBlur(force, (0, 0), FADE) - 1, 0, 1), np.float32)
    shares = _blocks(inside)
    cover = shares.mean(axis=(2, 3))
    rows, columns = np.nonzero(cover > LEAST_COVER)
    if not rows.size:
        return None
    powers, severity = np.zeros((*cover.shape, RINGS)), np.zeros(cover.shape, np.float32)
    powers[rows, columns] = ring_powers(_blocks(luma)[rows, columns], shares[rows, columns])
    severity[rows, columns] = _blocks(inside * amount)[rows, columns].mean(axis=(1, 2)) / cover[rows, columns]
    weight = np.where(cover > LEAST_COVER, np.square(cover), 0)
    pooled = _around(powers * weight[..., None])[rows, columns] / _around(weight)[rows, columns, None]
    expected = DEFOCUS_BLUR.value(severity[rows, columns]).astype(np.float64)
    found = find(pooled, expected)
    radius, doubt = np.zeros((2, *cover.shape), np.intp)
    trust = np.zeros(cover.shape, np.float32)
    radius[rows, columns] = np.searchsorted(RADII, found.radius - 1e-9)
    doubt[rows, columns] = _doubt(found)
    trust[rows, columns] = _trust(found)
    return _Discs(radius, doubt, trust, severity)


def _doubt(found: Evidence) -> NDArray[np.intp]:
    """Index of the regularisation that noise and misfit ask for."""
    asked = (DOUBTS[0] + GRAIN * (255 * found.noise) ** 1.6) * (1 + np.square(found.misfit / MISFIT))
    asked *= np.maximum(found.radius / WIDE, 1) ** 2
    level = np.rint(np.log(asked / DOUBTS[0]) / np.log(DOUBTS[1] / DOUBTS[0]))
    return np.asarray(np.clip(level, 0, len(DOUBTS) - 1), np.intp)


def _trust(found: Evidence) -> Mask:
    clear = np.log(found.contrast / CONTRAST[0]) / np.log(CONTRAST[1] / CONTRAST[0])
    fitting = (FITTING[1] - found.misfit) / (FITTING[1] - FITTING[0])
    return np.asarray(np.clip(clear, 0, 1) * np.clip(fitting, 0, 1), np.float32)


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Overlapping blocks of a plane, a view (rows, columns, SIDE, SIDE)."""
    return np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))[::STEP, ::STEP]


def _around(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over 3 × 3 blocks, the middle counting four times, its neighbours twice; nothing beyond the grid."""
    padded = np.pad(grid, [(1, 1), (1, 1)] + [(0, 0)] * (grid.ndim - 2))
    tall = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return np.asarray(tall[:, :-2] + 2 * tall[:, 1:-1] + tall[:, 2:])


def _spread(grid: Mask, box: tuple[slice, slice]) -> Mask:
    """Values of blocks to the pixels of a box, bilinear between the centres of the blocks."""
    rows, columns = (_hats(axis, count) for axis, count in zip(box, grid.shape, strict=True))
    return np.asarray(rows @ grid @ columns.T, np.float32)


def _hats(axis: slice, count: int) -> NDArray[np.float32]:
    """Share of each of `count` blocks in each pixel of an axis."""
    position = (np.arange(axis.start, axis.stop, dtype=np.float32) + 0.5) / STEP - 1
    return np.asarray(np.maximum(1 - np.abs(position[:, None] - np.arange(count)), 0), np.float32)
