"""Rings of points to masks: a pixel is inside when its centre is; pixel (row, column) covers [column, column + 1]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError

Ring: TypeAlias = NDArray[np.float64]
"""(n, 2), a closed outline of points (x, y) in pixels, from the frame's upper left corner; the end is not repeated."""

Flags: TypeAlias = NDArray[np.bool_]

_PAIRS = 4_000_000  # pairs of edges compared at a time
_MOST_PAIRS = 100_000_000  # and in all, which takes a minute


def fill(shapes: Iterable[Sequence[Ring]], size: tuple[int, int], *, nonzero: bool = False) -> Flags:
    """What shapes cover together, bool (H, W).

    shapes    each is its outlines and those of its holes
    nonzero   the fill rule of SVG: where windings do not cancel; else where an odd number of rings lies around
    """
    total = np.zeros(size, np.bool_)
    for rings in shapes:
        if not rings:
            continue
        points = np.concatenate(rings)
        x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, size[::-1]).astype(int)
        x1, y1 = np.clip(np.ceil(points.max(axis=0)), 0, size[::-1]).astype(int)
        total[y0:y1, x0:x1] |= _filled([ring - (x0, y0) for ring in rings], y1 - y0, x1 - x0, nonzero)
    return total


def _filled(rings: Sequence[Ring], height: int, width: int, nonzero: bool) -> Flags:
    turns = np.zeros((height, width + 1), np.int32)
    for ring in rings:
        rows, columns, signs = _crossings(ring, height, width)
        np.add.at(turns, (rows, columns), signs)
    np.cumsum(turns, axis=1, out=turns)
    inside: Flags = turns[:, :width] != 0 if nonzero else (turns[:, :width] & 1).astype(np.bool_)
    return inside


def _crossings(
    ring: Ring, height: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """Where a ring crosses the line through a row's centres: row, first column to its right, direction."""
    start, end = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first, last = (np.clip(np.ceil(y - 0.5), 0, height).astype(np.intp) for y in (low, high))
    counts = last - first
    edge = np.repeat(np.arange(len(ring)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
    return rows, columns, np.where(y1 > y0, 1, -1).astype(np.int32)


def area(ring: Ring) -> float:
    """Signed area in pixels."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def checked(points: object, name: str) -> Ring:
    """Points (x, y), flat or in pairs, as a ring; InputError when they make none."""
    try:
        ring = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {_short(points)}", "numbers x, y, x, y, …", "write the polygon anew") from error
    if not np.isfinite(ring).all():
        raise InputError(f"{name}: NaN or infinity in a polygon", "finite coordinates", "write the polygon anew")
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3:
        raise InputError(f"{name}: a polygon of {len(ring)} points", "at least 3", "leave it out")
    return ring


def crossing(ring: Ring) -> tuple[float, float] | None:
    """A point at which a ring crosses itself, or None; edges that only touch do not cross. InputError for a thicket."""
    start, end = ring, np.roll(ring, -1, axis=0)
    for one, other in _near(np.minimum(start, end), np.maximum(start, end)):
        a, b, c, d = start[one], end[one], start[other], end[other]
        apart = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        if apart.any():
            x, y = c[np.argmax(apart)]
            return float(x), float(y)
    return None


def refuse_crossing(ring: Ring, name: str) -> None:
    """InputError for a ring that crosses itself: what it encloses is anybody's guess."""
    place = crossing(ring)
    if place is not None:
        where = f"near ({place[0]:g}, {place[1]:g})"
        raise InputError(f"{name}: a polygon crosses itself {where}", "a simple outline", "untangle it, or pass a PNG")


def _near(low: Ring, high: Ring) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of edges whose extents overlap from left to right, in portions."""
    order = np.argsort(low[:, 0], kind="stable")
    ends = np.searchsorted(low[order, 0], high[order, 0], side="right")
    counts = np.maximum(ends - np.arange(len(order)) - 1, 0)
    if counts.sum() > _MOST_PAIRS:
        got = f"a polygon of {len(order)} points, tangled beyond checking"
        raise InputError(got, "a simple outline", "simplify it, or pass a PNG")
    portions = np.cumsum(counts) // _PAIRS
    for portion in np.unique(portions):
        chosen = np.flatnonzero(portions == portion)
        many = counts[chosen]
        one = np.repeat(chosen, many)
        other = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + one + 1
        a, b = order[one], order[other]
        level = (low[a, 1] <= high[b, 1]) & (low[b, 1] <= high[a, 1])
        yield a[level], b[level]


def _side(a: Ring, b: Ring, c: Ring) -> NDArray[np.float64]:
    """Sign of the side of the line a-b on which c lies."""
    u, v = b - a, c - a
    return np.sign(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _short(points: object) -> str:
    text = repr(points)
    return text if len(text) <= 60 else f"{text[:57]}..."
