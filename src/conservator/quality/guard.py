"""The fidelity guard: hard limits on what a treatment may do to a photograph, whatever any score says.

It compares before and after on a bounded sample of native pixels. It does not ask whether the result is better, only
whether it can still be the same photograph: nothing touched that should not be, no clipping, no detail out of nowhere,
no colours that exposure and haze do not explain, structure still in place. The limits were set on training photographs
so that the truth behind a damaged photograph passes, for every kind of damage in the vocabulary and pairs of them, and
repeated sharpening, checkerboards, casts and exchanged pictures do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.errors import UsageError
from conservator.pixels.types import Mask, Pixels, Samples, to_pixels

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

SIDE = 256
"""Side in pixels of a sampled tile."""

TILES = 12
"""Most tiles: 0.8 megapixels tell shares of a few per cent apart, whatever the size of the photo."""

LEAK = 0.5 / 65535
"""A larger change would be another integer in a 16-bit file, and nothing at all may change outside the mask."""

CLIPPED = 0.35
"""Share of pixels newly at the end of the scale in some channel. Blacks that a veil or a blur had lifted return to 0 in
up to a fifth of a photograph; a lift of two stops too much clips twice that."""

NEAR_END = 16 / 255
"""Distance from black or white at which a neighbourhood counts as lying there already: a black backdrop that loses its
noise becomes exactly black, and nothing is lost."""

BURNT = 0.15
"""The same in all channels at once, where not even the hue is left."""

HARSHNESS = 3.5
"""Energy of the finest band over that of the next. Photographs fall off towards fine detail; beyond this lie pixels
sharpened several times, checkerboards and fresh noise. What the input had already is not held against the result."""

HARSH = 0.04
"""Share of pixels whose surroundings may be that harsh: none of the true photographs the limit was set on had more."""

CONJURED_GAIN = 12.0
"""Energy of fine detail over all the structure there was in the wider surroundings, tone correction allowed for.
Deblurring raises detail where a trace of it was left; this much more comes out of nowhere."""

CONJURED = 0.06
"""Share of pixels where that may happen: strong defocus does erase a texture to the last trace here and there."""

CAST = 4.0
"""Mean shift in Lab's a, b that scaling the chroma does not explain. A ΔE of 2.3 is just noticeable; quality-10 JPEG
and strong denoising reach 2 to 3."""

CAST_PER_LIGHTNESS = 0.4
"""Further shift allowed per unit of mean change in L: a tinted veil leaves with its tint, and crushed shadows return
with colours that could not be seen. Without a change of tone a cast has no excuse."""

HUE = 30.0
"""Mean turn of hue in degrees where there is colour before and after: skin would be green at 60."""

COLOUR_KEPT = 0.25
"""Least factor on the chroma of a colourful photo: recovering from over-exposure leaves 0.6, losing colour 0."""

STRUCTURE_KEPT = 0.05
"""Least share of the medium-scale structure of the input that is in the result too. Rain was structure: taking all of
it away can leave a tenth. Another picture, or none, has 0."""

GAIN_MOST = 10.0
"""Tone correction is believed to amplify detail so far: five stops of darkness or nine tenths of haze undone."""

QUANTUM = np.float32((1 / 255) ** 2)
"""Energy of one 8-bit level, below which there is nothing to compare."""


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


def examine_samples(before: Samples, after: Samples, cells: Bools | None = None) -> Verdict:
    """Examine whole photographs of any size: twelve tiles, treated ones first.

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
    work = np.ones(grid, np.uint8) if cells is None else cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8))
    touched = work.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    windows = _windows(touched)
    then, now = (to_pixels(_mosaic(samples, windows)) for samples in (before, after))
    return examine(then, now, _mosaic(touched, windows).astype(np.float32))


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
    windows = _windows(where)
    before, after, where = _mosaic(before, windows), _mosaic(after, windows), _mosaic(where, windows)
    change = np.abs(after - before).max(axis=-1)
    measures = {"leaked": float(np.mean((change > LEAK) & ~where))}
    if where.any():
        after = np.clip(after, 0, 1)
        measures |= _clipping(before, after, where) | _detail(before, after, where) | _colour(before, after, where)
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
        ("structure_kept", STRUCTURE_KEPT, "keeps {:.0%} of the structure, at least {:.0%}"),
    )
    found = [(measures[name], limit, text, name.endswith("kept")) for name, limit, text in limits if name in measures]
    return [text.format(got, limit) for got, limit, text, least in found if (got < limit if least else got > limit)]


