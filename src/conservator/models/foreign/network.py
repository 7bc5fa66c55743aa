"""What is known of a network from a user's file, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError

Run: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Network:
    """A network from a user's file, ready to run.

    title        what it is, in a few words
    run          float32 (C, H, W) in [0, 1] -> float32 (C, scale·H, scale·W); neither finite nor in range for certain
    channels     C: 1 is grey, 3 is RGB
    scale        output pixels per input pixel along a side
    multiple_of  heights and widths it takes are multiples of this
    side         the only height and width it takes; None when it takes others
    tiling       whether it may see a photograph in pieces, as `tools.card.Tiles`
    kinds        degradations its architecture was published for; empty when it serves several
    """

    title: str
    run: Run
    channels: int = 3
    scale: int = 1
    multiple_of: int = 1
    side: int | None = None
    tiling: Literal["free", "discouraged", "forbidden"] = "free"
    kinds: tuple[str, ...] = ()


def check_channels(path: Path, given: int, returned: int) -> None:
    """UsageError unless a network takes and returns grey or RGB pictures."""
    if given not in (1, 3) or returned != given:
        got = f"{path.name} takes {given} channels and returns {returned}"
        raise UsageError(got, "1 (grey) or 3 (RGB), as many out as in", "use a network for such pictures")
