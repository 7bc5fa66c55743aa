"""SAM-class networks as folders of Hugging Face transformers: configuration and safetensors, never a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models.foreign.loading import digest
from conservator.models.foreign.pytorch import INSTALL, declare_torchvision_operators
from conservator.models.foreign.segmenter import BATCH, CORNER, MEAN, SPREAD, Floats, Segmenter, answer
from conservator.models.runtime import thread_limit
from conservator.pixels.types import Pixels

KINDS = ("sam", "sam2", "edgetam")
"""Types of models, as their configuration names them; the last two also as those of video."""


def read(folder: Path) -> Segmenter:
    """The network in a folder with config.json and model.safetensors: SAM, SAM 2, or EdgeTAM.

    No code of the folder is run and nothing is fetched. Raises ModelMissing when files are absent or damaged, or when
    PyTorch or transformers are; UsageError when the network is of another kind.
    """
    weights = {path.name: digest(path) for path in sorted(folder.glob("*.safetensors"))}
    if not weights:
        raise ModelMissing(f"no .safetensors in {folder}", "weights in that format", "have them converted")
    model = _model(folder)
    if model.config.model_type.removesuffix("_video") not in KINDS:
        kinds = ", ".join(KINDS)
        raise UsageError(f"{folder} holds {model.config.model_type}", f"one of {kinds}", "use another folder")
    side = model.config.prompt_encoder_config.image_size
    size = (side, side) if isinstance(side, int) else tuple(side)
    return Segmenter(
        title=f"{model.config.model_type} in {folder.name}",
        size=size,
        stretched=model.config.model_type != "sam",
        frame=size,
        look=lambda pixels: _guarded(folder, lambda: _look(model, pixels)),
        decide=lambda seen, points, labels: _guarded(folder, lambda: _decide(model, seen, points, labels)),
        weights=weights,
    )


def _model(folder: Path) -> Any:
    try:
        import torch

        declare_torchvision_operators()
        from transformers import AutoModelForMaskGeneration
        from transformers.utils import logging
    except (ImportError, RuntimeError) as error:  # transformers hides what failed behind errors of its own
        raise ModelMissing(f"transformers: {error}", "PyTorch and transformers", INSTALL) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, told = AutoModelForMaskGeneration.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            dtype=torch.float32,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(f"{folder}: {_line(error)}", f"one of {', '.join(KINDS)}", "use another folder") from error
    except Exception as error:  # damaged files raise a dozen kinds of errors
        fix = "download it again; EdgeTAM needs `pip install timm` besides"
        raise ModelMissing(f"{folder} cannot be loaded: {_line(error)}", "a transformers model", fix) from error
    absent = sorted(told["missing_keys"])
    if absent:
        raise ModelMissing(f"{folder} lacks weights: {', '.join(absent[:3])} …", "all of them", "download it again")
    return model.eval()


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


def _guarded(folder: Path, work: Any) -> Any:
    try:
        return work()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ToolFailed(f"{folder.name}: {_line(error)}", "a network that runs", "use another folder") from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
