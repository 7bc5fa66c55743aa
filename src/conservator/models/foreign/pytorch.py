"""PyTorch checkpoints: spandrel tells the architecture by names and shapes of the weights; no file is ever executed.

`torch.load(weights_only=True)` builds tensors and plain containers and refuses every other name in the pickle, which
is where a checkpoint could hide a program. PyTorch and spandrel are loaded when a checkpoint is, and not before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models.foreign.network import Network, Run, check_channels
from conservator.models.runtime import thread_limit

INSTALL = "pip install 'conservator[torch]'"

KINDS: Mapping[str, tuple[str, ...]] = {
    "DRUNet": ("noise",),
    "DnCNN": ("noise",),
    "SCUNet": ("noise",),
    "FBCNN": ("jpeg",),
    "FFTformer": ("motion_blur",),
    "MixDehazeNet": ("haze",),
    "RetinexFormer": ("low_light",),
    "HVICIDNet": ("low_light",),
}
"""What architectures were published for that have one purpose only; SwinIR or NAFNet serve many."""

_FACE_SIDES = {"GFPGAN": 512, "CodeFormer": 512}
"""Face networks that start from a learned constant and so know one size; spandrel calls it their least."""


def read(path: Path) -> Network:
    """The network in a .pth, .pt or .safetensors file.

    Raises ModelMissing when the file is damaged, holds more than weights, or when PyTorch or spandrel are absent;
    UsageError when spandrel does not know the architecture or it does not turn pictures into pictures.
    """
    spandrel = library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what goes wrong is raised, not printed
        found = _described(path, spandrel, _weights(path))
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise UsageError(f"{path.name} is {found.architecture.name}, for {found.purpose.lower()}",
                         "a network that needs a picture and nothing else", "use another checkpoint")  # fmt: skip
    check_channels(path, found.input_channels, found.output_channels)
    side = _FACE_SIDES.get(found.architecture.id)
    return Network(
        title=f"{found.architecture.name} ({', '.join(found.tags)})" if found.tags else found.architecture.name,
        run=_runner(found.eval()),
        channels=found.input_channels,
        scale=found.scale,
        multiple_of=1 if side else found.size_requirements.multiple_of,
        side=side,
        tiling=_tiling(spandrel, found),
        kinds=("low_resolution",) if found.purpose == "SR" else KINDS.get(found.architecture.id, ()),
    )


def _tiling(spandrel: Any, found: Any) -> Literal["free", "discouraged", "forbidden"]:
    # A face network wants the face whole, wherever spandrel says that it could be cut.
    if found.purpose == "FaceSR" or found.tiling is spandrel.ModelTiling.INTERNAL:
        return "forbidden"
    return "discouraged" if found.tiling is spandrel.ModelTiling.DISCOURAGED else "free"


def _runner(found: Any) -> Run:
    import torch

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        """From float32 (C, H, W) to (C', scale·H, scale·W); ToolFailed when the network's code fails."""
        torch.set_num_threads(thread_limit())
        # Some decoders draw noise: the same each time, or no record could be replayed.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                result = found(torch.from_numpy(np.ascontiguousarray(image))[None])
            except Exception as error:  # whatever an architecture's code raises
                raise ToolFailed(f"{found.architecture.name} on {image.shape}: {_line(error)}") from error
        return np.asarray(result[0].numpy(), np.float32)

    return run


def _described(path: Path, spandrel: Any, weights: Any) -> Any:
    try:
        weights = spandrel.canonicalize_state_dict(weights)
        return spandrel.ModelLoader("cpu").load_from_state_dict(weights)
    except spandrel.UnsupportedModelError as error:
        fix = "export it to ONNX; Restormer, MPRNet or CodeFormer: pip install spandrel-extra-arches"
        wanted = f"one of the {len(spandrel.MAIN_REGISTRY.architectures())} that spandrel knows"
        raise UsageError(f"the architecture of {path.name} is unknown", wanted, fix) from error
    except Exception as error:  # whatever an architecture's code raises when weights do not fit it
        raise _unusable(path, f"its weights fit no architecture ({_line(error)})") from error


def _weights(path: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks to run {named[1]}" if named else "it is no list of weights"
        raise _unusable(path, what) from error
    except Exception as error:  # damaged files raise a dozen kinds of errors
        raise _unusable(path, _line(error)) from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _unusable(path: Path, why: str) -> ModelMissing:
    fix = "download it again, or have its author save it as .safetensors"
    return ModelMissing(f"{path} cannot be loaded: {why}", "weights and nothing else", fix)


@cache
def library() -> Any:
    """spandrel, with the architectures of spandrel-extra-arches when that is installed; ModelMissing without it."""
    try:
        declare_torchvision_operators()
        import spandrel
    except ImportError as error:
        raise ModelMissing(f"PyTorch checkpoints: {error}", "PyTorch and spandrel", INSTALL) from error
    with contextlib.suppress(ImportError):
        import spandrel_extra_arches

        spandrel_extra_arches.install(ignore_duplicates=True)
    return spandrel


_operators: list[Any] = []  # they vanish with the object that declared them


def declare_torchvision_operators() -> None:
    """Let torchvision be imported where its compiled part does not load.

    spandrel and transformers need some of torchvision's Python functions. But torchvision describes its compiled
    operators `nms` and `qnms` on import, and when they are absent, as in its CUDA build beside a CPU PyTorch, the
    import fails. Declared by name they satisfy it; nothing here calls them. A compiled part that does load declares
    them itself.
    """
    import torch

    found = importlib.util.find_spec("torchvision")
    if _operators or found is None or found.origin is None:
        return
    for library in Path(found.origin).parent.glob("_C.*"):
        with contextlib.suppress(OSError):
            torch.ops.load_library(library)
    if hasattr(torch.ops.torchvision, "nms"):
        return
    declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _operators.append(declared)
