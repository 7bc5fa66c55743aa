"""What both perceivers share: loss, labels, validation and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from conservator.benchmarks.figures import auc
from conservator.degradations import BY_NAME
from conservator.models.runtime import probabilities
from loop import WEIGHTS, half

Array = NDArray[np.float32]


def loss(network: nn.Module, batch: dict[str, Tensor], kinds: tuple[str, ...]) -> tuple[Tensor, dict[str, float]]:
    """Presence: cross-entropy, faint damage counted in part. Severity: Laplace likelihood where damage is.

    A network that tells borders too is asked where presence changes between neighbouring cells.
    """
    batch = {k: v.flatten(0, 1) if v.dim() == 5 else v for k, v in batch.items()}  # twins come stacked
    inputs = [v for k, v in batch.items() if k != "truth"]
    with half(inputs[0].device.type):
        out = network(*inputs)
    presence, severity, deviation, *borders = out.float().split(len(kinds), 1)
    truth = batch["truth"]
    notice = truth.new_tensor([BY_NAME[k].threshold for k in kinds])[None, :, None, None]
    label = (truth / notice).clamp(0, 1)
    cross = F.binary_cross_entropy_with_logits(presence, label)
    there = (truth > 0.5 * notice).float()
    laplace = (severity - truth).abs() * torch.exp(-deviation) + deviation
    strength = (laplace * there).sum() / there.sum().clamp_min(1)
    error = ((severity - truth).abs() * there).sum() / there.sum().clamp_min(1)
    value, parts = cross + 0.1 * strength, {"cross": float(cross.detach()), "error": float(error.detach())}
    for told in borders:
        change = F.max_pool2d(label, 3, 1, 1) + F.max_pool2d(-label, 3, 1, 1)
        border = F.binary_cross_entropy_with_logits(told, change, pos_weight=truth.new_tensor(4.0))  # they are rare
        value, parts["border"] = value + border, float(border.detach())
    return value, parts


def predict(network: nn.Module, samples: list[dict[str, Any]]) -> tuple[Array, Array, Array, Array]:
    """(presence probability, severity, deviation, truth), each (K, cells) over all samples."""
    columns: list[list[Array]] = [[], [], [], []]
    for sample in samples:
        with torch.no_grad():
            out = network(*(torch.as_tensor(v)[None] for k, v in sample.items() if k != "truth"))[0]
        kinds = out.shape[0] // 3
        flat = out.reshape(3, kinds, -1)
        parts = (
            torch.sigmoid(flat[0]),
            flat[1],
            torch.exp(flat[2]),
            torch.as_tensor(sample["truth"]).reshape(kinds, -1),
        )
        for column, part in zip(columns, parts, strict=True):
            column.append(part.numpy())
    return tuple(np.concatenate(c, axis=1) for c in columns)  # type: ignore[return-value]


class Shipped:
    """A shipped perceiver, opened when first asked, for recipes that learn from what will really be perceived."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.session: Any = None

    def __call__(self, **inputs: Array) -> tuple[Array, Array]:
        """(presence probability, severity), each (K, h, w), of one picture (3, H, W) and what else the model reads."""
        if self.session is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = onnxruntime.InferenceSession(str(WEIGHTS / f"{self.name}.onnx"), options)
        answer = self.session.run(None, {name: array[None] for name, array in inputs.items()})[0][0]
        logits, severity, _ = np.split(answer, 3)
        return probabilities(logits), severity


def measure(network: nn.Module, samples: list[dict[str, Any]], kinds: tuple[str, ...]) -> dict[str, Any]:
    """AUC, mean absolute error in the unit, and thresholds of presence for 80 to 98 % precision."""
    presence, severity, _, truth = predict(network, samples)
    report: dict[str, Any] = {"auc": {}, "mae": {}, "calibration": {}}
    for i, kind in enumerate(kinds):
        degradation = BY_NAME[kind]
        label, clean = truth[i] >= degradation.threshold, truth[i] == 0
        judged = label | clean
        area = auc(presence[i][judged], label[judged])
        report["auc"][kind] = None if area is None else round(area, 4)
        error = np.abs(degradation.value(severity[i][label]) - degradation.value(truth[i][label]))
        report["mae"][kind] = round(float(error.mean()), 3) if label.any() else None
        report["calibration"][kind] = {
            f"precision_{round(p * 100)}": round(threshold_for(presence[i][judged], label[judged], p), 4)
            for p in (0.8, 0.9, 0.95, 0.98)
        }
    return report


def threshold_for(score: Array, label: NDArray[np.bool_], precision: float) -> float:
    """Smallest presence probability above which at least `precision` of the cells are truly damaged."""
    order = np.argsort(-score)
    hits = np.cumsum(label[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(hits >= precision)
    return float(score[order][good[-1]]) if len(good) else 1.0
