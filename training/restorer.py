"""Recipe: the spatially prompted restorer. Noise, JPEG and rain by severity map: any subset, any place, one pass.

    CONSERVATOR_DATA=../shared/data python training/restorer.py        (after perceiver_local.py)
"""

from __future__ import annotations

from loop import Recipe, main
from networks import Restorer
from prompted import Prompted

CROPS = Prompted(("noise", "jpeg", "rain"), ("noise", "noise", "jpeg", "jpeg", "rain"), white=0.15)


def recipe() -> Recipe:
    summary = "noise, compression and rain where their maps say so"
    return CROPS.recipe("restorer", Restorer(len(CROPS.kinds)), summary, steps=5200, rate=2e-3)


if __name__ == "__main__":
    main(recipe())
