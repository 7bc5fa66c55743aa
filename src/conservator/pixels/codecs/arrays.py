"""Pictures that arrive as numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError
from conservator.pixels.frame import (
    Frame,
    Metadata,
    Planes,
    Rows,
    array_rows,
    assemble,
    bands,
    build,
    check_size,
)
from conservator.pixels.types import to_samples

WANTED = "(H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4), as uint8, uint16, or float32/64 in [0, 1]"
_ROUNDING = 1e-6  # how far outside [0, 1] a float may lie and still be arithmetic rather than a wrong range


def decode_array(array: NDArray[Any], max_pixels: int) -> Frame:
    """A frame from grey (1 channel), grey and alpha (2), RGB (3) or RGB and alpha (4) samples.

    uint8 gives depth 8; uint16 and floats give depth 16. The array is copied.
    InputError for another dtype or shape, no pixels, NaN, infinity, or floats outside [0, 1].
    """
    array = _with_channels(np.asarray(array))
    check_size(array.shape[1], array.shape[0], max_pixels)
    return build(array_planes(array), 8 if array.dtype == np.uint8 else 16, "array", Metadata())


def array_planes(array: NDArray[Any], turn: int = 1) -> Planes:
    """Upright pixels of a uint8, uint16 or float array (H, W, 1…4)."""
    rows = _float_rows(array) if array.dtype.kind == "f" else array_rows(array)
    return assemble(array.shape[:2], array.shape[2], rows, turn)


def _with_channels(array: NDArray[Any]) -> NDArray[Any]:
    got = f"an array of {array.dtype} {array.shape}"
    if array.dtype.name not in ("uint8", "uint16", "float32", "float64"):
        raise InputError(got, WANTED, "convert it, for example with .astype(np.uint8) where values are 0…255")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        planes_first = array.ndim == 3 and array.shape[0] in (1, 2, 3, 4)
        fix = "move the channels last with .transpose(1, 2, 0)" if planes_first else "pass one picture, channels last"
        raise InputError(got, WANTED, fix)
    return array


def _float_rows(array: NDArray[Any]) -> Rows:
    for band in bands(*array.shape[:2]):
        yield band.start, float_block(array[band])


def float_block(block: NDArray[Any]) -> NDArray[np.uint16]:
    """Floats in [0, 1] as 16-bit samples; InputError for NaN, infinity and values outside."""
    if not np.isfinite(block).all():
        raise InputError("pixels that are NaN or infinite", "finite values in [0, 1]", "replace them first")
    low, high = float(block.min()), float(block.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"float values from {low:g} to {high:g}", "values in [0, 1]", "divide by the largest value, or clip"
        )
    return to_samples(block)
