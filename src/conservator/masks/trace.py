"""Masks to rings of points: exact outlines along the pixels, or the closest ones within a number of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.masks.fill import Flags, Ring, area, crossing, fill

_SEAMS = 200  # shortest ones, that are tried for each hole: one that crosses no other edge is nearly always among them
_HALVINGS = 24  # of the tolerance when a number of points is asked for


@dataclass(frozen=True, eq=False)
class Part:
    """A connected part of a mask: its outline and the outlines of its holes."""

    outline: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def points(self) -> int:
        """Points of all its rings."""
        return sum(map(len, self.rings))

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Its outline and those of its holes."""
        return self.outline, *self.holes


def trace(inside: Flags, points: int | None = None) -> list[Part]:
    """The parts of a mask bool (H, W), the largest first; filling them gives the mask back.

    points   at most so many points for the whole mask, at least 4; None is exact

    Parts and holes too small for the points are left out; the largest part never is.
    """
    if points is not None and points < 4:
        raise UsageError(f"points={points}", "at least 4")
    exact = [_thinned(part, 0.0) for part in _parts(inside)]
    if points is None or _count(exact) <= points:
        return exact
    low, high = 0.0, float(max(inside.shape))
    best = [_box(exact[0])]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = [thin for part in exact if (thin := _thinned(part, middle)).points]
        if _count(tried) > points:
            low = middle
        else:
            high, best = middle, tried or best
    covers = fill([part.rings for part in best], (inside.shape[0], inside.shape[1])).any()
    return best if covers else [_box(exact[0])]  # thin ones may lie between the centres of pixels


def without_holes(inside: Flags, points: int | None = None) -> list[Ring]:
    """Outlines of a mask that need no holes; at most `points` points in all, at least 4, or exact.

    Exact, parts with holes are cut in two; within a number of points a seam, there and back, leads to each hole.
    """
    if points is None:
        return list(_cut(inside))
    budget = points
    while True:
        rings = [_seamed(part) for part in trace(inside, budget)]
        excess = sum(map(len, rings)) - points
        if excess <= 0:
            return rings
        budget = max(budget - excess, 4)


def _seamed(part: Part) -> Ring:
    """A part as one ring: by the even-odd rule, and by the other, a seam there and back encloses nothing."""
    ring = part.outline
    for hole in part.holes:
        apart = np.linalg.norm(ring[:, None] - hole[None], axis=2)
        for flat in np.argsort(apart, axis=None, kind="stable")[:_SEAMS]:
            i, j = np.unravel_index(flat, apart.shape)
            around = np.roll(hole, -int(j), axis=0)
            joined = np.concatenate([ring[: i + 1], around, around[:1], ring[i:]])
            if crossing(joined) is None:
                ring = joined
                break
    return ring


def _cut(inside: Flags) -> Iterator[Ring]:
    """Exact outlines: parts with holes are cut in two through the middle of one."""
    for part in _parts(inside):
        if not part.holes:
            yield _thinned(part, 0.0).outline
            continue
        x0, y0 = np.floor(part.outline.min(axis=0)).astype(int)
        x1, y1 = np.ceil(part.outline.max(axis=0)).astype(int)
        alone = fill([[ring - (x0, y0) for ring in part.rings]], (y1 - y0, x1 - x0))
        centres = sorted(float(hole[:, 0].mean()) for hole in part.holes)
        cut = int(np.clip(round(centres[len(centres) // 2] - x0), 1, alone.shape[1] - 1))
        for left, half in ((0, alone[:, :cut]), (cut, alone[:, cut:])):
            corner = np.array([x0 + left, y0])
            yield from (ring + corner for ring in _cut(half))


def _parts(inside: Flags) -> list[Part]:
    from scipy import ndimage
    from skimage.measure import find_contours

    padded = np.pad(inside, 1)
    labels, count = ndimage.label(padded)
    rings: list[list[Ring]] = [[] for _ in range(count + 1)]
    for contour in find_contours(padded.astype(np.float32), 0.5):  # type: ignore[no-untyped-call]
        y, x = contour[0]  # between a pixel inside and one outside
        around = labels[[int(np.floor(y)), int(np.ceil(y))], [int(np.floor(x)), int(np.ceil(x))]]
        rings[int(around.max())].append(contour[:-1, ::-1] - 0.5)  # centre of padded (1, 1) is (0.5, 0.5)
    found = [_part(own) for own in rings if own]
    return sorted(found, key=lambda part: -abs(area(part.outline)))


def _box(part: Part) -> Part:
    (x0, y0), (x1, y1) = np.round(part.outline.min(axis=0)), np.round(part.outline.max(axis=0))
    return Part(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))


def _part(rings: list[Ring]) -> Part:
    outline, *holes = sorted(rings, key=lambda ring: -abs(area(ring)))
    return Part(outline, tuple(holes))


def _thinned(part: Part, tolerance: float) -> Part:
    """The part with points left out that lie within the tolerance in px of the line between others."""
    outline = _thin(part.outline, tolerance)
    holes = (_thin(hole, tolerance) for hole in part.holes)
    return Part(outline, tuple(hole for hole in holes if len(hole)) if len(outline) else ())


def _thin(ring: Ring, tolerance: float) -> Ring:
    import cv2

    while tolerance >= 0.0:
        kept: NDArray[np.float64] = cv2.approxPolyDP(ring.astype(np.float32), tolerance, True)[:, 0].astype(np.float64)
        if tolerance == 0.0 or (len(kept) >= 3 and crossing(kept) is None):
            return kept
        if len(kept) < 3 and abs(area(ring)) < 4 * tolerance**2:
            return np.zeros((0, 2))  # too small to matter at this tolerance
        tolerance = tolerance / 2 if tolerance > 0.25 else 0.0
    return ring


def _count(parts: list[Part]) -> int:
    return sum(part.points for part in parts)
