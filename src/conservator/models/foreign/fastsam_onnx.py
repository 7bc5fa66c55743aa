"""FastSAM (Zhao et al., 2306.12156) and its kin as one ONNX file: a detector that outlines everything at once.

It takes no prompts: points and boxes choose among what it found. Known is the export of YOLO segmentation networks with
one class: boxes, a score and 32 coefficients for each candidate, and 32 prototypes that these weigh.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ToolFailed, UsageError
from conservator.models.foreign.loading import digest
from conservator.models.foreign.segmenter import BESIDE, CORNER, DETECTOR, ON, Floats, Segmenter
from conservator.models.runtime import Port, forget, listed, ports, run
from conservator.pixels.types import Pixels

SIDE = 1024  # of the picture where the file leaves it free, as FastSAM was trained
SAME = 0.9  # IoU of boxes from which two candidates are one
MOST = 100  # candidates
OUTSIDE = np.float32(-20)  # logit of what is not there


class Things(NamedTuple):
    """What a picture holds, the likeliest first: logits (K, y, x), boxes (K, 4), scores (K,); boxes as corners."""

    logits: Floats
    boxes: Floats
    scores: Floats


def read(path: Path) -> Segmenter:
    """The network in an ONNX file; ModelMissing when it is damaged or absent, UsageError when it is of another kind."""
    weights = {path.name: digest(path)}
    forget(path)
    inputs, outputs = ports(path)
    size = _size(inputs)
    if size is None or len(outputs) < 2 or [len(port.shape) for port in outputs[:2]] != [3, 4]:
        got = f"{path.name} takes {listed(inputs)} and returns {listed(outputs)}"
        raise UsageError(got, "a picture in, candidates and prototypes out", "or name encoder and decoder of SAM")

    def look(pixels: Pixels) -> Things:
        given = {inputs[0].name: np.ascontiguousarray(np.moveaxis(pixels, -1, 0)[None], np.float32)}
        candidates, prototypes, *_ = run(path, given)
        return _things(path.name, candidates[0], prototypes[0], size)

    def decide(seen: Things, points: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
        chosen = [_chosen(seen, *prompt, size) for prompt in zip(points, labels, strict=True)]
        return np.stack([logits for logits, _ in chosen]), np.array([[score] for _, score in chosen], np.float32)

    return Segmenter(path.name, size, False, size, look, decide, weights, DETECTOR, _everything)


def _everything(seen: Things) -> tuple[Floats, Floats]:
    return seen.logits, seen.scores


def _size(inputs: tuple[Port, ...]) -> tuple[int, int] | None:
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
        return None
    height, width = (side if isinstance(side, int) else SIDE for side in inputs[0].shape[2:])
    return height, width


def _things(name: str, candidates: Floats, prototypes: Floats, size: tuple[int, int]) -> Things:
    if len(candidates) != 5 + len(prototypes):
        got = f"{name} returned candidates {candidates.shape} and prototypes {prototypes.shape}"
        raise ToolFailed(got, "4 sides, 1 score and a coefficient for each prototype", "use a network of one class")
    order = np.argsort(-candidates[4], kind="stable")
    likely = candidates[:, order[candidates[4, order] >= DETECTOR[0]][:MOST]].T
    corners = np.concatenate([likely[:, :2] - likely[:, 2:4] / 2, likely[:, :2] + likely[:, 2:4] / 2], axis=1)
    kept: list[int] = []
    for i in range(len(likely)):
        if all(_iou(corners[i], corners[j]) < SAME for j in kept):
            kept.append(i)
    boxes, scores = corners[kept], likely[kept, 4]
    logits = np.tensordot(likely[kept, 5:], prototypes, axes=1)
    down, across = (np.arange(n) + 0.5 for n in prototypes.shape[1:])
    scaled = boxes * np.array([n / s for n, s in zip(prototypes.shape[:0:-1], size[::-1], strict=True)] * 2)
    for mask, (left, top, right, bottom) in zip(logits, scaled, strict=True):
        mask[~(((down >= top) & (down <= bottom))[:, None] & (across >= left) & (across <= right))] = OUTSIDE
    return Things(logits.astype(np.float32), boxes.astype(np.float32), scores.astype(np.float32))


def _chosen(
    seen: Things, points: Floats, labels: NDArray[np.int64], size: tuple[int, int]
) -> tuple[Floats, float]:
    """The thing that a prompt shows, (1, y, x), and its score; nothing, and 0, where it shows none."""
    fits = np.ones(len(seen.scores), np.float32)
    tall, wide = seen.logits.shape[1:]
    for (x, y), label in zip(points, labels, strict=True):
        if label in (ON, BESIDE):
            row, column = min(int(y * tall / size[0]), tall - 1), min(int(x * wide / size[1]), wide - 1)
            fits *= (seen.logits[:, row, column] > 0) == (label == ON)
    if CORNER in labels:
        box = points[labels >= CORNER].ravel()
        fits *= [_iou(box, other) for other in seen.boxes]
    worth = fits * seen.scores
    if not worth.any():
        return np.full((1, tall, wide), OUTSIDE), 0.0
    best = int(worth.argmax())
    return seen.logits[best][None], float(seen.scores[best])


def _iou(one: Floats, other: Floats) -> float:
    """Of boxes as corners."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared, 1e-9)
