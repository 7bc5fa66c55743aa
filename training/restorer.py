"""Recipe: the spatially prompted restorer. Noise, JPEG and rain by severity map: any subset, any place, one pass.

    CONSERVATOR_DATA=../shared/data python training/restorer.py        (after perceiver_local.py)
"""

from __future__ import annotations

import torch

from loop import Recipe, main
from networks import Restorer
from prompted import Prompted, loss

CROPS = Prompted(("noise", "jpeg", "rain"), ("noise", "noise", "jpeg", "jpeg", "rain"), white=0.15)


def recipe() -> Recipe:
    return Recipe(
        name="restorer",
        network=Restorer(len(CROPS.kinds)),
        draw=CROPS.draw,
        loss=loss,
        example={"image": torch.rand(1, 3, 64, 96), "severity": torch.rand(1, len(CROPS.kinds), 64, 96)},
        outputs=("restored",),
        describe={
            "summary": "removes noise, compression and rain where their maps say so; zero severity returns the pixel",
            "kinds": list(CROPS.kinds),
            "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis",
            "inputs": {
                "image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8",
                "severity": "float32 (N, 3, H, W), severity in [0, 1] per kind",
            },
            "outputs": {"restored": "float32 (N, 3, H, W)"},
        },
        validate=CROPS.validate,
        batch=12,
        steps=5200,
        rate=2e-3,
    )


if __name__ == "__main__":
    main(recipe())
