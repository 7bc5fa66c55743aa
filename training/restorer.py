"""Recipe: the spatially prompted restorer. Noise, JPEG and rain by severity map: any subset, any place, one pass.

    CONSERVATOR_DATA=../shared/data python training/restorer.py        (after perceiver_local.py)
"""

from __future__ import annotations

from loop import WEIGHTS, Recipe, load_onnx_weights, main
from prompted import Prompted
from tool_networks import Restorer

CROPS = Prompted(("noise", "jpeg", "rain"), ("noise", "noise", "jpeg", "jpeg", "rain"), alone=0.15)


def recipe() -> Recipe:
    summary = "noise, compression and rain where their maps say so"
    return CROPS.recipe("restorer", Restorer(len(CROPS.kinds)), summary, steps=5200, rate=1e-3)


def specialised(kind: str) -> Restorer:
    """The shipped restorer without its eyes for anything but one of its kinds."""
    joint, network = Restorer(len(CROPS.kinds)), Restorer(1)
    load_onnx_weights(joint, WEIGHTS / "restorer.onnx")
    state = joint.state_dict()
    prompt = network.enter.in_channels - 1
    kept = [*range(prompt), prompt + CROPS.kinds.index(kind)]
    state["enter.weight"] = state["enter.weight"][:, kept]
    network.load_state_dict(state)
    return network


if __name__ == "__main__":
    main(recipe())
