"""Folders of Hugging Face transformers: configuration and safetensors. No code of theirs is run, nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models.foreign.loading import digest
from conservator.models.foreign.pytorch import INSTALL, declare_torchvision_operators


def open_folder(folder: Path, loader: str, kinds: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """The network in a folder with config.json and .safetensors, and the SHA-256 of its files by name.

    loader  name of a class of transformers that reads such networks
    kinds   types of models, as configurations name them; "_video" behind one is the same

    Raises ModelMissing when files are absent or damaged, or when PyTorch or transformers are; UsageError when the
    network is of another kind.
    """
    weights = {path.name: digest(path) for path in sorted(folder.glob("*.safetensors"))}
    if not weights:
        raise ModelMissing(f"no .safetensors in {folder}", "weights in that format", "have them converted")
    model = _model(folder, loader, kinds)
    if model.config.model_type.removesuffix("_video") not in kinds:
        wanted = f"one of {', '.join(kinds)}"
        raise UsageError(f"{folder} holds {model.config.model_type}", wanted, "use another folder")
    return model, weights


def _model(folder: Path, loader: str, kinds: Sequence[str]) -> Any:
    try:
        import torch

        declare_torchvision_operators()
        import transformers
        from transformers.utils import logging

        reader = getattr(transformers, loader)
    except (ImportError, RuntimeError) as error:  # transformers hides what failed behind errors of its own
        raise ModelMissing(f"transformers: {error}", "PyTorch and transformers", INSTALL) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, told = reader.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            dtype=torch.float32,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(f"{folder}: {line(error)}", f"one of {', '.join(kinds)}", "use another folder") from error
    except Exception as error:  # damaged files raise a dozen kinds of errors
        fix = f"download it again; EdgeTAM needs timm: {INSTALL}"
        raise ModelMissing(f"{folder} cannot be loaded: {line(error)}", "a transformers model", fix) from error
    absent = sorted(told["missing_keys"])
    if absent:
        raise ModelMissing(f"{folder} lacks weights: {', '.join(absent[:3])} …", "all of them", "download it again")
    return model.eval()


def guarded(folder: Path, work: Callable[[], Any]) -> Any:
    """What `work` returns; ToolFailed for what a network or its configuration breaks on."""
    try:
        return work()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ToolFailed(f"{folder.name}: {line(error)}", "a network that runs", "use another folder") from error


def line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
