"""Where tiles lie: aligned cores that cover the frame, each seen through a halo that is reflected at the borders.

A padded tile is a crop of one endless picture, the frame reflected about its outermost pixels, and it starts on the
same grid as every other tile. So a network whose receptive field fits the halo cannot tell a tile from the frame.
Nor can one that is given no halo beyond the frame's border, and pads there itself as it did when it learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """A rectangle of the frame in pixels: rows y0 up to y1, columns x0 up to x1."""

    y0: int
    x0: int
    y1: int
    x1: int

    def __str__(self) -> str:
        return f"rows {self.y0}-{self.y1}, columns {self.x0}-{self.x1}"

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """(y0, x0, y1, x1)."""
        return self.y0, self.x0, self.y1, self.x1

    @property
    def within(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array (H, W, …) of the frame."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def cells(self) -> tuple[slice, slice]:
        """Index of the CELL × CELL cells it touches."""
        return slice(self.y0 // CELL, -(-self.y1 // CELL)), slice(self.x0 // CELL, -(-self.x1 // CELL))


@dataclass(frozen=True, eq=False)
class Tile:
    """A core to compute and what must be seen for it.

    core     the pixels this tile answers for
    seen     the part of the frame that the padded tile reads
    rows     int (th,), row of `seen` for each row of the padded tile
    columns  int (tw,), column of `seen` for each column of the padded tile
    inset    index of the core in the padded tile
    """

    core: Window
    seen: Window
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    inset: tuple[slice, slice]

    def pad_image(self, image: NDArray[Scalar]) -> NDArray[Scalar]:
        """`seen` (h, w, C) to the padded tile (th, tw, C)."""
        return image if self.inside else image[self.rows[:, None], self.columns]

    def pad_maps(self, maps: NDArray[Scalar]) -> NDArray[Scalar]:
        """`seen` (C, h, w) to the padded tile (C, th, tw)."""
        return maps if self.inside else maps[:, self.rows[:, None], self.columns]

    @property
    def inside(self) -> bool:
        """True when nothing is reflected: the padded tile is `seen` itself."""
        # Neighbours differ by one at most, so only a straight run gets this far from its start.
        return all(axis[-1] - axis[0] == axis.size - 1 for axis in (self.rows, self.columns))


def tiles(
    size: tuple[int, int], core: int | None, halo: int, multiple_of: int, side: int | None = None, beyond: bool = True
) -> Iterator[Tile]:
    """Tiles that cover a frame of (H, W) pixels, row by row.

    core         side of a core in pixels, rounded up to the grid; None for one tile, the whole frame
    halo         pixels to see around a core, rounded up to the grid
    multiple_of  sides of padded tiles are multiples of it
    side         the side of every padded tile, at least 2 · halo + CELL; None when they may differ
    beyond       whether a halo goes on beyond the frame's border; else only as far as `multiple_of` asks for

    The grid is lcm(CELL, multiple_of): cores and padded tiles all start on it.
    """
    grid = lcm(CELL, multiple_of)
    halo = _up(halo, grid)
    step = _up(max(size) if core is None else core, grid)
    if side is not None:
        step, multiple_of = min(step, max((side - 2 * halo) // grid, 1) * grid), side
    for top in range(0, size[0], step):
        for left in range(0, size[1], step):
            window = Window(top, left, min(top + step, size[0]), min(left + step, size[1]))
            yield _tile(window, size, halo, multiple_of, beyond or side is not None)


def _tile(core: Window, size: tuple[int, int], halo: int, multiple_of: int, beyond: bool) -> Tile:
    rows, down = _axis(core.y0, core.y1, size[0], halo, multiple_of, beyond)
    columns, right = _axis(core.x0, core.x1, size[1], halo, multiple_of, beyond)
    top, left = int(rows.min()), int(columns.min())
    seen = Window(top, left, int(rows.max()) + 1, int(columns.max()) + 1)
    return Tile(core, seen, rows - top, columns - left, (down, right))


def _axis(
    begin: int, end: int, side: int, halo: int, multiple_of: int, beyond: bool
) -> tuple[NDArray[np.intp], slice]:
    """Pixels of an axis that a padded tile shows, and where in it the core lies."""
    start, stop = begin - halo, end + halo
    if not beyond:
        start, stop = max(start, 0), min(stop, side)
    shown = _reflected(start, _up(stop - start, multiple_of), side)
    return shown, slice(begin - start, end - start)


def _up(length: int, unit: int) -> int:
    return -(-length // unit) * unit


def _reflected(start: int, count: int, side: int) -> NDArray[np.intp]:
    """Pixels of an axis of `side` px that `count` positions from `start` on show, reflected about the border pixels."""
    period = max(2 * (side - 1), 1)
    position = np.abs(np.arange(start, start + count)) % period
    return np.minimum(position, period - position) if side > 1 else np.zeros(count, np.intp)
