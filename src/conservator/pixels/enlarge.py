"""Cubic interpolation to a whole multiple of the size: enlarging without a network, and what networks add to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Pixels

REACH = 2
"""Pixels on each side of a pixel that its enlargement depends on."""


def enlarged(pixels: Pixels, scale: int) -> Pixels:
    """float32 (H, W, 3) to (scale·H, scale·W, 3), mirrored at the borders as tiles are; edges may overshoot [0, 1]."""
    import cv2

    weights = taps(scale)
    result = np.empty((scale * pixels.shape[0], scale * pixels.shape[1], 3), np.float32)
    for row in range(scale):
        for column in range(scale):
            result[row::scale, column::scale] = cv2.sepFilter2D(
                pixels, -1, weights[column], weights[row], borderType=cv2.BORDER_REFLECT_101
            )
    return result


def taps(scale: int) -> NDArray[np.float32]:
    """Weights of the 2 · REACH + 1 pixels around a pixel for each place inside its enlargement, float32 (scale, 5).

    Keys' cubic convolution with a = −½ (IEEE TASSP 1981), the kernel that Pillow and MATLAB call bicubic.
    """
    places = (np.arange(scale) + 0.5) / scale - 0.5
    distance = np.abs(np.arange(-REACH, REACH + 1) - places[:, None])
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0)).astype(np.float32)
