"""Photographs taken under water: what the water added is taken away, what it swallowed is given back."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.degradations import INDEX
from conservator.pixels.light import WATER, from_light, to_light
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.tools.card import Kind, tool

SOURCE = (
    "formation: Akkaynak & Treibitz (CVPR 2018, 2019); distance from lost red: Carlevaris-Bianco et al. (OCEANS 2010), "
    "ULAP (Song et al., PCM 2018); bound of the veil: He et al. (TPAMI 2011)"
)
METRES = 8.0
"""Distance of a place that has lost all its red, as in ULAP."""

FAR = 0.99
"""Quantile of lost red from which a place shows the water itself and nothing behind it."""

WINDOW = 15
"""Side in thumbnail px of the window that holds something dark: what light it shows must be the water's."""

VEIL = 0.95
"""Most of that light that is taken away; some veil makes distance (He et al.)."""

GREY = 0.5
"""How far the light on near things is moved to grey, as a power: under water grey-world is half right, for the scene
itself is blue."""

MOST = 4.0
"""Nothing gains more than this by it."""


def survey(thumbnail: Pixels, severity: Maps) -> Maps:
    """Veil RGB and gain RGB of every place, in linear light, float32 (6, h, w)."""
    light, lost = to_light(thumbnail), _lost_red(thumbnail)
    asked = severity[INDEX["underwater"]]
    far = lost >= np.quantile(lost[asked > 0], FAR)
    water = np.median(light[far & (asked > 0)], axis=0)
    metres = np.minimum(METRES * lost, _most_metres(light, water))
    through = WATER ** metres[..., None]
    veil = water * (1 - through)
    gain = _to_grey(np.maximum(light - veil, 0) / through, asked * (1 - lost)) / through
    return np.asarray(np.concatenate([veil, gain], axis=2).transpose(2, 0, 1), np.float32)


def _lost_red(thumbnail: Pixels) -> Mask:
    """How much less red than green or blue a place shows, in [0, 1]: red goes first, so this grows with distance."""
    lost = cv2.GaussianBlur(thumbnail[..., 1:].max(axis=2) - thumbnail[..., 0], (0, 0), 3.0)
    return np.asarray(np.clip(lost, 0.0, 1.0), np.float32)


def _most_metres(light: Pixels, water: Pixels) -> Mask:
    """Distance beyond which the veil would be brighter than the darkest thing nearby, in green or in blue."""
    dark = cv2.GaussianBlur(cv2.erode(light, np.ones((WINDOW, WINDOW))), (0, 0), WINDOW / 4)
    share = np.minimum(dark / np.maximum(water, 1e-3), 1.0)[..., 1:]
    return np.asarray((np.log1p(-VEIL * share) / np.log(WATER[1:])).min(axis=2), np.float32)


def _to_grey(clear: Pixels, weight: Mask) -> Pixels:
    """Gains (3,) that move the mean colour towards grey; near places count most."""
    mean = np.einsum("hwc,hw->c", np.minimum(clear, 1.0), weight) / max(float(weight.sum()), 1e-6)
    return np.asarray(np.clip(mean.mean() / np.maximum(mean, 1e-3), 1 / MOST, MOST) ** GREY, np.float32)


@tool(treats=("underwater",), kind=Kind.PHYSICAL, survey=survey, source=SOURCE)
def underwater(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Takes the veil of water away and gives back the light it swallowed, red above all; far water stays blue."""
    light = to_light(pixels)
    veil, gain = survey[:3].transpose(1, 2, 0), survey[3:].transpose(1, 2, 0)
    clear = np.maximum(light - veil, 0) * gain
    # Where red was lost it may catch up with the others; beyond them it would paint sand and skin pink.
    before, after = (np.maximum(x[..., 1], x[..., 2]) for x in (light, clear))
    excess = np.maximum(light[..., 0] / np.maximum(before, np.float32(1e-4)), 1)
    clear[..., 0] = np.minimum(clear[..., 0], after * excess)
    share = severity[INDEX["underwater"]][..., None]
    return np.asarray(pixels + share * (from_light(clear) - pixels), np.float32)
