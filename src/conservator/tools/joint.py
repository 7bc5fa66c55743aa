"""Local damage in one pass."""

from __future__ import annotations

from conservator.degradations import Stage
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import tool
from conservator.tools.prompted import HALO, MODEL, MULTIPLE_OF, SOURCE, restored


@tool(
    treats=("jpeg", "noise", "rain"),
    stage=Stage.COMPRESSION,
    halo=HALO,
    beyond=False,
    multiple_of=MULTIPLE_OF,
    models=(MODEL,),
    source=SOURCE,
)
def joint(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Removes noise, compression artefacts and rain together, each where and as strongly as its map says."""
    return restored(pixels, severity)