def _clipping(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Shares of pixels that have come to within half an 8-bit level of black or white from farther than NEAR_END."""
    around = _mean(before, 9)
    black = (after < 0.5 / 255) & (around > NEAR_END)
    white = (after > 1 - 0.5 / 255) & (around < 1 - NEAR_END)
    some, every = np.any(black | white, axis=-1), np.all(black, axis=-1) | np.all(white, axis=-1)
    return {"clipped": float(some[where].mean()), "burnt": float(every[where].mean())}


def _detail(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Fine detail of the result against its own next band, and against the structure there was."""
    (then, luma_then), (now, luma_now) = ((_bands(y), y) for y in (_luma(before), _luma(after)))
    harsh = now[0] / (now[1] + QUANTUM) > HARSHNESS * np.maximum(1, then[0] / (then[1] + QUANTUM))
    smooth = _blurred(luma_then, 2)
    structure = np.maximum(_mean(smooth * smooth, 33) - _mean(smooth, 33) ** 2, 0)
    gain = _tone_gain(luma_then, luma_now)
    conjured = sum(now) > CONJURED_GAIN * gain * gain * (sum(then) + structure + QUANTUM)
    measures = {"harsh": float(harsh[where].mean()), "conjured": float(conjured[where].mean())}
    return measures | _structure(luma_then, luma_now, then[0], where)


def _bands(luma: Floats) -> tuple[Floats, Floats]:
    """Local energy of the two finest bands."""
    fine, medium = _blurred(luma, 0.8), _blurred(luma, 2.4)
    return _mean((luma - fine) ** 2, 25), _mean((fine - medium) ** 2, 25)


def _tone_gain(then: Floats, now: Floats) -> Floats:
    """How much an honest correction of tone amplifies detail, at least 1.

    Lifting an exposure stretches distances from black, removing haze or over-exposure those from white.
    """
    low_then, low_now, dark = _mean(then, 25), _mean(now, 25), np.float32(0.02)
    lift, clear = (low_now + dark) / (low_then + dark), (1 - low_now + dark) / (1 - low_then + dark)
    return np.asarray(np.clip(np.maximum(lift, clear), 1, GAIN_MOST), np.float32)


def _structure(then: Floats, now: Floats, finest: Floats, where: Bools) -> dict[str, float]:
    """Regression of the result's medium band on the input's; left out where noise or flatness leaves nothing."""
    band_then, band_now = (_blurred(y, 2) - _blurred(y, 8) for y in (then, now))
    noise = 0.026 * float(np.median(finest[where]))  # of white noise: energy in this band over that in the finest
    signal = float(np.mean(band_then[where] ** 2)) - noise
    if signal < max(noise, 4 * float(QUANTUM)):
        return {}
    return {"structure_kept": float(np.mean((band_then * band_now)[where])) / signal}


def _colour(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Shifts of chroma over blocks of 16 pixels, whose means noise hardly moves; clipped and black blocks left out."""
    lab_then, lab_now = (_lab_blocks(picture) for picture in (before, after))
    clear = np.minimum(*(1 - _blocks(np.any((p < 0.02) | (p > 0.98), axis=-1)) for p in (before, after)))
    use = (clear > 0.8) & (_blocks(where) > 0.5) & (lab_then[..., 0] > 8)
    if use.sum() < 10:
        return {}
    then, now = lab_then[use][:, 1:], lab_now[use][:, 1:]
    scale = float(np.clip((then * now).sum() / (np.square(then).sum() + 1e-3), 0, 4))
    shift = float(np.linalg.norm((now - scale * then).mean(axis=0)))
    lightness = float(np.abs(lab_now - lab_then)[use][:, 0].mean())
    colourful = {"colour_kept": scale} if np.linalg.norm(then, axis=1).mean() > 5 else {}
    return {"cast": max(shift - CAST_PER_LIGHTNESS * lightness, 0.0), "hue": _turn(then, now), **colourful}


def _turn(then: Floats, now: Floats) -> float:
    """Mean angle in degrees between chroma vectors (n, 2), weighted by how much chroma both have."""
    size_then, size_now = np.linalg.norm(then, axis=1), np.linalg.norm(now, axis=1)
    cosine = (then * now).sum(axis=1) / np.maximum(size_then * size_now, 1e-6)
    # Greys have no hue; with hardly a coloured block there is nothing to turn.
    weight = np.clip(np.minimum(size_then, size_now) - 6, 0, 20)
    return float((np.degrees(np.arccos(np.clip(cosine, -1, 1))) * weight).sum() / (weight.sum() + 20))


def _luma(picture: Pixels) -> Floats:
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _blurred(plane: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _mean(plane: Floats, side: int) -> Floats:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _blocks(plane: Floats | Bools) -> Floats:
    """Means over blocks of about 16 x 16 pixels."""
    size = max(plane.shape[1] // 16, 1), max(plane.shape[0] // 16, 1)
    return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _lab_blocks(picture: Pixels) -> Floats:
    return np.asarray(cv2.cvtColor(_blocks(picture), cv2.COLOR_RGB2Lab), np.float32)


def _windows(touched: NDArray[np.generic]) -> list[tuple[slice, slice]]:
    """The tiles to look at: all of a small picture, else TILES tiles evenly spread, touched ones first."""
    height, width = touched.shape
    if height * width <= TILES * SIDE * SIDE:
        return [(slice(0, height), slice(0, width))]
    rows, columns = (range(0, max(n - min(n, SIDE), 0) + SIDE, SIDE) for n in (height, width))
    corners = [(min(y, max(height - SIDE, 0)), min(x, max(width - SIDE, 0))) for y in rows for x in columns]
    tiles = [(slice(y, min(y + SIDE, height)), slice(x, min(x + SIDE, width))) for y, x in dict.fromkeys(corners)]
    worked = [touched[t].any() for t in tiles]
    first = _spread([t for t, w in zip(tiles, worked, strict=True) if w], TILES)
    return first + _spread([t for t, w in zip(tiles, worked, strict=True) if not w], TILES - len(first))


def _spread(tiles: list[tuple[slice, slice]], most: int) -> list[tuple[slice, slice]]:
    count = min(most, len(tiles))
    return [tiles[i * len(tiles) // count] for i in range(count)]


def _mosaic(array: NDArray[T], windows: list[tuple[slice, slice]]) -> NDArray[T]:
    return np.concatenate([array[w] for w in windows])


def _check(before: NDArray[np.generic], after: NDArray[np.generic]) -> None:
    if before.shape != after.shape or before.ndim != 3 or before.shape[2] != 3 or not before.size:
        raise UsageError(f"pictures of shapes {before.shape} and {after.shape}", "(H, W, 3), the same for both")
