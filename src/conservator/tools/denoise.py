"""Noise alone, with a share of the grain kept if asked."""

from __future__ import annotations

import numpy as np

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool
from conservator.tools.prompted import HALO, MULTIPLE_OF, SOURCE, restored

MODEL = "denoise"
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@tool(treats=("noise",), halo=HALO, beyond=False, multiple_of=MULTIPLE_OF, models=(MODEL,), source=SOURCE)
def denoise(pixels: Pixels, severity: Maps, survey: Maps, *, keep_grain: float = 0.0) -> Pixels:
    """Removes noise where its map says.

    keep_grain  share of the luma noise to put back, in [0, 1]; colour noise always goes
    """
    residual = pixels - restored(pixels, severity, MODEL)
    luma = residual @ LUMA
    return np.asarray(pixels - residual + keep_grain * luma[..., None], np.float32)
