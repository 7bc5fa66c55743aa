"""Colour casts of the light: the light's colour is estimated three ways, believed as far as it must be, divided out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import INDEX
from conservator.pixels.light import as_bright, from_light, to_light
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, tool

SOURCE = (
    "shades of grey: Finlayson & Trezzi (CIC 2004); grey edge: van de Weijer et al. (TIP 2007); "
    "white patch: Land (1977), at a quantile; their median, shrunk as James & Stein (1961) do"
)
NORM = 6.0
"""Minkowski norm of shades of grey and grey edge, the one their authors recommend."""

BLUR = 2.0
"""Deviation in thumbnail px of the blur before edges are taken: noise and compression have edges too."""

WHITE = 0.99
"""Quantile that stands for the brightest surface; the maximum would be a lamp or a hot pixel."""

DOUBT = 0.3
"""Length in log RGB of the cast (about 10 degrees) that these estimates see in photographs that have none. Most
photographs were balanced by their camera: a cast of this length is half believed, a shorter one hardly."""

CLIPPED = 0.98
BLACK = 0.02
"""Encoded values beyond which a pixel has lost the light's colour: blown out in every channel, or dark in every one."""

LEAST = 64
"""Fewest other pixels to judge by; with fewer the photograph is left as it is."""


def survey(thumbnail: Pixels, severity: Maps) -> Maps:
    """Gains RGB that undo the cast where the tool is to work, in linear light, float32 (3, 1, 1)."""
    asked = severity[INDEX["colour_cast"]] > 0
    usable = asked & (thumbnail.min(axis=2) < CLIPPED) & (thumbnail.max(axis=2) > BLACK)
    if np.count_nonzero(usable) < LEAST:
        return np.ones((3, 1, 1), np.float32)
    light = as_bright(np.exp(_cast(to_light(thumbnail), usable)))
    return np.asarray(1 / light, np.float32)[:, None, None]


def _cast(light: Pixels, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log colour of the light (3,), of mean 0; 0 is grey."""
    # Blown-out light must not bleed into its surroundings: only usable pixels are averaged.
    weight = cv2.GaussianBlur(usable.astype(np.float32), (0, 0), BLUR)[..., None]
    smooth = cv2.GaussianBlur(light * usable[..., None], (0, 0), BLUR) / np.maximum(weight, np.float32(1e-3))
    across, down = np.gradient(smooth, axis=(0, 1))
    found = [_mean(light[usable]), _mean(np.hypot(across, down)[usable]), np.quantile(smooth[usable], WHITE, axis=0)]
    logs = np.log(np.maximum(found, 1e-6))
    middle = np.median(logs - logs.mean(axis=1, keepdims=True), axis=0)
    middle -= middle.mean()
    power = float(np.square(middle).sum())
    return np.asarray(middle * power / (power + DOUBT**2))


def _mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Minkowski mean (3,) of colours (n, 3)."""
    return np.asarray(np.mean(values.astype(np.float64) ** NORM, axis=0) ** (1 / NORM))


@tool(treats=("colour_cast",), kind=Kind.PHYSICAL, survey=survey, source=SOURCE)
def white_balance(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Takes away the colour of the light, as strong casts show it; brightness and blown-out white stay."""
    balanced = from_light(to_light(pixels) * survey.transpose(1, 2, 0))
    # A blown-out pixel has lost the light's colour: dividing by it would invent the opposite one.
    blown = np.clip((pixels.min(axis=2) - CLIPPED) / (1 - CLIPPED), 0, 1)
    share = severity[INDEX["colour_cast"]] * (1 - blown)
    return np.asarray(pixels + share[..., None] * (balanced - pixels), np.float32)
