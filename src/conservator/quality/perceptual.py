"""The perceptual distance: how far two pictures look apart, by learned features.

LPIPS's form (Zhang et al., CVPR 2018) with a small network of our own: no weights to download, and none of somebody
else's. No person judged pictures for it. It was taught rules of seeing that are known without asking anybody, see
`training/perceptual.py`: `docs/quality.md` says how well it keeps them.
"""

from __future__ import annotations

import numpy as np

from conservator.models.runtime import run
from conservator.pixels.types import Pixels
from conservator.quality.reference import check_alike

MODEL = "perceptual"
LEAST = 32
"""Side in px below which a picture is continued by its last row or column."""


def perceptual(result: Pixels, truth: Pixels) -> float:
    """How far a result looks from the truth: at least 0, 0 when they are equal, about 0.3 where anybody sees damage.

    result, truth   float32 (H, W, 3) in [0, 1]
    Raises UsageError when the shapes differ, ModelMissing when the shipped network is absent.
    """
    check_alike(result, truth)
    if np.array_equal(result, truth):
        return 0.0
    pair = {"result": _planes(result), "truth": _planes(truth)}
    return max(float(run(MODEL, pair)[0][0]), 0.0)


def _planes(picture: Pixels) -> Pixels:
    missing = [(0, max(0, LEAST - side)) for side in picture.shape[:2]]
    filled = np.pad(picture.astype(np.float32), [*missing, (0, 0)], mode="edge")
    return np.ascontiguousarray(filled.transpose(2, 0, 1))[None]
