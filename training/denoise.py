"""Recipe: the noise specialist: the restorer's network, asked about noise alone, from the restorer's weights on.

    CONSERVATOR_DATA=../shared/data python training/denoise.py         (after perceiver_local.py and restorer.py)
"""

from __future__ import annotations

import restorer
from loop import WEIGHTS, Recipe, load_onnx_weights, main
from networks import Restorer
from prompted import Prompted

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
    summary = "noise where its map says so"
    return CROPS.recipe("denoise", specialised(), summary, steps=4700, rate=1e-3)


if __name__ == "__main__":
    main(recipe())
