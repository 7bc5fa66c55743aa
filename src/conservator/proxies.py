"""Small stand-ins for a photograph, on which a step can be tried before it is paid for at full size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import BY_NAME, CELL, NAMES, Sight
from conservator.pixels.reduce import resample_cells, thumbnail
from conservator.pixels.types import Maps, Mask, Samples, to_samples

CROP = 192
"""Side in pixels of a native crop, for damage that vanishes when the frame is shrunk."""

CROPS = 2
"""Most native crops per step."""

SHRUNK = 256
"""Long side in pixels of the shrunk frame, for damage that only the frame shows."""

_LOCAL = np.array([BY_NAME[name].sight is Sight.LOCAL for name in NAMES])[:, None, None]


class Proxy(NamedTuple):
    """A small photograph uint16 (H, W, 3) and what to treat of it, float32 (D, h, w) on its own cell grid.

    native   whether it is a crop, with local damage alone to treat, and not the frame shrunk
    """

    samples: Samples
    maps: Maps
    native: bool


def proxies(samples: Samples, maps: Maps, expected: Maps, crops: int = CROPS) -> list[Proxy]:
    """Native crops where most of the local damage is, and the frame shrunk when it is to be treated for the rest.

    samples   uint16 (H, W, 3)
    maps      float32 (D, h, w), what a step is to treat
    expected  float32 (D, h, w), how much damage is believed to be where
    crops     most native ones
    """
    found = []
    local, rest = maps * _LOCAL, maps * ~_LOCAL
    if local.any():
        weight = np.where(local > 0, expected, 0).sum(axis=0)
        for cells in _windows(weight, crops):
            found.append(Proxy(samples[_pixels(cells)], local[(slice(None), *cells)], True))
    if rest.any():
        small = to_samples(thumbnail(samples, SHRUNK))
        grid = -(-small.shape[0] // CELL), -(-small.shape[1] // CELL)
        frame = samples.shape[0], samples.shape[1]
        found.append(Proxy(small, np.clip(resample_cells(rest, frame, grid), 0, 1), False))
    return found


def _windows(weight: Mask, crops: int) -> Iterator[tuple[slice, slice]]:
    """Windows of cells that hold most of a weight (h, w), not overlapping, the heaviest first; at least one."""
    height, width = (min(CROP // CELL, n) for n in weight.shape)
    left = weight.astype(np.float64)
    for count in range(crops):
        sums = _sums(left, height, width)
        top, start = (int(i) for i in np.unravel_index(sums.argmax(), sums.shape))
        if count and sums[top, start] <= 0:
            return
        window = slice(top, top + height), slice(start, start + width)
        yield window
        left[window] = -weight.sum()  # an overlap costs more than any window brings


def _sums(plane: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Sums over every window of (height, width)."""
    table = np.pad(plane.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    tall = table[height:] - table[:-height]
    return np.asarray(tall[:, width:] - tall[:, :-width])


def _pixels(cells: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(axis.start * CELL, axis.stop * CELL) for axis in cells)
    return rows, columns
