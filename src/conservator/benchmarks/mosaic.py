"""Photographs of any size with uneven damage, made from one small photograph without needing much memory."""

from __future__ import annotations

import math

import numpy as np

from conservator.benchmarks.photos import Bytes, to_bytes, to_unit
from conservator.degradations import CELL
from conservator.synthesis import degrade, draw_preset

LAYOUT = (("clean", "noise", "noise"), ("clean", "jpeg", "haze"), ("low_light", "clean", "rain"))
"""What ails each ninth of the frame: a third of it is clean."""


def mosaic(tile: Bytes, megapixels: float, *, seed: int = 0) -> Bytes:
    """A 4:3 frame of mirrored copies of a photograph, damaged as LAYOUT says, uint8 (H, W, 3).

    tile    uint8 (h, w, 3), at least CELL pixels a side
    Copies are damaged once per kind with AgenticIR's ranges, so memory is that of the frame.
    """
    tile = tile[: tile.shape[0] // CELL * CELL, : tile.shape[1] // CELL * CELL]  # JPEG blocks keep their grid
    width = round(math.sqrt(megapixels * 1e6 * 4 / 3))
    height = round(width * 3 / 4)
    kinds = {kind for line in LAYOUT for kind in line}
    copies = {kind: _damaged(tile, kind, seed) for kind in sorted(kinds)}
    frame = np.empty((height, width, 3), np.uint8)
    for row, top in enumerate(range(0, height, tile.shape[0])):
        for column, left in enumerate(range(0, width, tile.shape[1])):
            room = frame[top : top + tile.shape[0], left : left + tile.shape[1]]
            copy = copies[LAYOUT[3 * top // height][3 * left // width]]
            # Mirrored neighbours meet without an edge that would look like damage.
            turned = copy[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
            room[:] = turned[: room.shape[0], : room.shape[1]]
    return frame


def _damaged(tile: Bytes, kind: str, seed: int) -> Bytes:
    if kind == "clean":
        return tile
    damages = draw_preset(np.random.default_rng((seed, 0)), [kind])
    return to_bytes(degrade(to_unit(tile), damages).degraded)
