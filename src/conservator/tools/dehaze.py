"""The tone tool for one kind of damage."""

from __future__ import annotations

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, tool
from conservator.tools.tone import MODEL, SOURCE, inverted, survey


@tool(treats=("haze",), kind=Kind.PHYSICAL, models=(MODEL,), survey=survey, source=SOURCE)
def dehaze(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Clears haze and fog: the veil is estimated per place and taken away by Koschmieder's law."""
    return inverted(pixels, severity, survey)
