"""Grounding DINO (Liu et al., ECCV 2024) as a folder of Hugging Face transformers: boxes around what words name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conservator.errors import ModelMissing, ToolFailed
from conservator.models.foreign.hugging import guarded, line, open_folder
from conservator.models.foreign.segmenter import MEAN, SPREAD, Floats
from conservator.models.runtime import thread_limit
from conservator.pixels.types import Pixels

KINDS = ("grounding-dino",)
SHORTEST, LONGEST = 800, 1333
"""Pixels of the sides of what it sees, where the folder does not say."""


@dataclass(frozen=True, eq=False)
class Grounder:
    """A network that finds what words name.

    title    what it is, in a few words
    sides    pixels that the short side of a picture should have, and the long side at most
    find     (float32 (h, w, 3) in [0, 1], words) -> boxes float32 (N, 4): left, top, right, bottom as shares of the
             picture's sides, and how well each suits the words, float32 (N,) in [0, 1]
    weights  SHA-256 of its files, by name
    """

    title: str
    sides: tuple[int, int]
    find: Callable[[Pixels, str], tuple[Floats, Floats]]
    weights: Mapping[str, str]


def read(folder: Path) -> Grounder:
    """The network in a folder with config.json, model.safetensors and its tokenizer; see `hugging.open_folder`."""
    model, weights = open_folder(folder, "AutoModelForZeroShotObjectDetection", KINDS)
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.txt")):  # without, it would know no word
        raise ModelMissing(f"no tokenizer.json or vocab.txt in {folder}", "its tokenizer", "download it as well")
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # absent or damaged, in a dozen ways
        raise ModelMissing(f"{folder}: {line(error)}", "tokenizer files beside it", "download them as well") from error
    title = f"{model.config.model_type} in {folder.name}"

    def find(pixels: Pixels, words: str) -> tuple[Floats, Floats]:
        boxes, scores = guarded(folder, lambda: _found(model, tokenizer, pixels, words))
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ToolFailed(f"{title} returned NaN or infinity", "finite numbers", "use another folder")
        return boxes, scores

    return Grounder(title, _sides(folder), find, weights)


def _sides(folder: Path) -> tuple[int, int]:
    try:
        size = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))["size"]
        return int(size["shortest_edge"]), int(size["longest_edge"])
    except (OSError, ValueError, KeyError, TypeError):
        return SHORTEST, LONGEST


def _found(model: Any, tokenizer: Any, pixels: Pixels, words: str) -> tuple[Floats, Floats]:
    import torch

    torch.set_num_threads(thread_limit())
    asked = tokenizer(f"{words.lower().strip(' .')}.", return_tensors="pt")
    given = np.ascontiguousarray(np.moveaxis((pixels - MEAN) / SPREAD, -1, 0), np.float32)
    with torch.inference_mode():
        made = model(pixel_values=torch.from_numpy(given)[None], **asked)
    scores = made.logits[0].sigmoid().amax(dim=-1).numpy()
    centre, size = np.split(made.pred_boxes[0].numpy(), 2, axis=1)
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return np.asarray(boxes, np.float32).clip(0, 1), np.asarray(scores, np.float32)
