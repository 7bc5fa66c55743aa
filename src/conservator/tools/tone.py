"""Haze and wrong exposure, undone by the physics that made them; a network only estimates the parameters."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.degradations import INDEX, Stage
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.reduce import fitted
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, tool

MODEL = "tone"
FADE = 6.0
"""The correction is in full force from a severity of 1 / FADE on, and fades out below it."""

SOURCE = "Koschmieder's law inverted: He et al. (TPAMI 2011); curve maps: HDRnet (Gharbi et al., SIGGRAPH 2017)"

MOST = np.float32(8.0)
"""Nothing is made brighter than this many times: below it, single 8-bit levels would turn into visible steps."""

COLOURFUL = np.float32(4.0)
"""Beyond this amplification colour fades to grey: in near-black pixels it is rounding, not the scene's."""

BLACK = np.float32(1 / 255)

BURNT = np.float32(0.8)
"""From here to 1, the mean of its channels, a pixel has less and less left to bring back."""

SPARED = np.float32(0.8)
"""Share of the darkening that a burnt-out pixel is spared. Real exposures come 2 dB nearer to their references when it
is spared less, but by greying what was bright: skin loses its colour, and skies are smeared."""


def survey(thumbnail: Pixels, severity: Maps) -> Maps:
    """Veil 1 − t, airlight RGB, log2 gain, lift, log2 gamma per 4 × 4 cell of the shrunk frame, float32 (7, h, w)."""
    image = fitted(thumbnail)
    size = (image.shape[1], image.shape[0])
    channels = [INDEX[kind] for kind in MODELS[MODEL].kinds]
    prompt = [cv2.resize(np.ascontiguousarray(severity[c]), size, interpolation=cv2.INTER_LINEAR) for c in channels]
    inputs = {"image": np.ascontiguousarray(image.transpose(2, 0, 1))[None], "severity": np.stack(prompt)[None]}
    return np.asarray(run(MODEL, inputs)[0][0])


def inverted(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """The closed form per pixel; hue and saturation follow the value.

    pixels    float32 (H, W, 3)
    severity  float32 (D, H, W)
    survey    float32 (7, H, W), from `survey`
    """
    veil, gain, lift, gamma = (survey[i][..., None] for i in (0, 4, 5, 6))
    airlight = survey[1:4].transpose(1, 2, 0)
    clear = np.clip((pixels - veil * airlight) / (1 - np.minimum(veil, 0.95)), 0, 1)
    value = np.maximum(clear.max(axis=2, keepdims=True), BLACK)
    target = np.clip(value * np.exp2(gain) + lift, 1e-4, 1) ** np.exp2(gamma)
    ratio = np.minimum(target / value, MOST)
    burnt = np.clip((clear.mean(axis=2, keepdims=True) - BURNT) / (1 - BURNT), 0, 1)
    ratio = ratio + SPARED * burnt**2 * (3 - 2 * burnt) * np.maximum(1 - ratio, 0)
    colour = np.minimum(1, COLOURFUL / np.maximum(ratio, 1))
    grey = value * ratio
    force = np.clip(severity.max(axis=0) * FADE, 0, 1)[..., None]
    return np.asarray(pixels + force * (grey + colour * (clear * ratio - grey) - pixels), np.float32)


@tool(
    treats=("haze", "low_light", "over_exposure"),
    stage=Stage.SCENE,
    kind=Kind.PHYSICAL,
    models=(MODEL,),
    survey=survey,
    source=SOURCE,
)
def tone(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Clears haze and corrects exposure together, each where and as strongly as its map says."""
    return inverted(pixels, severity, survey)
