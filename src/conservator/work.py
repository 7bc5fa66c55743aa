"""How much work a treatment is, and how much of it must wait for other work."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Maps


class Work:
    """Seconds of work, and of the longest chain in it that nothing could shorten.

    Steps whose cells do not touch need not wait for each other, and what is only tried on proxies need not wait for
    what is tried beside it. So every cell knows when its pixels would be ready if all that can had run side by side.

    seconds  of all work together
    """

    def __init__(self, grid: tuple[int, int]) -> None:
        self.seconds = 0.0
        self._ready = np.zeros(grid)
        self._tried = 0.0

    def done(self, seconds: float, maps: Maps | None = None) -> None:
        """Count work on the cells where maps (D, h, w) are not 0, and around them; None is everywhere."""
        self._ready += self._tried
        self._tried = 0.0
        here = np.s_[:, :] if maps is None else _touched(maps)
        self._ready[here] = self._ready[here].max(initial=0.0) + seconds
        self.seconds += seconds

    def tried(self, seconds: float) -> None:
        """Count work that changed nothing: it could run beside all that was tried since the last change."""
        self._tried = max(self._tried, seconds)
        self.seconds += seconds

    @property
    def critical_path(self) -> float:
        """Seconds that would pass with a processor for everything that need not wait."""
        return float(self._ready.max()) + self._tried


def _touched(maps: Maps) -> NDArray[np.bool_]:
    touched = np.asarray(maps.any(axis=0), np.uint8)
    return np.asarray(cv2.dilate(touched, np.ones((3, 3), np.uint8)) > 0)
