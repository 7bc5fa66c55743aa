"""What deconvolution leaves to be done: a network that sees the picture before and after it."""

from __future__ import annotations

import numpy as np

from conservator.degradations import INDEX
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Mask, Pixels

MODEL = "deblur"
MULTIPLE_OF = 8
AROUND = 48
"""px around what was deconvolved that the network sees, too."""

LEAST = 1 / 255
"""Change below which deconvolution did nothing: of a flat picture any path is believed."""


def finished(blurred: Pixels, sharp: Pixels, believed: Mask, severity: Maps, margin: int) -> Pixels:
    """The deconvolved picture without ripples, grain and what a kernel that is nearly right leaves.

    blurred, sharp  float32 (H, W, 3) before and after deconvolution
    believed        float32 (H, W) in [0, 1], share of the deconvolved pixel in `sharp`; where it is 0, nothing changes:
                    asked blindly, the network would smooth what is sharp
    severity        float32 (D, H, W)
    margin          px along the border where nothing was deconvolved, and nothing is looked at
    """
    if not believed.any() or np.abs(sharp - blurred).max() < LEAST:
        return sharp
    box = tuple(_reach(np.max(believed, axis=1 - axis), margin) for axis in (0, 1))
    prompt = severity[[INDEX[kind] for kind in MODELS[MODEL].kinds]][:, *box]
    pictures = np.concatenate([blurred[box], np.clip(sharp[box], 0, 1)], axis=2).transpose(2, 0, 1)
    height, width = prompt.shape[1:]
    found = run(MODEL, {"image": _filled(pictures)[None], "severity": _filled(prompt)[None]})[0][0, :, :height, :width]
    result = sharp.copy()
    result[box] += np.minimum(believed[box], 1)[..., None] * (found.transpose(1, 2, 0) - sharp[box])
    return result


def _reach(there: Mask, margin: int) -> slice:
    """From the first to the last place, and some px around, inside the margin."""
    places = np.flatnonzero(there)
    return slice(max(int(places[0]) - AROUND, margin), min(int(places[-1]) + 1 + AROUND, len(there) - margin))


def _filled(maps: Maps) -> Maps:
    """Sides continued to whole multiples."""
    missing = [(0, -side % MULTIPLE_OF) for side in maps.shape[1:]]
    return np.ascontiguousarray(np.pad(maps, [(0, 0), *missing], mode="edge"))
