"""The tone tool for one kind of damage."""

from __future__ import annotations

from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, tool
from conservator.tools.tone import MODEL, SOURCE, inverted, survey


@tool(treats=("low_light",), kind=Kind.PHYSICAL, models=(MODEL,), survey=survey, source=SOURCE)
def low_light(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Lifts underexposed places to the light they would have had."""
    return inverted(pixels, severity, survey)
