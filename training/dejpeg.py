"""Recipe: the compression specialist: the restorer's network, asked about JPEG alone, from the restorer's weights on.

    CONSERVATOR_DATA=../shared/data python training/dejpeg.py          (after perceiver_local.py and restorer.py)
"""

from __future__ import annotations

from loop import Recipe, main
from prompted import Prompted
from restorer import specialised

CROPS = Prompted(("jpeg",), ("jpeg", "jpeg", "jpeg", "noise"), alone=0.35)


def recipe() -> Recipe:
    summary = "compression artefacts where their map says so"
    return CROPS.recipe("dejpeg", specialised(CROPS.kinds[0]), summary, steps=4000, rate=1e-3)


if __name__ == "__main__":
    main(recipe())
