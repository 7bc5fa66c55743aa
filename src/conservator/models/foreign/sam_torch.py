"""SAM-class networks as folders of Hugging Face transformers: configuration and safetensors, never a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.models.foreign.hugging import guarded, open_folder
from conservator.models.foreign.segmenter import BATCH, CORNER, MEAN, SAM, SAM_2, SPREAD, Floats, Segmenter, answer
from conservator.models.runtime import thread_limit
from conservator.pixels.types import Pixels

KINDS = ("sam", "sam2", "edgetam")
"""Types of models, as their configuration names them; the last two also as those of video."""


def read(folder: Path) -> Segmenter:
    """The network in a folder with config.json and model.safetensors: SAM, SAM 2, or EdgeTAM.

    No code of the folder is run and nothing is fetched. Raises ModelMissing when files are absent or damaged, or when
    PyTorch or transformers are; UsageError when the network is of another kind.
    """
    model, weights = open_folder(folder, "AutoModelForMaskGeneration", KINDS)
    side = model.config.prompt_encoder_config.image_size
    size = (side, side) if isinstance(side, int) else tuple(side)
    return Segmenter(
        title=f"{model.config.model_type} in {folder.name}",
        size=size,
        stretched=model.config.model_type != "sam",
        frame=size,
        look=lambda pixels: guarded(folder, lambda: _look(model, pixels)),
        decide=lambda seen, points, labels: guarded(folder, lambda: _decide(model, seen, points, labels)),
        weights=weights,
        least=SAM if model.config.model_type == "sam" else SAM_2,
    )


def _look(model: Any, pixels: Pixels) -> Any:
    import torch

    torch.set_num_threads(thread_limit())
    given = np.ascontiguousarray(np.moveaxis((pixels - MEAN) / SPREAD, -1, 0))
    return model.get_image_embeddings(torch.from_numpy(given)[None])


def _decide(model: Any, seen: Any, points: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """A box goes in by its own door: not all of them know its corners as points."""
    import torch

    masks, quality = [], []
    for i in range(0, len(points), BATCH):
        some, kinds = points[i : i + BATCH], labels[i : i + BATCH]
        boxed = kinds >= CORNER
        asked: dict[str, Any] = {}
        if boxed.any():
            asked["input_boxes"] = torch.from_numpy(some[boxed].reshape(1, len(some), 4))
        if not boxed.all():
            asked["input_points"] = torch.from_numpy(some[~boxed].reshape(1, len(some), -1, 2))
            asked["input_labels"] = torch.from_numpy(kinds[~boxed].reshape(1, len(some), -1))
        with torch.inference_mode():
            found = model(image_embeddings=seen, multimask_output=True, **asked)
        one = answer(model.config.model_type, found.pred_masks.numpy(), found.iou_scores.numpy(), len(some))
        masks.append(one[0])
        quality.append(one[1])
    return np.concatenate(masks), np.concatenate(quality)
