"""Damage that shows only in the whole frame: haze and exposure. A crop cannot tell a veil or a shadow from the scene."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.models.runtime import run
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Maps, Pixels, Samples
from conservator.pixels.upsample import upsample

MODEL = "perceiver_frame"
LONGEST = 256
"""Longer side of the shrunk frame in px; the network was trained on this size."""

MULTIPLE = 8
STRIDE = 4


def read(samples: Samples, guide: Pixels) -> Maps:
    """Raw outputs (3 · K, h, w) on the cell grid of `guide`: presence logits, severities, log deviations."""
    small = shrunk(samples)
    coarse = run(MODEL, {"image": np.ascontiguousarray(small.transpose(2, 0, 1))[None]})[0][0]
    colours = cv2.resize(small, (coarse.shape[2], coarse.shape[1]), interpolation=cv2.INTER_AREA)
    return upsample(np.asarray(coarse), (guide.shape[0], guide.shape[1]), guide=colours, pixels=guide)


def shrunk(samples: Samples) -> Pixels:
    """The whole frame at about LONGEST px, sides multiples of MULTIPLE; small photos are enlarged."""
    small = thumbnail(samples, LONGEST)
    scale = LONGEST / max(small.shape[:2])
    width, height = (max(2 * MULTIPLE, round(n * scale / MULTIPLE) * MULTIPLE) for n in (small.shape[1], small.shape[0]))
    shrink = width * height < small.shape[0] * small.shape[1]
    resized = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return np.clip(resized, 0.0, 1.0)
