"""The tone tool for one kind of damage."""

from __future__ import annotations

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, tool
from conservator.tools.tone import MODEL, SOURCE, inverted, survey


@tool(treats=("over_exposure",), kind=Kind.PHYSICAL, models=(MODEL,), survey=survey, source=SOURCE)
def over_exposure(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Brings back over-exposed places as far as their highlights still hold detail."""
    return inverted(pixels, severity, survey)
