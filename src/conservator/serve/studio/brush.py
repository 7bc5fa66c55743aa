"""Strokes on a picture of the photograph, as a mask."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conservator.masks import Drawn, combined
from conservator.pixels.types import Mask
from conservator.report.canvas import scaled_mask

TREAT, PROTECT = "#1d6fe0", "#e8590c"
"""Colours of the brush: what is treated, and what is left alone to the byte. The colour-blind tell them apart, too."""

_ROUNDING = 24  # levels of 255: half-transparent rims lose the most

Strokes = NDArray[np.uint8]
"""(h, w, 4), RGBA: opaque where the brush was."""


def mask_of(layers: Sequence[Strokes], size: tuple[int, int]) -> bytes | None:
    """The mask that was painted, a PNG of the photograph's size (H, W), white is treated; None without a stroke.

    Blue strokes are treated and nothing else; without any, everything is. Orange ones are taken from that.
    """
    treat, protect = (_painted(layers, blue) for blue in (True, False))
    weight = combined(*([Drawn(part)] if part.any() else [] for part in (treat, protect)))
    return None if weight is None else stretched(weight, size)


def stretched(weight: Mask, size: tuple[int, int]) -> bytes:
    """A mask (h, w) as a PNG of the photograph's size (H, W)."""
    coded = BytesIO()
    Image.fromarray(np.rint(scaled_mask(weight, size) * 255).astype(np.uint8)).save(coded, "PNG", compress_level=1)
    return coded.getvalue()


def picture_of(layers: Sequence[Strokes]) -> bytes:
    """The strokes themselves as a PNG, to be painted on again later."""
    whole = Image.fromarray(layers[0])
    for layer in layers[1:]:
        whole = Image.alpha_composite(whole, Image.fromarray(layer))
    coded = BytesIO()
    whole.save(coded, "PNG", compress_level=1)
    return coded.getvalue()


def alike(one: bytes | None, other: bytes | None) -> bool:
    """Whether two masks were painted by the same strokes: browsers round what they are shown."""
    if one is None or other is None:
        return one is other
    first, second = (np.asarray(Image.open(BytesIO(coded)), np.int16) for coded in (one, other))
    return first.shape == second.shape and int(np.abs(first - second).max()) <= _ROUNDING


def _painted(layers: Sequence[Strokes], blue: bool) -> Mask:
    """Where one of the two colours is, float32 (h, w)."""
    if not layers:
        return np.zeros((1, 1), np.float32)
    parts = [np.where((layer[..., 2] > layer[..., 0]) == blue, layer[..., 3], 0) for layer in layers]
    return np.asarray(np.max(parts, axis=0) / np.float32(255), np.float32)
