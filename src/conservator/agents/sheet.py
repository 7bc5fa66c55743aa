"""A contact sheet for models that see: the frame, then a crop of every region, in the order in which one reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.diagnosis import Diagnosis
from conservator.pixels.frame import to_eight
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Mask, Samples

Bytes: TypeAlias = NDArray[np.uint8]

FRAME = "frame"
TILE, COLUMNS, TITLE = 256, 3, 20
"""Side of a crop and height of its title in pixels, crops in a row."""


def contact_sheet(samples: Samples, diagnosis: Diagnosis) -> tuple[Bytes, tuple[str, ...]]:
    """The sheet, uint8 (h, w, 3), and the titles of its crops in raster order: "frame", then ids of regions.

    The frame is shrunk; crops are native pixels, for noise and compression vanish when a picture is shrunk.
    """
    tiles = [(FRAME, _shrunk(samples))]
    tiles += [(region.id, _crop(samples, region.mask)) for region in diagnosis.regions]
    columns = min(COLUMNS, len(tiles))
    sheet = np.zeros((-(-len(tiles) // columns) * (TILE + TITLE), columns * TILE, 3), np.uint8)
    for number, (title, tile) in enumerate(tiles):
        top, left = number // columns * (TILE + TITLE), number % columns * TILE
        _entitle(sheet[top : top + TITLE, left : left + TILE], f"{number + 1}: {title}")
        sheet[top + TITLE : top + TITLE + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet, tuple(title for title, _ in tiles)


def _shrunk(samples: Samples) -> Bytes:
    return np.asarray(np.rint(thumbnail(samples, TILE) * np.float32(255)), np.uint8)


def _crop(samples: Samples, mask: Mask) -> Bytes:
    """Native pixels from where there is most of a region, (h, w) on the cell grid."""
    top, left = (cell * CELL for cell in _fullest(mask, TILE // CELL))
    return to_eight(samples[top : top + TILE, left : left + TILE])


def _fullest(mask: Mask, side: int) -> Iterator[int]:
    """Row and column of the window, `side` cells or all there are, that holds most of a mask."""
    height, width = (min(side, length) for length in mask.shape)
    sums = np.pad(mask.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    return map(int, np.unravel_index(inside.argmax(), inside.shape))


def _entitle(strip: Bytes, title: str) -> None:
    import cv2

    own = np.zeros_like(strip)
    cv2.putText(own, title, (4, TITLE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    strip[:] = own
