"""Predictor: the whole plan from a diagnosis in one forward pass of a small network.

The network reads numbers in the vocabulary's own units, not what a perceiver's network gives: so a better perceiver
makes better plans without another training. Its card names features and tools; what is unknown here counts as absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from conservator.diagnosis import Diagnosis
from conservator.memory import Fingerprint
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run

MODEL = "restoreagent"


class Move(NamedTuple):
    """A step of a predicted plan.

    tool      by name; of those the network knows
    treats    kinds the tool is for
    strength  multiplies the severity found
    """

    tool: str
    treats: tuple[str, ...]
    strength: float


class Predictor(Protocol):
    """Plans without trying anything."""

    def __call__(self, diagnosis: Diagnosis, kinds: Collection[str]) -> Sequence[Move]:
        """What to do about these kinds, in order."""
        ...


def features(diagnosis: Diagnosis, kinds: Collection[str]) -> dict[str, float]:
    """What the network reads, by name, each in [0, 1].

    kinds   to be treated; others are not mentioned

    KIND.severity and KIND.share are the mean severity where a kind was found and the share of the frame where it was;
    clean and variety are those of `memory.Fingerprint`; the rest is about the colours of the cells.
    """
    found, cells = Fingerprint.of(diagnosis, kinds), diagnosis.guide
    pairs = {f"{kind}.{what}": number for kind, both in found.ails.items() for what, number in _named(both)}
    return pairs | {
        "clean": found.clean,
        "variety": found.variety,
        "light": float(cells.mean()),
        "contrast": float(cells.std()),
        "darkest": float(cells.min(axis=2).mean()),
        "colour": float(np.ptp(cells, axis=2).mean()),
    }


def plan(diagnosis: Diagnosis, kinds: Collection[str]) -> list[Move]:
    """What to do about these kinds, in order; one call of the network."""
    known = MODELS[MODEL].calibration
    seen = features(diagnosis, kinds)
    numbers = np.array([[seen.get(name, 0.0) for name in known["features"]]], np.float32)
    tools, strengths = run(MODEL, {"features": numbers})
    return list(_moves(tools[0], strengths[0], {name: tuple(treats) for name, treats in known["tools"].items()}))


def _moves(
    scores: NDArray[np.float32], strengths: NDArray[np.float32], tools: dict[str, tuple[str, ...]]
) -> Iterator[Move]:
    """The best tool of every place in the plan, up to the first place where stopping is best; no tool twice."""
    names, done = list(tools), set[int]()
    for place, score in enumerate(scores):
        choice = int(score.argmax())
        if choice == len(names):
            return
        if choice not in done:
            done.add(choice)
            yield Move(names[choice], tools[names[choice]], round(float(strengths[place, choice]), 2))


def _named(pair: tuple[float, float]) -> zip[tuple[str, float]]:
    return zip(("severity", "share"), pair, strict=True)
