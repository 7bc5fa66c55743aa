"""A photo in, a diagnosis out: two networks, one gate, regions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import cv2
import numpy as np

from conservator.degradations import BY_NAME, INDEX, NAMES, Sight
from conservator.diagnosis import Diagnosis
from conservator.models.catalogue import MODELS
from conservator.models.runtime import probabilities
from conservator.perception import frame, local
from conservator.perception.gate import Gate
from conservator.perception.segment import segment
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Samples


class Perceiver(Protocol):
    """Says what is wrong with a photograph, or with a small part of it, and where."""

    def __call__(self, samples: Samples, /) -> Diagnosis:
        """Diagnose uint16 (H, W, 3)."""
        ...


def observe(samples: Samples, gate: Gate | None = None) -> Diagnosis:
    """Diagnose a photograph.

    samples   uint16 (H, W, 3)
    gate      when to act; the calibrated one by default

    At most two million native pixels and one 192-pixel frame are looked at, whatever the size.
    Raises ModelMissing when the shipped networks are absent.
    """
    return _seen(samples, gate or Gate.calibrated(), whole=True)


def glimpse(samples: Samples) -> Diagnosis:
    """Diagnose a native crop of a photograph, or local damage alone: as `observe` would, and no other kind."""
    return _seen(samples, Gate.calibrated(), whole=False)


def looking_for(kinds: Iterable[str]) -> Perceiver:
    """Whoever has to look for no more than these kinds: `glimpse` where none of them takes the whole frame to see.

    What it says of them is the same to the bit.
    """
    return observe if any(BY_NAME[kind].sight is Sight.FRAME for kind in kinds) else glimpse


def _seen(samples: Samples, gate: Gate, *, whole: bool) -> Diagnosis:
    guide = cell_means(samples)
    raw, deviation, presence, maps = (np.zeros((len(NAMES), *guide.shape[:2]), np.float32) for _ in range(4))
    found = raw, deviation, presence
    nearby = _fill(local.MODEL, local.read(samples), *found)
    _decide(gate, nearby, presence, raw, maps)
    if whole:
        _decide(gate, _fill(frame.MODEL, frame.read(samples, guide, maps[nearby]), *found), presence, raw, maps)
    size = (samples.shape[0], samples.shape[1])
    return Diagnosis(size, maps, raw, deviation, presence, guide, segment(maps, guide))


def _fill(model: str, cells: Maps, raw: Maps, deviation: Maps, presence: Maps) -> list[int]:
    """Sort a network's outputs into the vocabulary's order; returns the channels filled."""
    channels = [INDEX[kind] for kind in MODELS[model].kinds]
    logits, severities, deviations = np.split(cells, 3)
    presence[channels] = probabilities(logits)
    raw[channels] = severities
    deviation[channels] = np.exp(deviations)
    return channels


def _decide(gate: Gate, channels: list[int], presence: Maps, severity: Maps, maps: Maps) -> None:
    """Write what is to be treated."""
    for c in channels:
        sure, amount = presence[c], severity[c]
        # One odd cell in a patch is doubt, not a hole in the damage: medians vote first.
        if min(sure.shape) >= 3:
            sure, amount = (np.asarray(cv2.medianBlur(m, 3), np.float32) for m in (sure, amount))
        maps[c] = gate.decide(NAMES[c], sure, amount)
