"""Parts that are only places: left, top, the centre; and what lies beside something."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conservator.pixels.types import Mask
from conservator.selection.scene import ramp

SOFT = 0.04  # half the width of a soft border, as a share of the frame
BESIDE = 0.12  # how far "around" reaches, as a share of the long side
_SLOPES: Mapping[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}

SIDES = (*_SLOPES, "centre", "edges")


def side(size: tuple[int, int], name: str) -> Mask:
    """One half of the frame, the middle (half as wide and half as high), or the outer eighth; float32 (h, w)."""
    y, x = ((np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n) for n in size)
    if name in _SLOPES:
        across, down = _SLOPES[name]
        along = np.float32(across) * (x - np.float32(0.5)) + np.float32(down) * (y - np.float32(0.5))[:, None]
        return np.broadcast_to(ramp(along, -SOFT, SOFT), size)
    reach = 0.25 if name == "centre" else 0.375
    away = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)[:, None])
    inside = ramp(away, reach + SOFT, reach - SOFT)
    return inside if name == "centre" else 1 - inside


def beside(mask: Mask, relation: str) -> Mask:
    """What lies left of, right of, above, below or around a mask (h, w), without the mask itself."""
    import cv2

    inside = (mask >= 0.5).astype(np.uint8)
    if not inside.any():
        return np.zeros_like(mask)
    reach = max(2, round(BESIDE * max(mask.shape)))
    if relation == "around":
        away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
        found = ramp(np.asarray(away, np.float32), reach * 1.25, reach * 0.75)
    else:
        found = _beyond(inside.astype(np.float32), relation)
    return np.asarray(found * (1 - mask), np.float32)


def _beyond(inside: Mask, relation: str) -> Mask:
    """Everything on one side of an outline, in the rows or columns that it takes."""
    axis, flipped = {"left of": (1, True), "right of": (1, False), "above": (0, True), "below": (0, False)}[relation]
    turned = np.flip(inside, axis) if flipped else inside
    past = np.maximum.accumulate(turned, axis=axis)
    return np.flip(past, axis) if flipped else past
