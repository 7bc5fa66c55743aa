"""Small windows at full resolution: noise, blur and blocks vanish when a frame is shrunk to fit a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import LOCAL
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Samples, to_pixels
from conservator.report.canvas import Box, Bytes, as_bytes, fitted

SIDE = 320
"""Side of a window in pixels of the original."""


@dataclass(frozen=True, eq=False)
class Detail:
    """One place before and after, both uint8 of one size.

    box  (y0, x0, y1, x1) in pixels of the original
    """

    box: Box
    before: Bytes
    after: Bytes


def details(before: Samples, after: Samples, diagnosis: Diagnosis, most: int = 3) -> list[Detail]:
    """The windows with the most damage that only full resolution shows, the worst first, none overlapping.

    before, after  (H, W, 3) and, when the treatment enlarged, (k·H, k·W, 3)

    Empty when the photo is so small that the page shows every pixel of it anyway.
    """
    height, width = before.shape[:2]
    if max(height, width) < 3 * SIDE or min(height, width) < SIDE:
        return []
    return [_detail(before, after, box) for box in _worst(_local_damage(diagnosis), (height, width), most)]


def _local_damage(diagnosis: Diagnosis) -> NDArray[np.float32]:
    return np.asarray(sum(diagnosis.cells(kind.name) for kind in LOCAL), np.float32)


def _worst(damage: NDArray[np.float32], size: tuple[int, int], most: int) -> list[Box]:
    """Greedy: the window with the largest sum, then the next one in what is left."""
    damage, boxes = damage.copy(), list[Box]()
    rows, columns = (max(1, round(SIDE * cells / side)) for cells, side in zip(damage.shape, size, strict=True))
    while len(boxes) < most and damage.any():
        sums = _window_sums(damage, rows, columns)
        y, x = np.unravel_index(int(sums.argmax()), sums.shape)
        if sums[y, x] <= 0.0:
            break
        damage[y : y + rows, x : x + columns] = -np.inf  # sums that touch it can never win
        boxes.append(_box(int(y), int(x), damage.shape, size))
    return boxes


def _window_sums(damage: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float64]:
    """Sum over every window of rows × columns cells."""
    finite = np.where(np.isfinite(damage), damage, -1e6)
    total = np.pad(finite.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[rows:] - total[:-rows]
    return np.asarray(sums[:, columns:] - sums[:, :-columns])


def _box(row: int, column: int, cells: tuple[int, ...], size: tuple[int, int]) -> Box:
    y0 = min(round(row * size[0] / cells[0]), size[0] - SIDE)
    x0 = min(round(column * size[1] / cells[1]), size[1] - SIDE)
    return y0, x0, y0 + SIDE, x0 + SIDE


def _detail(before: Samples, after: Samples, box: Box) -> Detail:
    scale = after.shape[0] / before.shape[0]
    y0, x0, y1, x1 = (round(edge * scale) for edge in box)
    sharp = as_bytes(to_pixels(after[y0:y1, x0:x1]))
    coarse = as_bytes(to_pixels(before[box[0] : box[2], box[1] : box[3]]))
    return Detail(box, fitted(coarse, sharp.shape[:2]), sharp)
