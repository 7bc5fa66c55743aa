"""Changes between two states of a photograph that harm it, as numbers: clipping, detail, structure and colour.

Every function takes before and after, float32 (H, W, 3) in [0, 1], and where to look, bool (H, W) with at least one
True. Shares are of the pixels looked at. What cannot be measured on a picture is left out of the answer.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Pixels

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

NEAR_END = 16 / 255
"""Distance from black or white that counts as being there already: black print or white paper that loses its noise
becomes exactly black or white, and nothing is lost."""

HARSHNESS = 3.5
"""Energy of the finest band over that of the next. Photographs fall off towards fine detail; beyond this lie pixels
sharpened several times, checkerboards and fresh noise. What the input had already is not held against the result."""

CONJURED_GAIN = 12.0
"""Energy of fine detail over all the structure there was in the wider surroundings, tone correction allowed for.
Deblurring raises detail where a trace of it was left; this much more comes out of nowhere."""

CAST_PER_LIGHTNESS = 0.4
"""Further shift allowed per unit of mean change in L: a tinted veil leaves with its tint, and crushed shadows return
with colours that could not be seen. Without a change of tone a cast has no excuse."""

GAIN_MOST = 10.0
"""Tone correction is believed to amplify detail so far: five stops of darkness or nine tenths of haze undone."""

EDGE = 0.008
"""Least slope per pixel, at a scale of 2 px, of what counts as an edge."""

FEWEST_EDGES = 60
"""Pixels of edges below which their sharpness is not measured."""

GRAINY = 60 / 255
"""Deviation of the finest band at which no sharpness would be asked for: what strong noise hides, nobody can keep."""

QUANTUM = np.float32((1 / 255) ** 2)
"""Energy of one 8-bit level, below which there is nothing to compare."""


def clipping(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Shares of pixels that reach black or white, within half an 8-bit level, where nothing near was before."""
    near = np.ones((9, 9), np.uint8)
    black = (after < 0.5 / 255) & (cv2.erode(before, near) > NEAR_END)
    white = (after > 1 - 0.5 / 255) & (cv2.dilate(before, near) < 1 - NEAR_END)
    every = ~_any_channel(~black) | ~_any_channel(~white)
    return {"clipped": _share(_any_channel(black | white), where), "burnt": _share(every, where)}


def detail(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Fine detail of the result against its own next band, and against the structure there was."""
    (then, luma_then), (now, luma_now) = ((_bands(y), y) for y in (_luma(before), _luma(after)))
    harsh = now[0] / (now[1] + QUANTUM) > HARSHNESS * np.maximum(1, then[0] / (then[1] + QUANTUM))
    smooth = _blurred(luma_then, 2)
    structure = np.maximum(_mean(smooth * smooth, 33) - _mean(smooth, 33) ** 2, 0)
    gain = _tone_gain(luma_then, luma_now)
    conjured = sum(now) > CONJURED_GAIN * gain * gain * (sum(then) + structure + QUANTUM)
    measures = {"harsh": _share(harsh, where), "conjured": _share(conjured, where)}
    edges = _edges(luma_then, luma_now, then[0], where)
    return measures | edges | _structure(luma_then, luma_now, then[0], where)


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
    band_then = band_then * where
    signal = float(np.vdot(band_then, band_then)) / np.count_nonzero(where) - noise
    if signal < max(noise, 4 * float(QUANTUM)):
        return {}
    shared = float(np.vdot(band_then, band_now)) / np.count_nonzero(where)
    return {"structure_kept": float(shared / signal)}


def _edges(then: Floats, now: Floats, finest: Floats, where: Bools) -> dict[str, float]:
    """How much of the sharpness of the result's edges is left of what they had; left out where there are too few.

    Sharpness is the slope across an edge at half a pixel over that at two, less the 1 that a ramp has. Slopes are
    projected on the edge's own direction and summed along it, so noise, rain and the blocks of a compression, which do
    not know where the edges of the scene are, hardly count; and a ratio does not notice a change of tone.
    """
    across, down = _slopes(now, 2)
    slope = np.asarray(np.hypot(across, down), np.float32)
    beside = [np.maximum(np.roll(slope, 1, axis), np.roll(slope, -1, axis)) for axis in (0, 1)]
    ridge = where & (slope > EDGE) & (slope >= np.where(np.abs(across) > np.abs(down), beside[1], beside[0]))
    if np.count_nonzero(ridge) < FEWEST_EDGES:
        return {}
    way: tuple[Floats, Floats] = across[ridge] / slope[ridge], down[ridge] / slope[ridge]
    steep_then, steep_now = (_steepness(y, ridge, way) for y in (then, now))
    if steep_then < 1.05:
        return {}
    asked = 1 - min(float(np.sqrt(np.median(finest[where]))) / GRAINY, 0.6)
    return {"edges_kept": (steep_now - 1) / (steep_then - 1) / asked}


def _steepness(luma: Floats, ridge: Bools, way: tuple[Floats, Floats]) -> float:
    """Slope along `way` at a fine scale over that at a wider one, of all edges together; 0 where there are none."""
    fine, wide = ([slope[ridge] for slope in _slopes(luma, sigma)] for sigma in (0.5, 2))
    over, under = (sum(float(np.vdot(*pair)) for pair in zip(slopes, way, strict=True)) for slopes in (fine, wide))
    return over / under if under > 0.25 * EDGE * np.count_nonzero(ridge) else 0.0


def _slopes(luma: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Derivatives per pixel to the right and down."""
    soft = _blurred(luma, sigma)
    return np.asarray(cv2.Scharr(soft, cv2.CV_32F, 1, 0) / 32), np.asarray(cv2.Scharr(soft, cv2.CV_32F, 0, 1) / 32)


def colour(before: Pixels, after: Pixels, where: Bools) -> dict[str, float]:
    """Shifts of chroma over blocks of 16 pixels, whose means noise hardly moves; clipped and black blocks left out."""
    lab_then, lab_now = (_lab_blocks(picture) for picture in (before, after))
    clear = np.minimum(*(1 - _blocks(_any_channel((p < 0.02) | (p > 0.98))) for p in (before, after)))
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


def _any_channel(flags: Bools) -> Bools:
    # Thrice as fast as np.any over so short an axis.
    return np.asarray(flags[..., 0] | flags[..., 1] | flags[..., 2])


def _share(flags: Bools, where: Bools) -> float:
    return float(np.count_nonzero(flags & where) / np.count_nonzero(where))


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
