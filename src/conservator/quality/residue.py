"""What a denoiser took away should look like noise ("method noise", Buades et al., SIAM MMS 2005).

Noise of a sensor is alike over a few pixels at most. A mesh, a weave or a page of letters that was taken for noise is
alike again and again, and so is what is taken away of it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.pixels.types import Samples, to_pixels

SIDE = 64
"""Side in pixels of the windows that are looked at."""

WINDOWS = 48
"""Most windows: 0.2 megapixels, whatever the size of the photograph."""

TREATED = 0.6
"""Least share of a window that was to be treated."""

NEAR, FAR = 5, 16
"""Distances in pixels between which the residue is compared with itself: grain ends before, weaves repeat within."""

ALIKE = 0.6
"""Correlation from which a window has a pattern. Of noise as sensors make it, demosaicked and compressed, 99 of 100
windows stay below 0.25 and none reached 0.4; the mesh of a chair's back has 0.9."""

FAINT = 0.5 / 255
"""Deviation below which a residue is rounding, and no pattern in it means anything."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

def patterned(before: Samples, after: Samples, cells: NDArray[np.bool_]) -> float:
    """Share of the treated windows in which what was taken away has a pattern; 0 where no window is treated enough.

    before, after   uint16 (H, W, 3)
    cells           bool (h, w) on the CELL grid, where noise was to be treated
    """
    step = SIDE // CELL
    places = [
        (y, x)
        for y in range(0, before.shape[0] - SIDE + 1, SIDE)
        for x in range(0, before.shape[1] - SIDE + 1, SIDE)
        if cells[y // CELL : y // CELL + step, x // CELL : x // CELL + step].mean() >= TREATED
    ]
    if not places:
        return 0.0
    chosen = places[:: -(-len(places) // WINDOWS)]
    windows = [np.s_[y : y + SIDE, x : x + SIDE] for y, x in chosen]
    return float(np.mean([_repeats(before[w], after[w]) for w in windows]))


def _repeats(before: Samples, after: Samples) -> bool:
    residue = (to_pixels(before) - to_pixels(after)) @ LUMA
    if residue.std() < FAINT:
        return False
    window, ring, expected = _measure()
    found = _autocorrelation((residue - residue.mean()) * window)
    return bool((np.abs(found[ring] / expected[ring]) * expected[0, 0] / found[0, 0]).max() > ALIKE)


@cache
def _measure() -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """A window that fades to its sides, the offsets that are looked at, and the window's own autocorrelation."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    offsets = np.fft.fftfreq(2 * SIDE) * 2 * SIDE
    distance = np.hypot(offsets[:, None], offsets)
    return window, (distance >= NEAR) & (distance <= FAR), _autocorrelation(window)


def _autocorrelation(window: NDArray[np.floating]) -> NDArray[np.float64]:
    power = np.abs(np.fft.fft2(window, (2 * SIDE, 2 * SIDE))) ** 2
    return np.asarray(np.fft.ifft2(power).real)
