"""Whole photographs to small arrays, by area averaging and in bounded memory: no float copy of the frame is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.errors import UsageError
from conservator.pixels.types import Maps, Pixels, Samples, to_pixels


def cell_means(samples: Samples) -> Pixels:
    """Mean colour of every CELL × CELL cell, float32 (ceil(H / CELL), ceil(W / CELL), 3) in [0, 1].

    samples  uint16 (H, W, 3); cells at the right and bottom border may be partial and average what there is
    """
    height, width = samples.shape[:2]
    columns = np.arange(0, width, CELL)
    means = np.empty((-(-height // CELL), columns.size, 3), np.float32)
    for row, top in enumerate(range(0, height, CELL)):
        band = samples[top : top + CELL].sum(axis=0, dtype=np.uint32)
        means[row] = np.add.reduceat(band, columns, axis=0)
    means /= _extents(height)[:, None, None] * _extents(width)[:, None] * np.float32(65535.0)
    return means


def mask_cells(mask: NDArray[np.generic]) -> NDArray[np.float32]:
    """Mean of a mask (H, W) over every CELL × CELL cell, float32 (ceil(H / CELL), ceil(W / CELL)).

    A cell is 0 exactly when every one of its pixels is 0 (masks are not negative).
    """
    height, width = mask.shape
    columns = np.arange(0, width, CELL)
    sums = np.empty((-(-height // CELL), columns.size), np.float64)
    for row, top in enumerate(range(0, height, CELL)):
        band = mask[top : top + CELL].sum(axis=0, dtype=np.float64)
        sums[row] = np.add.reduceat(band, columns)
    means: NDArray[np.float32] = (sums / (_extents(height)[:, None] * _extents(width))).astype(np.float32)
    # What is too small for float32 must not turn into "nothing here".
    means[(sums > 0) & (means == 0)] = np.finfo(np.float32).tiny
    return means


def thumbnail(samples: Samples, longest: int) -> Pixels:
    """The photograph shrunk so that its long side is at most `longest` px, float32 (h, w, 3) in [0, 1].

    samples  uint16 (H, W, 3); comes back at its own size when it is small enough already
    Raises UsageError when `longest` is not positive.
    """
    if longest < 1:
        raise UsageError(f"longest={longest}", "at least 1 px")
    height, width = samples.shape[:2]
    shrink = min(1.0, longest / max(height, width))
    return to_pixels(shrunk(samples, (max(1, round(height * shrink)), max(1, round(width * shrink)))))


def shrunk(samples: Samples, size: tuple[int, int]) -> Samples:
    """The photograph, uint16 (H, W, 3), at a size (h, w) not larger, by area; the array itself at its own size."""
    if samples.shape[:2] == size:
        return samples
    import cv2

    # On integers OpenCV averages row by row in float, so the frame itself is never converted.
    return np.asarray(cv2.resize(samples, size[::-1], interpolation=cv2.INTER_AREA), np.uint16)


def fitted(small: Pixels, longest: int = 256, multiple: int = 8) -> Pixels:
    """A thumbnail stretched to a long side of `longest` px and sides in multiples of `multiple`, for a network."""
    import cv2

    scale = longest / max(small.shape[:2])
    height, width = (max(2 * multiple, round(n * scale / multiple) * multiple) for n in small.shape[:2])
    shrink = width * height < small.shape[0] * small.shape[1]
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(np.clip(cv2.resize(small, (width, height), interpolation=method), 0.0, 1.0), np.float32)


def resample(maps: Maps, size: tuple[int, int]) -> Maps:
    """Maps (C, h, w) that span the frame on another grid that spans it, by area: float32 (C, *size)."""
    return _by_area(maps, _even(maps.shape[1:]), _even(size))


def resample_cells(maps: Maps, frame: tuple[int, int], size: tuple[int, int]) -> Maps:
    """Maps on the CELL grid of a frame (H, W) on another grid that spans the frame, by area: float32 (C, *size)."""
    return _by_area(maps, _cells(frame), _even(size))


def into_cells(maps: Maps, frame: tuple[int, int]) -> Maps:
    """Maps (C, h, w) on a grid that spans a frame (H, W) on the CELL grid of it, by area."""
    return _by_area(maps, _even(maps.shape[1:]), _cells(frame))


Edges: TypeAlias = list[NDArray[np.float64]]


def _even(size: Iterable[int]) -> Edges:
    """Borders of equal parts of [0, 1], along both axes."""
    return [np.arange(count + 1) / count for count in size]


def _cells(frame: tuple[int, int]) -> Edges:
    """Borders of a frame's cells, the last of which may be partial, as shares of it."""
    return [np.minimum(np.arange(-(-side // CELL) + 1) * CELL, side) / side for side in frame]


def _by_area(maps: Maps, given: Edges, wanted: Edges) -> Maps:
    down, across = (_overlap(edges, parts) for edges, parts in zip(given, wanted, strict=True))
    averaged: Maps = np.matmul(np.matmul(down, maps), across.T)
    return averaged


def _overlap(edges: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Share of each interval between `edges` in each between `parts`, both of [0, 1]; rows sum to 1."""
    low = np.maximum(parts[:-1, None], edges[:-1])
    high = np.minimum(parts[1:, None], edges[1:])
    shared = np.maximum(high - low, 0.0)
    shares: NDArray[np.float32] = (shared / shared.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _extents(side: int) -> NDArray[np.float32]:
    """Pixels of each cell along an axis of `side` px."""
    starts = np.arange(0, side, CELL)
    extents: NDArray[np.float32] = np.minimum(CELL, side - starts).astype(np.float32)
    return extents
