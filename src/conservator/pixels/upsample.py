"""Coarse maps to pixels by local convex attention: edges of the map follow edges of the picture.

The idea is UPLiFT's local attender (arXiv 2601.17950), without learned parameters: a pixel looks at the 3 by 3 cells
around it and takes their values in proportion to how near and how alike in colour they are. The weights are ≥ 0 and sum
to 1, so nothing leaves the local minimum and maximum and exact zeros stay exact zeros. Cost is linear in the pixels.
Colour has a say only where it explains the map: texture that has nothing to do with the damage must not print through.

Every pixel is computed from its own colour and the cells around it alone, at coordinates of the whole frame. So a
window is the crop of the full result, to float32 rounding, however the frame is tiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.pixels.types import Maps, Mask, Pixels

Window = tuple[int, int, int, int]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

LIKENESS = 0.02**2
"""Variance of colour below which two colours are the same, about five 8-bit levels: sensor and coding residue."""

DOUBT = 0.3
"""Share of a pixel's squared distance from its most similar cell that widens `LIKENESS`: the more a pixel is unlike
every cell, by noise or texture, the less its colour may decide."""

INDIFFERENCE = 0.04
"""What widens `LIKENESS` where colour explains nothing of the map: (0.2)², beyond the contrast of most texture."""

TAIL = 0.65
"""Share of a pixel's neighbourhood that must be damaged for it to be treated. At one half a straight border between
whole cells stays where it is; most borders run through cells, which are damaged in part and count as whole."""

RAMP = 0.2
"""How much more of it there must be for full force: a step would show as a seam."""

FLOOR = np.float32(1e-6)
"""Least likeness, so that a pixel unlike the cells near it still has weights to normalise."""


def upsample(
    coarse: Maps,
    size: tuple[int, int],
    window: Window | None = None,
    guide: Pixels | None = None,
    pixels: Pixels | None = None,
) -> Maps:
    """Coarse maps at pixel resolution, float32 (C, y1 - y0, x1 - x0).

    coarse   float32 (C, h, w); spans the whole frame: a cell is H/h by W/w pixels
    size     (H, W) of the frame in pixels
    window   (y0, x0, y1, x1) in pixels, the whole frame when omitted
    guide    float32 (h, w, 3) in [0, 1], mean colour of each cell
    pixels   float32 (y1 - y0, x1 - x0, 3) in [0, 1], the photograph inside the window

    Bilinear with clamped edges without guide and pixels; local attention with both. Each value lies between the least
    and the largest of the 3 by 3 cells around its pixel, up to float32 rounding, and inside the range of its channel.
    Raises UsageError when shapes do not belong together.
    """
    window = (0, 0, *size) if window is None else window
    _check(coarse, size, window, guide, pixels)
    y0, x0, y1, x1 = window
    rows, columns = _Axis.of(coarse.shape[1], size[0], y0, y1), _Axis.of(coarse.shape[2], size[1], x0, x1)
    seen = coarse[:, rows.span, columns.span]
    active = np.flatnonzero(seen.any(axis=(1, 2)))
    fine = np.zeros((len(coarse), y1 - y0, x1 - x0), np.float32)
    planes = [fine[channel] for channel in active]
    cells = np.ascontiguousarray(seen[active], np.float32)
    if guide is not None and pixels is not None and planes:
        _attend(cells, np.asarray(guide[rows.span, columns.span], np.float32), pixels, rows, columns, planes)
    else:
        _bilinear(cells, rows, columns, planes)
    for channel, plane in zip(active, planes, strict=True):
        # Rounding must not lift a severity above 1. The frame's range, for a window's own would let tiles differ.
        np.clip(plane, coarse[channel].min(), coarse[channel].max(), out=plane)
    return fine


def pixel_severity(cells: Maps, size: tuple[int, int], window: Window, guide: Pixels, pixels: Pixels) -> Maps:
    """Severity at pixel resolution: `upsample` without the faint tail beyond the border of the damage.

    The tail treats hardly anything, and every pixel of it is a clean one that would not come back to the byte.
    """
    fine = np.zeros((len(cells), *pixels.shape[:2]), np.float32)
    found = cells[active := np.flatnonzero(cells.any(axis=(1, 2)))]
    severity, cover = np.split(upsample(np.concatenate([found, found > 0]), size, window, guide, pixels), 2)
    fine[active] = severity * np.clip((cover - TAIL) / RAMP, 0, 1)
    return fine


@dataclass(frozen=True)
class _Axis:
    """Where the pixels of one axis lie among the cells.

    span       the cells within reach and one more, whose colour and value tell whether colour explains the map
    cells      int (3, n), the cell before, under and after each pixel, clamped to the frame, counted inside the span
    nearness   float32 (3, n), weight of those cells by distance alone
    offset     float32 (n,), from the centre of the cell under the pixel, in cells, within ±½
    """

    span: slice
    cells: Indices
    nearness: Floats
    offset: Floats

    @classmethod
    def of(cls, cells: int, pixels: int, start: int, stop: int) -> _Axis:
        """Axis of `pixels` pixels over `cells` cells, from pixel `start` up to `stop`."""
        position = (np.arange(start, stop) + 0.5) * cells / pixels
        under = np.minimum(position.astype(np.intp), cells - 1)
        offset = position - under - 0.5
        # The quadratic B-spline reaches exactly three cells; squared, it blurs no more than bilinear does.
        spline = np.stack([0.5 * (0.5 - offset) ** 2, 0.75 - offset**2, 0.5 * (0.5 + offset) ** 2]) ** 2
        around = np.clip(under + np.array([[-1], [0], [1]]), 0, cells - 1)
        span = slice(max(int(under[0]) - 2, 0), min(int(under[-1]) + 3, cells))
        return cls(span, around - span.start, spline.astype(np.float32), offset.astype(np.float32))

    def between(self) -> tuple[Indices, Indices, Floats]:
        """The two cells whose centres enclose each pixel, and the share of the second."""
        before = self.offset < 0
        share = np.where(before, self.offset + 1, self.offset)
        return np.where(before, self.cells[0], self.cells[1]), np.where(before, self.cells[1], self.cells[2]), share


def _bilinear(cells: Maps, rows: _Axis, columns: _Axis, planes: list[Mask]) -> None:
    above, below, down = rows.between()
    left, right, along = columns.between()
    for channel, plane in zip(cells, planes, strict=True):
        wide = channel[:, left] * (1 - along) + channel[:, right] * along
        np.multiply(wide[above], (1 - down)[:, None], out=plane)
        plane += wide[below] * down[:, None]


def _attend(cells: Maps, guide: Pixels, pixels: Pixels, rows: _Axis, columns: _Axis, planes: list[Mask]) -> None:
    """Row of cells by row of cells, so that the work of one stays in the processor's cache."""
    colours = np.ascontiguousarray(np.moveaxis(guide[:, columns.cells], -1, 2))  # (h, 3, 3 colours, n)
    width = np.empty(pixels.shape[:2], np.float32)
    _bilinear(LIKENESS + INDIFFERENCE * (1 - _explained(cells, guide)[None]), rows, columns, [width])
    alive = (cells != 0).any(axis=2)
    starts = np.flatnonzero(np.diff(rows.cells[1], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(pixels)], strict=True):
        around, band = rows.cells[:, start], slice(start, stop)
        live = np.flatnonzero(alive[:, around].any(axis=1))
        if live.size:
            near = rows.nearness[:, None, band, None], columns.nearness[:, None]
            weights = _weights(colours[around].reshape(9, 3, -1), pixels[band], width[band], *near)
            values = cells[live[:, None], around][:, :, columns.cells].reshape(live.size, 9, -1)
            for channel, nine in zip(live, values, strict=True):
                planes[channel][band] = np.einsum("kyx,kx->yx", weights, nine)


