"""Damage that shows only in native pixels: noise, compression, blur, lost resolution, rain."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from conservator.degradations import CELL
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Samples, to_pixels

MODEL = "perceiver_local"
LOOK = 2_000_000
"""Most native pixels looked at. Noise and compression vanish when a frame is shrunk, and hardly change from one part
of a large frame to the next: beyond this size a lattice of native patches stands for what lies between them."""

PATCH = 192
"""Side of a patch in px; the network was trained on this size."""

BLOCK = 512
OVERLAP = 64


def read(samples: Samples) -> Maps:
    """Raw outputs (3 · K, h, w) on the cell grid: presence logits, severities, log deviations."""
    height, width = samples.shape[:2]
    grid = (-(-height // CELL), -(-width // CELL))
    if height * width <= LOOK:
        return _everywhere(samples, grid)
    return _lattice(samples, grid)


def _network(samples: Samples) -> Maps:
    """The network on one window; sides become multiples of a cell by mirroring."""
    pixels = to_pixels(samples)
    height, width = pixels.shape[:2]
    # Below two cells a side there is nothing to compare a cell with.
    down, right = max(-height % CELL, 2 * CELL - height), max(-width % CELL, 2 * CELL - width)
    if down or right:
        mirror = max(down, right) < min(height, width)
        border = cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_REPLICATE
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, down, 0, right, border), np.float32)
    return np.asarray(run(MODEL, {"image": np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]})[0][0])


def _everywhere(samples: Samples, grid: tuple[int, int]) -> Maps:
    """Overlapping blocks, each trusted in its middle."""
    out: Maps | None = None
    for y0, y1 in _spans(samples.shape[0]):
        for x0, x1 in _spans(samples.shape[1]):
            top, left = max(0, y0 - OVERLAP), max(0, x0 - OVERLAP)
            cells = _network(samples[top : y1 + OVERLAP, left : x1 + OVERLAP])
            if out is None:
                out = np.zeros((cells.shape[0], *grid), np.float32)
            a, b = (y0 - top) // CELL, (x0 - left) // CELL
            h, w = -(-(y1 - y0) // CELL), -(-(x1 - x0) // CELL)
            out[:, y0 // CELL : y0 // CELL + h, x0 // CELL : x0 // CELL + w] = cells[:, a : a + h, b : b + w]
    assert out is not None
    return out


def _spans(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, BLOCK):
        yield start, min(start + BLOCK, length)


def _lattice(samples: Samples, grid: tuple[int, int]) -> Maps:
    """Patches on a regular lattice; cells between them take the distance-weighted mean of the nearest."""
    height, width = samples.shape[:2]
    count = LOOK / PATCH**2
    rows = max(1, min(height // PATCH, round(math.sqrt(count * height / width))))
    columns = max(1, min(width // PATCH, round(count / rows)))
    total: Maps | None = None
    weight = np.zeros(grid, np.float32)
    for y in _starts(height, rows):
        for x in _starts(width, columns):
            cells = _network(samples[y : y + PATCH, x : x + PATCH])
            if total is None:
                total = np.zeros((cells.shape[0], *grid), np.float32)
            h, w = cells.shape[1:]
            place = np.s_[y // CELL : y // CELL + h, x // CELL : x // CELL + w]
            room = weight[place].shape
            total[(slice(None), *place)] += cells[:, : room[0], : room[1]]
            weight[place] += 1.0
    assert total is not None
    return _spread(total, weight, (height / rows / CELL, width / columns / CELL))


def _starts(length: int, count: int) -> list[int]:
    """Patch origins on the cell grid, spread evenly with half a gap at both ends."""
    room = length - min(length, PATCH)
    return [round(room * (i + 0.5) / count / CELL) * CELL for i in range(count)]


def _spread(total: Maps, weight: Maps, pitch: tuple[float, float]) -> Maps:
    """Normalised convolution: seen cells keep their value, the others take a Gaussian mean of what was seen."""
    # Half the pitch as deviation reaches the neighbouring patches and not much farther.
    sigma = (pitch[1] / 2, pitch[0] / 2)
    shrink = max(1, int(min(sigma) / 4))
    size = (max(1, weight.shape[1] // shrink), max(1, weight.shape[0] // shrink))

    def soften(plane: Maps) -> Maps:
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        across, down = (reach / shrink for reach in sigma)
        small = cv2.GaussianBlur(small, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REFLECT)
        return np.asarray(cv2.resize(small, weight.shape[::-1], interpolation=cv2.INTER_LINEAR))

    base = np.maximum(soften(weight), 1e-6)
    seen = weight > 0
    return np.stack([np.where(seen, plane / np.maximum(weight, 1), soften(plane) / base) for plane in total])
