"""Haze and exposure show only in the whole frame: a crop cannot tell a veil or a shadow from the scene."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.models.runtime import run
from conservator.pixels.reduce import fitted, thumbnail
from conservator.pixels.types import Maps, Pixels, Samples
from conservator.pixels.upsample import upsample

MODEL = "perceiver_frame"
LONGEST = 192
"""Longer side of the shrunk frame in px; the network was trained on this size."""

CELL = 4
"""Side of a cell of the network in shrunk px."""


def read(samples: Samples, guide: Pixels, local: Maps) -> Maps:
    """Raw outputs (3 · K, h, w) on the cell grid of `guide`: presence logits, severities, log deviations.

    local   severities (P, h, w) of the local damage that was decided on, in the order of the model's prompts; whoever
            knows where noise or compression ends sees sooner where a veil or a shadow does
    """
    small = fitted(thumbnail(samples, LONGEST))
    grid = small.shape[0] // CELL, small.shape[1] // CELL
    prompt = [cv2.resize(np.ascontiguousarray(m), grid[::-1], interpolation=cv2.INTER_AREA) for m in local]
    coarse = _both_ways(np.ascontiguousarray(small.transpose(2, 0, 1)), np.asarray(prompt, np.float32))
    colours = np.asarray(cv2.resize(small, grid[::-1], interpolation=cv2.INTER_AREA), np.float32)
    return upsample(coarse, (guide.shape[0], guide.shape[1]), guide=colours, pixels=guide)


def _both_ways(image: Maps, local: Maps) -> Maps:
    """Mean answer to the frame and to its mirror image: two looks err less than one."""
    inputs = {name: np.stack([x, x[..., ::-1]]) for name, x in (("image", image), ("local", local))}
    straight, mirrored = run(MODEL, inputs)[0]
    return np.asarray((straight + mirrored[..., ::-1]) / 2, np.float32)
