"""Small windows at full resolution: noise, blur and blocks vanish when a frame is shrunk to fit a page."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import LOCAL
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Mask, Samples, to_pixels
from conservator.report.canvas import Box, Bytes, as_bytes, fitted

SIDE = 400
"""Side of a window in pixels of the original."""

_DARKEST = 0.05  # weight of a black cell: damage is there, and nobody sees it


@dataclass(frozen=True, eq=False)
class Detail:
    """One place before and after, both uint8 of one size.

    kind  the degradation it is shown for
    box   (y0, x0, y1, x1) in pixels of the original
    """

    kind: str
    box: Box
    before: Bytes
    after: Bytes


def details(before: Samples, after: Samples, diagnosis: Diagnosis, most: int = 3) -> list[Detail]:
    """The places where damage that only full resolution shows is worst, kind by kind, well apart from each other.

    before, after  (H, W, 3) and, when the treatment enlarged, (k·H, k·W, 3)

    Empty when the photo is so small that the page shows every pixel of it anyway.
    """
    height, width = before.shape[:2]
    if max(height, width) < 3 * SIDE or min(height, width) < SIDE:
        return []
    found, free = list[Detail](), np.ones(diagnosis.maps.shape[1:], np.float32)
    for kind in islice(cycle(_worst_kinds(diagnosis)), most):
        box = _worst_window(diagnosis.cells(kind) * _visible(diagnosis) * free, (height, width))
        if box is not None:
            found.append(_detail(kind, before, after, box))
            _close(free, box, (height, width))
    return found


def _worst_kinds(diagnosis: Diagnosis) -> list[str]:
    kinds = [kind.name for kind in LOCAL if diagnosis.cells(kind.name).any()]
    return sorted(kinds, key=lambda name: -float(diagnosis.cells(name).max()))


def _visible(diagnosis: Diagnosis) -> Mask:
    return np.asarray(_DARKEST + diagnosis.guide.mean(axis=2), np.float32)


def _worst_window(damage: Mask, size: tuple[int, int]) -> Box | None:
    """The window with the largest sum; None when there is nothing left."""
    rows, columns = (max(1, round(SIDE * cells / side)) for cells, side in zip(damage.shape, size, strict=True))
    sums = _window_sums(damage, rows, columns)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    if sums[row, column] <= 1e-6:
        return None
    y0 = min(round(int(row) * size[0] / damage.shape[0]), size[0] - SIDE)
    x0 = min(round(int(column) * size[1] / damage.shape[1]), size[1] - SIDE)
    return y0, x0, y0 + SIDE, x0 + SIDE


def _window_sums(damage: Mask, rows: int, columns: int) -> NDArray[np.float64]:
    """Sum over every window of rows × columns cells."""
    total = np.pad(damage.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[rows:] - total[:-rows]
    return np.asarray(sums[:, columns:] - sums[:, :-columns])


def _close(free: Mask, box: Box, size: tuple[int, int]) -> None:
    """Rule out a window and half a window around it."""
    y0, x0, y1, x1 = box
    down, across = free.shape[0] / size[0], free.shape[1] / size[1]
    rows = slice(max(0, round((y0 - SIDE / 2) * down)), round((y1 + SIDE / 2) * down))
    columns = slice(max(0, round((x0 - SIDE / 2) * across)), round((x1 + SIDE / 2) * across))
    free[rows, columns] = 0.0


def _detail(kind: str, before: Samples, after: Samples, box: Box) -> Detail:
    scale = after.shape[0] / before.shape[0]
    y0, x0, y1, x1 = (round(edge * scale) for edge in box)
    sharp = as_bytes(to_pixels(after[y0:y1, x0:x1]))
    coarse = as_bytes(to_pixels(before[box[0] : box[2], box[1] : box[3]]))
    return Detail(kind, box, fitted(coarse, sharp.shape[:2]), sharp)
