"""Folders of photographs as the benchmarks read them: sorted, 8 bits, RGB."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError
from conservator.pixels.types import Pixels

Bytes: TypeAlias = NDArray[np.uint8]


def photographs(folder: Path, limit: int | None = None, skip: int = 0) -> list[Path]:
    """`limit` picture files in a folder and those below it, by path, after the first `skip`; InputError for none."""
    from conservator.pixels.codecs import SUFFIXES

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", "a folder of photographs", "check the path")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    found = found[skip:]
    if not found:
        raise InputError(f"no picture in {folder}", f"files ending in {', '.join(SUFFIXES)}", "name another folder")
    return found[:limit]


def read(path: Path) -> Bytes:
    """A photograph as uint8 (H, W, 3); see `open_photo` for the errors."""
    from conservator.photo import open_photo
    from conservator.pixels.frame import to_eight

    return to_eight(open_photo(path).samples)


def to_unit(picture: Bytes) -> Pixels:
    """uint8 to float32 in [0, 1]."""
    return picture.astype(np.float32) / np.float32(255)


def stored(picture: Pixels) -> Pixels:
    """A picture as an 8-bit file holds it, float32 in [0, 1]."""
    return to_unit(to_bytes(picture))


def to_bytes(pixels: Pixels) -> Bytes:
    """float32 in [0, 1] to uint8, rounded to the nearest."""
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * np.float32(255)), np.uint8)
