"""How strongly a JPEG file is compressed, as its own header says."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

_SAMPLE = Image.new("L", (8, 8))


def jpeg_quality(data: bytes) -> int | None:
    """libjpeg's quality, 1…100, whose luma table is nearest to that of a JPEG file; None where no table can be read.

    Nothing is decoded. Cameras and other programs have tables of their own: theirs are as coarse as that quality's.
    """
    try:
        with Image.open(BytesIO(data), formats=("JPEG", "MPO")) as image:
            table = _table(image)
    except Exception:  # damaged headers raise whatever they like; opening the photo says what is wrong with them
        return None
    if table is None:
        return None
    distances = np.abs(np.log(_standard()) - np.log(np.maximum(table, 1))).mean(axis=1)
    return int(distances.argmin()) + 1


def _table(image: Image.Image) -> NDArray[np.float64] | None:
    tables = image.quantization if isinstance(image, JpegImageFile) else {}
    return np.asarray(tables[0], np.float64) if 0 in tables else None


@cache
def _standard() -> NDArray[np.float64]:
    """libjpeg's luma tables (100, 64), read out of files, for that is where other readers meet them."""
    tables = []
    for quality in range(1, 101):
        file = BytesIO()
        _SAMPLE.save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            tables.append(_table(image))
    return np.stack([table for table in tables if table is not None])
