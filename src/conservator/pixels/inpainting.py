"""Fills thin holes from what lies beside them, and lets the grain run on through them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask, Pixels

Hole = NDArray[np.bool_]

DEEPEST = 16
"""Distance in px from what is intact up to which there is something to fill a hole with."""

REACH = 3
"""Radius in px of what a pixel listens to in the transport of Bertalmio et al."""

FINE = 1.5
"""Deviation in px of the blur whose residual is taken for grain."""

PATCH = 15
"""Side in px of the window in which grain has one strength. Edges and texture are more than grain: of the windows
around a place the calmest counts."""

MOST = 0.025
"""Mean size of a residual, in [0, 1], beyond which it is texture: mirrored, it would be a wrong one."""

NEARBY = 2 * DEEPEST + PATCH
"""Pixels around one that decide about its fill and its grain."""


def depth(hole: Hole) -> Mask:
    """Distance in px of every pixel of a hole (H, W) from the nearest intact one; 0 outside."""
    return np.asarray(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def filled(pixels: Pixels, hole: Hole) -> Pixels:
    """The pixels with a hole (H, W), thin and with something beside it, filled smoothly; all others as they are.

    The mean of two fills, which errs less than either: the biharmonic one (Damelin & Hoang, 2018) and the transport
    along level lines (Bertalmio et al., CVPR 2001).
    """
    from skimage.restoration import inpaint_biharmonic

    bent: Pixels = inpaint_biharmonic(pixels, hole, channel_axis=-1)
    mask = hole.astype(np.uint8)
    planes = [cv2.inpaint(np.ascontiguousarray(p), mask, REACH, cv2.INPAINT_NS) for p in pixels.transpose(2, 0, 1)]
    mean = np.clip((bent + np.stack(planes, axis=2)) / 2, 0, 1)
    return np.where(hole[..., None], mean, pixels).astype(np.float32)


def grain(pixels: Pixels, hole: Hole) -> Pixels:
    """What the grain beside a hole (H, W) would look like inside it, float32 (H, W, 3) around 0; 0 outside.

    Every pixel of the hole takes the grain of its mirror image in the hole's rim, no more of it than lies everywhere
    around: edges and texture are not mirrored.
    """
    from scipy import ndimage

    known = np.where(hole[..., None], 0, pixels)
    weight = cv2.GaussianBlur((~hole).astype(np.float32), (0, 0), FINE)[..., None]
    fine = np.where(hole[..., None], 0, pixels - cv2.GaussianBlur(known, (0, 0), FINE) / np.maximum(weight, 1e-3))
    share = cv2.blur((~hole).astype(np.float32), (PATCH, PATCH))[..., None]
    strength = cv2.blur(np.abs(fine), (PATCH, PATCH)) / np.maximum(share, 1e-3)
    around = np.ones((4 * PATCH + 1, 4 * PATCH + 1), np.uint8)
    least = np.minimum(cv2.erode(np.where(share > 0.25, strength, 1).astype(np.float32), around), MOST)
    rim = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    places = np.indices(hole.shape)
    mirror = [np.clip(2 * r - p, 0, side - 1) for r, p, side in zip(rim, places, hole.shape, strict=True)]
    return np.where(hole[..., None], np.clip(fine[tuple(mirror)], -2.5 * least, 2.5 * least), 0).astype(np.float32)
