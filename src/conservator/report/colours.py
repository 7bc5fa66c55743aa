"""Colours that carry meaning: severity, and one region beside another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bytes = NDArray[np.uint8]

_INFERNO = "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4"  # at 0, 0.1 … 1

_REGIONS = "56b4e9 e69f00 009e73 cc79a7 f0e442 d55e00 0072b2 b8b8b8"

CLEAN: tuple[int, int, int] = (235, 235, 235)
"""Outline of regions that nothing ails."""


def _colours(codes: str) -> NDArray[np.float32]:
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], np.float32)


def _ramp() -> Bytes:
    anchors = _colours(_INFERNO)
    at = np.linspace(0.0, len(anchors) - 1.0, 256)
    return np.stack([np.rint(np.interp(at, range(len(anchors)), c)) for c in anchors.T], axis=-1).astype(np.uint8)


RAMP = _ramp()
"""uint8 (256, 3): severity 0 … 1 in even steps of lightness, readable without colour vision and in grey print.

The colour map is "inferno" by Nathaniel Smith and Stéfan van der Walt (matplotlib, CC0), interpolated from 11 anchors.
"""


def heat(severity: ArrayLike) -> Bytes:
    """uint8 (…, 3) colour of severities (…), clipped to [0, 1]; NaN has the colour of 0."""
    share = np.nan_to_num(np.asarray(severity, np.float32), nan=0.0)
    levels = np.rint(np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.asarray(RAMP[levels], np.uint8)


def region_colour(index: int) -> tuple[int, int, int]:
    """RGB of the region at an index: the eight colours that colour-blind readers can tell apart (Okabe & Ito, 2008)."""
    codes = _REGIONS.split()
    red, green, blue = bytes.fromhex(codes[index % len(codes)])
    return red, green, blue
