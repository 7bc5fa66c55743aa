"""Compression artefacts alone."""

from __future__ import annotations

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool
from conservator.tools.prompted import HALO, MULTIPLE_OF, SOURCE, restored

MODEL = "dejpeg"


@tool(treats=("jpeg",), halo=HALO, beyond=False, multiple_of=MULTIPLE_OF, models=(MODEL,), source=SOURCE)
def dejpeg(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Removes blocks and ringing of JPEG compression, once or twice, on its grid or off it."""
    return restored(pixels, severity, MODEL)
