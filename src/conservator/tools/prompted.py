"""Networks prompted by severity maps: what a map names is removed where and as far as it says."""

from __future__ import annotations

import numpy as np

from conservator.degradations import INDEX
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Pixels

MODEL = "restorer"
"""The one that knows several kinds, and takes any of them out in one pass."""

HALO = 48
MULTIPLE_OF = 8
SOURCE = "severity map as input: FFDNet (Zhang et al., TIP 2018); one network for any subset: AirNet (CVPR 2022)"


def restored(pixels: Pixels, severity: Maps, model: str = MODEL) -> Pixels:
    """Pixels without the damage that the maps name; a pixel whose severities are all zero comes back unchanged.

    pixels    float32 (H, W, 3), H and W multiples of 8
    severity  float32 (D, H, W)
    model     a network in the catalogue that is prompted so
    """
    prompt = severity[[INDEX[kind] for kind in MODELS[model].kinds]]
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    result = run(model, {"image": image[None], "severity": np.ascontiguousarray(prompt)[None]})[0][0]
    return np.asarray(result.transpose(1, 2, 0))