def _weights(colours: Floats, pixels: Pixels, width: Mask, near_rows: Floats, near_columns: Floats) -> Floats:
    """Convex weights of nine cells, float32 (9, r, n).

    colours                   (9, 3, n), colour of the cells around each column
    pixels                    (r, n, 3)
    width                     (r, n), variance of colour below which colours are the same
    near_rows, near_columns   (3, 1, r, 1) and (3, 1, n), weights by distance alone
    """
    red_green_blue = np.ascontiguousarray(np.moveaxis(pixels, -1, 0), np.float32)
    # |p - g|² less |p|², which all nine share.
    weights = np.repeat(np.square(colours).sum(axis=1)[:, None], len(pixels), axis=1)
    product = np.empty_like(weights)
    for plane, colour in zip(red_green_blue, range(3), strict=True):
        weights -= np.multiply(2 * plane, colours[:, colour, None], out=product)
    least = weights.min(axis=0)
    unlike = np.maximum(least + np.square(red_green_blue).sum(axis=0), 0)
    weights -= least
    weights *= -0.5 / (width + DOUBT * unlike)
    np.exp(weights, out=weights)
    weights += FLOOR
    apart = weights.reshape(3, 3, *weights.shape[1:])
    apart *= near_rows
    apart *= near_columns
    weights *= 1 / weights.sum(axis=0)
    return weights


