"""Local damage in one pass: a network prompted with a severity map per kind."""

from __future__ import annotations

import numpy as np

from conservator.degradations import INDEX, Stage
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool

MODEL = "restorer"


@tool(
    treats=("jpeg", "noise", "rain"),
    stage=Stage.COMPRESSION,
    halo=48,
    multiple_of=8,
    models=(MODEL,),
    source="noise map as input: FFDNet (Zhang et al., TIP 2018); one network for all: AirNet (CVPR 2022), PromptIR",
)
def joint(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Removes noise, compression artefacts and rain together, each where and as strongly as its map says.

    pixels    float32 (H, W, 3), H and W multiples of 8
    severity  float32 (D, H, W); a pixel whose severities are all zero comes back unchanged
    """
    prompt = severity[[INDEX[kind] for kind in MODELS[MODEL].kinds]]
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    restored = run(MODEL, {"image": image[None], "severity": np.ascontiguousarray(prompt)[None]})[0][0]
    return np.asarray(restored.transpose(1, 2, 0))
