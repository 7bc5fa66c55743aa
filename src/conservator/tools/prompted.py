"""The network behind every tool for local damage; the severity maps it is given decide which kinds it removes."""

from __future__ import annotations

import numpy as np

from conservator.degradations import INDEX
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Pixels

MODEL = "restorer"
HALO = 48
MULTIPLE_OF = 8
SOURCE = "severity map as input: FFDNet (Zhang et al., TIP 2018); one network for any subset: AirNet (CVPR 2022)"


def restored(pixels: Pixels, severity: Maps) -> Pixels:
    """Pixels without the damage that the maps name; a pixel whose severities are all zero comes back unchanged.

    pixels    float32 (H, W, 3), H and W multiples of 8
    severity  float32 (D, H, W)
    """
    prompt = severity[[INDEX[kind] for kind in MODELS[MODEL].kinds]]
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    result = run(MODEL, {"image": image[None], "severity": np.ascontiguousarray(prompt)[None]})[0][0]
    return np.asarray(result.transpose(1, 2, 0))
