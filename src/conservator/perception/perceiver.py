"""A photo in, a diagnosis out: two networks, one gate, regions."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.degradations import INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.models.catalogue import MODELS
from conservator.perception import frame, local
from conservator.perception.gate import Gate
from conservator.perception.segment import segment
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Samples


def observe(samples: Samples, gate: Gate | None = None) -> Diagnosis:
    """Diagnose a photograph.

    samples   uint16 (H, W, 3)
    gate      when to act; the calibrated one by default

    At most two million native pixels and one 256-pixel frame are looked at, whatever the size.
    Raises ModelMissing when the shipped networks are absent.
    """
    gate = gate or Gate.calibrated()
    guide = cell_means(samples)
    raw, deviation, presence = (np.zeros((len(NAMES), *guide.shape[:2]), np.float32) for _ in range(3))
    for model, cells in ((local.MODEL, local.read(samples)), (frame.MODEL, frame.read(samples, guide))):
        _fill(model, cells, raw, deviation, presence)
    maps = np.stack([_decide(gate, name, presence[i], raw[i]) for i, name in enumerate(NAMES)])
    size = (samples.shape[0], samples.shape[1])
    return Diagnosis(size, maps, raw, deviation, presence, guide, segment(maps, guide))


def _fill(model: str, cells: Maps, raw: Maps, deviation: Maps, presence: Maps) -> None:
    """Sort a network's channels into the vocabulary's order."""
    kinds = MODELS[model].kinds
    logits, severities, deviations = np.split(cells, 3)
    channels = [INDEX[k] for k in kinds]
    presence[channels] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    raw[channels] = severities
    deviation[channels] = np.exp(deviations)


def _decide(gate: Gate, name: str, presence: Maps, severity: Maps) -> Maps:
    # One odd cell in a patch is doubt, not a hole in the damage: medians vote first.
    if min(presence.shape) >= 3:
        presence, severity = (np.asarray(cv2.medianBlur(m, 3), np.float32) for m in (presence, severity))
    return gate.decide(name, presence, severity)
