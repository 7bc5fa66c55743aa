"""Recipe: the noise specialist: the restorer's network, asked about noise alone, from the restorer's weights on.

    CONSERVATOR_DATA=../shared/data python training/denoise.py         (after perceiver_local.py and restorer.py)
"""

from __future__ import annotations

from loop import Recipe, main
from prompted import Prompted
from restorer import specialised

CROPS = Prompted(("noise",), ("noise", "noise", "noise", "jpeg"), alone=0.35)


def recipe() -> Recipe:
    summary = "noise where its map says so"
    return CROPS.recipe("denoise", specialised(CROPS.kinds[0]), summary, steps=4700, rate=1e-3)


if __name__ == "__main__":
    main(recipe())
