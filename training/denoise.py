"""Recipe: the noise specialist: the restorer's network, asked about noise alone, from the restorer's weights on.

    CONSERVATOR_DATA=../shared/data python training/denoise.py         (after perceiver_local.py and restorer.py)
"""

from __future__ import annotations

import torch

import restorer
from loop import WEIGHTS, Recipe, load_onnx_weights, main
from networks import Restorer
from prompted import Prompted, loss

CROPS = Prompted(("noise",), ("noise", "noise", "noise", "jpeg"), white=0.35)


def specialised() -> Restorer:
    """The restorer without its eyes for anything but noise, which comes first of its kinds."""
    joint, network = Restorer(len(restorer.CROPS.kinds)), Restorer(len(CROPS.kinds))
    load_onnx_weights(joint, WEIGHTS / "restorer.onnx")
    state = joint.state_dict()
    state["enter.weight"] = state["enter.weight"][:, : network.enter.in_channels]
    network.load_state_dict(state)
    return network


def recipe() -> Recipe:
    return Recipe(
        name="denoise",
        network=specialised(),
        draw=CROPS.draw,
        loss=loss,
        example={"image": torch.rand(1, 3, 64, 96), "severity": torch.rand(1, 1, 64, 96)},
        outputs=("restored",),
        describe={
            "summary": "removes noise where its map says so; zero severity returns the pixel",
            "kinds": list(CROPS.kinds),
            "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis",
            "inputs": {
                "image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8",
                "severity": "float32 (N, 1, H, W), severity of the noise in [0, 1]",
            },
            "outputs": {"restored": "float32 (N, 3, H, W)"},
        },
        validate=CROPS.validate,
        batch=12,
        steps=4700,
        rate=1e-3,
    )


if __name__ == "__main__":
    main(recipe())