def _explained(cells: Maps, guide: Pixels) -> Mask:
    """How far colour explains the maps around each cell, float32 (h, w) in [0, 1].

    The RV coefficient (Escoufier, 1973) of nine colours and nine values, pooled over channels: 1 where the values are
    one linear step along the only contrast of colour there is, 0 where the two have nothing to do with each other.
    """
    # In float64, for a variance is a small difference of squares.
    colours, values = np.moveaxis(guide, -1, 0).astype(np.float64), cells.astype(np.float64)
    both = np.concatenate([colours, values])
    means = _mean_of_nine(both)
    shared = _mean_of_nine(colours[:, None] * both) - means[:3, None] * means
    contrast = np.sqrt(np.square(shared[:, :3]).sum(axis=(0, 1)))
    spread = np.maximum(_mean_of_nine(np.square(values)) - np.square(means[3:]), 0).sum(axis=0)
    explained = np.square(shared[:, 3:]).sum(axis=(0, 1)) / (contrast * spread + 1e-9)
    return np.asarray(np.minimum(explained, 1), np.float32)


def _mean_of_nine(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over 3 by 3 cells with clamped edges, float64 (…, h, w)."""
    edged = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(1, 1), (1, 1)], "edge")
    tall = edged[..., :-2, :] + edged[..., 1:-1, :] + edged[..., 2:, :]
    return np.asarray((tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]) / 9)


def _check(coarse: Maps, size: tuple[int, int], window: Window, guide: Pixels | None, pixels: Pixels | None) -> None:
    y0, x0, y1, x1 = window
    if coarse.ndim != 3 or 0 in coarse.shape[1:]:
        raise UsageError(f"maps of shape {coarse.shape}", "(C, h, w) with at least one cell")
    if not (0 <= y0 < y1 <= size[0] and 0 <= x0 < x1 <= size[1]):
        raise UsageError(f"window {window}", f"y0 < y1 and x0 < x1 inside the frame {size}")
    if (guide is None) != (pixels is None):
        raise UsageError("guide without pixels" if pixels is None else "pixels without guide", "both or neither")
    if guide is not None and guide.shape != (*coarse.shape[1:], 3):
        raise UsageError(f"guide of shape {guide.shape}", f"{(*coarse.shape[1:], 3)}, one colour per cell")
    if pixels is not None and pixels.shape != (y1 - y0, x1 - x0, 3):
        raise UsageError(f"pixels of shape {pixels.shape}", f"{(y1 - y0, x1 - x0, 3)}, as the window")
