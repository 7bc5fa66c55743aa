"""Enlarging, after every other treatment."""

from __future__ import annotations

from typing import Literal

import numpy as np

from conservator.models.runtime import run
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool

MODEL = "super_resolution"


@tool(
    treats=("low_resolution",),
    halo=16,
    scale=2,
    models=(MODEL,),
    source="features before enlarging: ESPCN (Shi et al., CVPR 2016); one body for all scales: MDSR (Lim et al., 2017)",
)
def super_resolution(pixels: Pixels, severity: Maps, survey: Maps, *, scale: Literal[2, 3, 4] = 2) -> Pixels:
    """Enlarges two, three or four times: cubic interpolation and what a network expects beyond it.

    scale  output pixels per input pixel along a side
    """
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    result = run(MODEL, {"image": image[None]}, outputs=(f"x{scale}",))[0][0]
    return np.asarray(result.transpose(1, 2, 0))
