"""How far a network looks: found by showing it one picture whole and in crops, for no file says so."""

from __future__ import annotations

from math import lcm

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.errors import ToolFailed
from conservator.models.foreign.network import Network

HALOS = (8, 16, 32, 64)
"""Distances tried in pixels, smallest first."""

VISIBLE = 0.25 / 255
"""A crop may differ from the whole by this much: a quarter of an 8-bit level cannot make a seam."""


def probe(channels: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """A picture with edges, texture, black and white, float32 (channels, H, W) in [0, 1]; always the same one."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(-0.1, 1.1, (channels, -(-size[0] // 8), -(-size[1] // 8)))
    picture = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, : size[0], : size[1]]
    return np.clip(picture + rng.normal(0, 0.05, picture.shape), 0, 1).astype(np.float32)


def halo(network: Network) -> tuple[int, bool]:
    """Pixels it must see around a pixel, and whether that many are enough: a global network never has enough.

    Unmeasured are networks of one size, which get an eighth of it, and those on a coarser grid than the largest halo
    tried, which get a step of their grid. Raises ToolFailed when the network returns NaN or a wrong shape.
    """
    grid = lcm(CELL, network.multiple_of)
    tried = [one for one in HALOS if one % grid == 0]
    if tried and network.side is None and network.tiling != "forbidden":
        return _measured(network, grid, tried)
    side = network.side or max(grid, 8 * CELL)
    _checked(network, probe(network.channels, (side, side)))
    if network.tiling == "forbidden":
        return 0, True
    return (grid if network.side is None else network.side // 8 // CELL * CELL), True


def _measured(network: Network, grid: int, tried: list[int]) -> tuple[int, bool]:
    core = max(grid, 4 * CELL)
    frame = core + 2 * (tried[-1] + grid)
    picture = probe(network.channels, (frame, frame))
    whole = _checked(network, picture)
    enough = (one for one in tried if _difference(network, picture, whole, core, one) <= VISIBLE)
    found = next(enough, None)
    return (tried[-1], False) if found is None else (found, True)


def _difference(
    network: Network, picture: NDArray[np.float32], whole: NDArray[np.float32], core: int, one: int
) -> float:
    """Largest difference in the middle `core` pixels between the picture whole and cropped to a halo of `one`."""
    start = (picture.shape[1] - core) // 2
    crop = slice(start - one, start + core + one)
    s = network.scale
    seen = _checked(network, picture[:, crop, crop])[:, s * one : s * (one + core), s * one : s * (one + core)]
    middle = slice(s * start, s * (start + core))
    return float(np.abs(seen - whole[:, middle, middle]).max())


def _checked(network: Network, picture: NDArray[np.float32]) -> NDArray[np.float32]:
    result = np.clip(network.run(picture), 0, 1)
    wanted = (network.channels, *(network.scale * side for side in picture.shape[1:]))
    if result.shape != wanted or not np.isfinite(result).all():
        problem = f"returned {result.shape}" if result.shape != wanted else "returned NaN"
        raise ToolFailed(f"{network.title} {problem} for a picture {picture.shape}", f"finite numbers {wanted}")
    return result
