"""What is known of a promptable segmentation network (SAM, Kirillov et al., ICCV 2023), and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ToolFailed
from conservator.pixels.types import Pixels

Floats: TypeAlias = NDArray[np.float32]

BESIDE, ON, CORNER, OPPOSITE = 0, 1, 2, 3
"""Labels of points: off the thing, on it, and the upper left and lower right corner of a box around it."""

MEAN = np.array([123.675, 116.28, 103.53], np.float32) / 255
SPREAD = np.array([58.395, 57.12, 57.375], np.float32) / 255
"""By colour, of ImageNet: what all of them subtract and divide by."""

BATCH = 16
"""Prompts answered together, where a network takes several."""

SAM, SAM_2, DETECTOR = (0.86, 0.92), (0.78, 0.92), (0.4, 0.0)
"""What a mask needs when everything is looked for: predicted IoU, or a detector's score, and IoU of itself at two
thresholds. The authors' own (0.88 and 0.95, Kirillov et al., 2023; 0.8 and 0.95, Ravi et al., 2024; a score of 0.4,
Zhao et al., 2023), a little less strict, for photographs here are damaged. A score says how likely there is something,
not how well it is outlined, and detectors are not asked how stable it is."""


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A network that outlines what points and boxes show it.

    title      what it is, in a few words
    size       (h, w) of the only picture it takes
    stretched  whether a photograph is stretched to fill that (SAM 2), or keeps its shape in the upper left corner (SAM)
    frame      (h, w) of what its masks span, from the picture's upper left corner on, in the picture's pixels
    look       float32 (h, w, 3) in [0, 1] -> what it makes of the picture
    decide     (that, points float32 (P, N, 2) as x and y in pixels of the picture, labels int64 (P, N)) ->
               logits float32 (P, M, y, x), and how good it thinks that they are, float32 (P, M)
    weights    SHA-256 of its files, by name
    least      quality and stability of a mask that counts when everything is looked for
    found      (what it makes of the picture) -> everything in it, logits (K, y, x) and quality (K,), where the network
               says that by itself; None where it has to be asked point by point
    """

    title: str
    size: tuple[int, int]
    stretched: bool
    frame: tuple[int, int]
    look: Callable[[Pixels], Any]
    decide: Callable[[Any, Floats, NDArray[np.int64]], tuple[Floats, Floats]]
    weights: Mapping[str, str]
    least: tuple[float, float] = SAM
    found: Callable[[Any], tuple[Floats, Floats]] | None = None


def answer(title: str, masks: NDArray[Any], quality: NDArray[Any], prompts: int) -> tuple[Floats, Floats]:
    """Masks and their quality in the shapes that `Segmenter.decide` gives; ToolFailed when they are none."""
    logits = masks[0] if masks.ndim == 5 else masks
    scores = quality[0] if quality.ndim == 3 else quality
    if logits.ndim != 4 or scores.shape != logits.shape[:2] or len(logits) != prompts or 0 in logits.shape:
        got = f"{title} returned masks {masks.shape} of quality {quality.shape} for {prompts} prompts"
        raise ToolFailed(got, "(P, M, y, x) and (P, M)", "export it as Segment Anything does")
    if not (np.isfinite(logits).all() and np.isfinite(scores).all()):
        raise ToolFailed(f"{title} returned NaN or infinity", "finite numbers", "use another file")
    return logits.astype(np.float32), scores.astype(np.float32)
