"""Haze and exposure show only in the whole frame: a crop cannot tell a veil or a shadow from the scene."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.models.runtime import run
from conservator.pixels.reduce import fitted, thumbnail
from conservator.pixels.types import Maps, Pixels, Samples
from conservator.pixels.upsample import upsample

MODEL = "perceiver_frame"
LONGEST = 256
"""Longer side of the shrunk frame in px; the network was trained on this size."""


def read(samples: Samples, guide: Pixels) -> Maps:
    """Raw outputs (3 · K, h, w) on the cell grid of `guide`: presence logits, severities, log deviations."""
    small = fitted(thumbnail(samples, LONGEST))
    coarse = run(MODEL, {"image": np.ascontiguousarray(small.transpose(2, 0, 1))[None]})[0][0]
    colours = np.asarray(cv2.resize(small, coarse.shape[:0:-1], interpolation=cv2.INTER_AREA), np.float32)
    return upsample(np.asarray(coarse), (guide.shape[0], guide.shape[1]), guide=colours, pixels=guide)
