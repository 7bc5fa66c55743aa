"""Scratches, hairs, dust and folds on prints and negatives: a network says where, the neighbourhood what was there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import INDEX
from conservator.errors import UsageError
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.inpainting import DEEPEST, NEARBY, depth, filled, grain
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Tiles, tool

MODEL = "scratches"
SOURCE = (
    "top hats: Serra (1982); two thresholds: Canny (TPAMI 1986); "
    "fills: biharmonic, Damelin & Hoang (2018), and transport, Bertalmio et al. (CVPR 2001)"
)
REACH = 96
"""Pixels around one that the network looks at."""

GROWTH = 32
"""Pixels a mark runs on from where it is sure to where it is likely: scratches fade out."""

HALO = REACH + GROWTH + NEARBY
SURE = "alarm_3e-04"
"""The logit that three in ten thousand pixels of held-out photographs without marks pass."""

LIKELY = -2.0
"""Logit from which a pixel belongs to a mark that is sure close by."""

LEAST = 3
"""Fewest sure pixels of a mark; what is smaller may be grain."""

NEAR = np.ones((3, 3), np.uint8)
RIM = np.ones((5, 5), np.uint8)
"""So far a mark shines into what lies beside it: scans are not sharp."""

Found = NDArray[np.bool_]


@tool(treats=("scratches",), halo=HALO, multiple_of=8, tiles=Tiles.DISCOURAGED, models=(MODEL,), source=SOURCE)
def scratches(
    pixels: Pixels, severity: Maps, survey: Maps, *, find: bool = True, keep_grain: float = 1.0
) -> Pixels:
    """Fills scratches, hairs, dust and folds from what lies beside them; every other pixel stays as it is.

    find        False fills all that the mask leaves open, for masks that are drawn by hand
    keep_grain  share of the grain beside a mark that its fill gets, in [0, 1]
    """
    asked = severity[INDEX["scratches"]]
    hole = (asked > 0) & marks(pixels) if find else asked > 0
    deep = depth(hole)
    if deep.max() > DEEPEST:
        raise UsageError(f"a hole {2 * deep.max():.0f} px wide", f"at most {2 * DEEPEST} px", "mark scratches only")
    if not hole.any():
        return pixels
    repaired = np.clip(filled(pixels, hole) + np.float32(keep_grain) * grain(pixels, hole), 0, 1)
    return np.where(hole[..., None], pixels + asked[..., None] * (repaired - pixels), pixels).astype(np.float32)


def marks(pixels: Pixels) -> Found:
    """Where marks lie, (H, W), sides multiples of 8: sure ones, what is likely one within GROWTH px of these, a rim."""
    logits = run(MODEL, {"image": np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]})[0][0, 0]
    limits = MODELS[MODEL].calibration["scratches"][SURE], LIKELY
    sure, likely = (np.asarray(logits >= limit, np.uint8) for limit in limits)
    grown = sure
    for _ in range(GROWTH):
        grown = np.minimum(np.asarray(cv2.dilate(grown, NEAR), np.uint8), likely)
    return _plausible(np.asarray(cv2.dilate(grown, RIM)) > 0, sure > 0)


def _plausible(found: Found, sure: Found) -> Found:
    """Without what is too small to be sure of, and what is too wide to be filled."""
    count, labels = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
    certain = np.bincount(labels[sure], minlength=count) >= LEAST
    wide = np.bincount(labels[depth(found) > DEEPEST], minlength=count) > 0
    return np.asarray((certain & ~wide)[labels] & found)
