"""Rain alone."""

from __future__ import annotations

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool
from conservator.tools.prompted import HALO, MODEL, MULTIPLE_OF, SOURCE, restored


@tool(treats=("rain",), halo=HALO, beyond=False, multiple_of=MULTIPLE_OF, models=(MODEL,), source=SOURCE)
def derain(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Removes rain streaks."""
    return restored(pixels, severity)
