"""The fidelity guard: hard limits on what a treatment may do to a photograph, whatever any score says.

It compares before and after on a bounded sample of native pixels. It does not ask whether the result is better, only
whether it can still be the same photograph: nothing touched that should not be, no clipping, no detail out of nowhere,
no colours that exposure and haze do not explain, structure still in place. The limits were set on training photographs:
of the truths behind damaged photographs, every kind of damage in the vocabulary and pairs of them, two in a hundred are
refused; repeated sharpening, exchanged pictures and lost colour always, plain checkerboards and casts mostly. Of
over-smoothing it sees what happens to edges: a blur is refused, a texture that was taken for noise is not, for to a
comparison without knowledge of the tool, rain and grain are structure too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.errors import UsageError
from conservator.pixels.types import Mask, Pixels, Samples, to_pixels
from conservator.quality import changes

Bools = NDArray[np.bool_]
Window = tuple[slice, slice]
T = TypeVar("T", bound=np.generic)

SIDE = 256
"""Side in pixels of a sampled tile."""

TILES = 12
"""Most tiles: 0.8 megapixels tell shares of a few per cent apart, whatever the size of the photo."""

LEAK = 0.5 / 65535
"""A larger change would be another integer in a 16-bit file, and nothing at all may change outside the mask."""

CLIPPED = 0.4
"""Share of pixels that may reach the end of the scale in some channel where nothing near was before. A white backdrop
that had been dimmed returns to white in a third of a photograph; a lift of two stops too much clips as much again."""

BURNT = 0.25
"""The same in all channels at once, where not even the hue is left."""

HARSH = 0.08
"""Share of pixels whose surroundings may exceed changes.HARSHNESS. No camera photograph the limit was set on has more;
a quarter of carelessly shrunk web pictures have, and would be believed only if the input had been as harsh."""

CONJURED = 0.06
"""Share of pixels whose surroundings may exceed changes.CONJURED_GAIN: strong defocus does erase a texture to the last
trace here and there."""

CAST = 4.0
"""Mean shift in Lab's a, b that scaling the chroma does not explain. A ΔE of 2.3 is just noticeable; quality-10 JPEG
and strong denoising reach 2 to 3."""

HUE = 30.0
"""Mean turn of hue in degrees where there is colour before and after: skin would be green at 60."""

COLOUR_KEPT = 0.25
"""Least factor on the chroma of a colourful photo: recovering from over-exposure leaves 0.6, losing colour 0."""

STRUCTURE_KEPT = 0.05
"""Least share of the medium-scale structure of the input that is in the result too. Rain was structure: taking all of
it away can leave a tenth. Another picture, or none, has 0."""


EDGES_KEPT = 0.5
"""Least share of the sharpness of edges, strong noise allowed for. Of the outcomes of our own tools that were nearer to
the truth none kept less than 0.6, of the truths behind damage hardly any; a Gaussian of 2 px keeps half of it."""


@dataclass(frozen=True)
class Verdict:
    """What the guard found.

    ok         True when no limit was broken
    reasons    one sentence per broken limit
    measures   every number that was compared, by name; what cannot be measured on this photo is left out
    """

    ok: bool
    reasons: tuple[str, ...]
    measures: dict[str, float]


class Guard(Protocol):
    """Whether what came out can still be the same photograph."""

    def __call__(self, before: Samples, after: Samples, cells: Bools | None = None, /) -> Verdict:
        """Compare uint16 (H, W, 3) before and after; `cells`, bool (h, w), may have changed."""
        ...


def examine_samples(before: Samples, after: Samples, cells: Bools | None = None) -> Verdict:
    """Examine whole photographs of any size: every pixel outside the mask, and twelve tiles, treated ones first.

    before, after   uint16 (H, W, 3)
    cells           bool (h, w) on the CELL grid, True where severity was to be treated; None is everywhere. Its
                    neighbours count as touched too, because upsampling looks one cell around.
    Raises UsageError when the shapes differ.
    """
    _check(before, after)
    height, width = before.shape[:2]
    grid = -(-height // CELL), -(-width // CELL)
    if cells is not None and cells.shape != grid:
        raise UsageError(f"cells of shape {cells.shape}", f"{grid} for a photo of shape {before.shape}")
    work = np.ones(grid, np.bool_) if cells is None else cv2.dilate(cells.astype(np.uint8), np.ones((3, 3))) > 0
    windows = _windows((height, width), lambda window: bool(_touched(work, window).any()))
    then, now = (to_pixels(_mosaic(samples, windows)) for samples in (before, after))
    measures = _measures(then, now, np.concatenate([_touched(work, window) for window in windows]))
    return _verdict(measures | {"leaked": _leaked(before, after, work)})


def examine(before: Pixels, after: Pixels, touched: Mask | None = None) -> Verdict:
    """Examine a pair of pictures, or of native crops.

    before, after   float32 (H, W, 3) in [0, 1]; of pictures above 0.8 megapixels, twelve tiles are looked at
    touched         float32 (H, W), 0 where nothing may have changed; None is everywhere
    Raises UsageError when the shapes differ.
    """
    _check(before, after)
    where = np.ones(before.shape[:2], np.bool_) if touched is None else touched > 0
    if where.shape != before.shape[:2]:
        raise UsageError(f"touched of shape {where.shape}", f"{before.shape[:2]}", "resize the mask")
    if not np.isfinite(after).all():
        return Verdict(False, ("the result holds NaN or infinity",), {})
    leaked = float(np.mean(np.any(np.abs(after - before) > LEAK, axis=-1) & ~where))
    windows = _windows((before.shape[0], before.shape[1]), lambda window: bool(where[window].any()))
    measures = _measures(_mosaic(before, windows), _mosaic(after, windows), _mosaic(where, windows))
    return _verdict(measures | {"leaked": leaked})


def _measures(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    if not where.any():
        return {}
    after = np.clip(after, 0, 1)
    return (
        changes.clipping(before, after, where)
        | changes.detail(before, after, where)
        | changes.colour(before, after, where)
    )


def _leaked(before: Samples, after: Samples, work: Bools) -> float:
    """Share of pixels that changed although no severity reaches them; row of cells by row of cells."""
    changed, columns = 0, np.arange(before.shape[1]) // CELL
    for row, top in enumerate(range(0, len(before), CELL)):
        band = np.s_[top : top + CELL]
        still = ~work[row]
        if still.any() and not np.array_equal(before[band], after[band]):
            changed += int(np.count_nonzero(np.any(before[band] != after[band], axis=-1) & still[columns]))
    return changed / before[..., 0].size


def _verdict(measures: dict[str, float]) -> Verdict:
    reasons = tuple(_reasons(measures))
    return Verdict(not reasons, reasons, measures)


def _reasons(measures: dict[str, float]) -> list[str]:
    limits = (
        ("leaked", 0.0, "changes {:.2%} of the pixels outside the mask, where nothing may change"),
        ("clipped", CLIPPED, "clips {:.0%} of the pixels in some channel, at most {:.0%}"),
        ("burnt", BURNT, "clips {:.0%} of the pixels in all channels, at most {:.0%}"),
        ("harsh", HARSH, "sharpens {:.0%} of the pixels beyond what photographs hold, at most {:.0%}"),
        ("conjured", CONJURED, "invents detail in {:.0%} of the pixels, at most {:.0%}"),
        ("cast", CAST, "shifts colour by {:.1f} in Lab beyond what tone explains, at most {:.1f}"),
        ("hue", HUE, "turns hues by {:.0f} degrees, at most {:.0f}"),
        ("colour_kept", COLOUR_KEPT, "keeps {:.0%} of the colour, at least {:.0%}"),
        ("edges_kept", EDGES_KEPT, "keeps {:.0%} of the sharpness of edges, at least {:.0%}"),
        ("structure_kept", STRUCTURE_KEPT, "keeps {:.0%} of the structure, at least {:.0%}"),
    )
    found = [(measures[name], limit, text, name.endswith("kept")) for name, limit, text in limits if name in measures]
    return [text.format(got, limit) for got, limit, text, least in found if (got < limit if least else got > limit)]


def _windows(size: tuple[int, int], worked: Callable[[Window], bool]) -> list[Window]:
    """The tiles to look at: all of a small picture, else TILES tiles evenly spread, those with work first."""
    if size[0] * size[1] <= TILES * SIDE * SIDE:
        return [(slice(0, size[0]), slice(0, size[1]))]
    rows, columns = ([slice(max(e - SIDE, 0), e) for e in (*range(SIDE, n, SIDE), n)] for n in size)
    tiles = [(row, column) for row in rows for column in columns]
    working = [worked(tile) for tile in tiles]
    first = _spread([t for t, works in zip(tiles, working, strict=True) if works], TILES)
    return first + _spread([t for t, works in zip(tiles, working, strict=True) if not works], TILES - len(first))


def _spread(tiles: list[Window], most: int) -> list[Window]:
    count = min(most, len(tiles))
    return [tiles[i * len(tiles) // count] for i in range(count)]


def _touched(work: Bools, window: Window) -> Bools:
    """The pixels of a window, bool, from the cells they lie in."""
    rows, columns = (np.arange(axis.start, axis.stop) // CELL for axis in window)
    return np.asarray(work[np.ix_(rows, columns)])


def _mosaic(array: NDArray[T], windows: list[Window]) -> NDArray[T]:
    return np.concatenate([array[w] for w in windows])


def _check(before: NDArray[np.generic], after: NDArray[np.generic]) -> None:
    if before.shape != after.shape or before.ndim != 3 or before.shape[2] != 3 or not before.size:
        raise UsageError(f"pictures of shapes {before.shape} and {after.shape}", "(H, W, 3), the same for both")
