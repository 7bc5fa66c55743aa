"""What ails a photograph in a handful of numbers, by which similar ones are found again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import PERCEIVED
from conservator.diagnosis import Diagnosis

FEATURES = (
    *(f"{kind}.{what}" for kind in PERCEIVED for what in ("severity", "share")), "clean", "variety",
)  # fmt: skip
"""Meaning of the numbers in `Fingerprint.vector`, in order."""

_WEIGHTS = np.array([1.0, 0.5] * len(PERCEIVED) + [0.5, 0.5])
"""Of the features in the distance: how severe the damage is says more about the plan than how far it reaches."""


@dataclass(frozen=True)
class Fingerprint:
    """Severities and how they are spread over the frame; too little to tell one photograph from another.

    ails     by kind: mean severity in [0, 1] where it was found, and the share of the frame where it was
    clean    share of the frame where nothing was found
    variety  probability that two places drawn at random suffer from different kinds
    """

    ails: Mapping[str, tuple[float, float]]
    clean: float = 0.0
    variety: float = 0.0

    @classmethod
    def of(cls, diagnosis: Diagnosis, kinds: Iterable[str] | None = None) -> Fingerprint:
        """From what a diagnosis would treat, or from some kinds of it alone; rounded, so that less is told."""
        chosen = [kind for kind in (diagnosis.degradations if kinds is None else kinds) if kind in PERCEIVED]
        if not any(diagnosis.cells(kind).any() for kind in chosen):
            return cls({}, clean=1.0)
        cells = np.array([diagnosis.cells(kind).ravel() for kind in chosen])
        found = cells > 0
        ails = {
            kind: (round(float(severity[there].mean()), 3), round(float(there.mean()), 3))
            for kind, severity, there in zip(chosen, cells, found, strict=True)
            if there.any()
        }
        _, counts = np.unique(found, axis=1, return_counts=True)
        shares = counts / counts.sum()
        clean, variety = float((~found.any(axis=0)).mean()), 1 - float(np.square(shares).sum())
        return cls(ails, round(clean, 3), round(variety, 3))

    @property
    def kinds(self) -> frozenset[str]:
        """What was found at all."""
        return frozenset(self.ails)

    @cached_property
    def vector(self) -> NDArray[np.float64]:
        """FEATURES as numbers in [0, 1]; a kind that was not found counts 0, and so, nearly, does a faint trace."""
        pairs = (self.ails.get(kind, (0.0, 0.0)) for kind in PERCEIVED)
        numbers = [number for severity, share in pairs for number in (severity * math.sqrt(share), share)]
        return np.array([*numbers, self.clean, self.variety])

    def mixed(self, other: Fingerprint, share: float) -> Fingerprint:
        """Between this one (share 0) and another with the same kinds (share 1)."""
        ails = {kind: _between(self.ails[kind], other.ails[kind], share) for kind in self.ails}
        clean, variety = _between((self.clean, self.variety), (other.clean, other.variety), share)
        return Fingerprint(ails, clean, variety)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"ails": {k: list(pair) for k, pair in self.ails.items()}, "clean": self.clean, "variety": self.variety}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Read what `to_dict` wrote; raises what wrong JSON raises."""
        ails = {str(kind): (_share(severity), _share(share)) for kind, (severity, share) in data["ails"].items()}
        return cls(ails, _share(data["clean"]), _share(data["variety"]))


def distances(one: Fingerprint, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted Euclidean distances of a fingerprint from the vectors (N, len(FEATURES)) of others."""
    return np.asarray(np.sqrt((np.square(others - one.vector) * _WEIGHTS).sum(axis=1)))


def _between(one: tuple[float, float], other: tuple[float, float], share: float) -> tuple[float, float]:
    first, second = (round(a + (b - a) * share, 3) for a, b in zip(one, other, strict=True))
    return first, second


def _share(value: Any) -> float:
    number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{value!r} is not in [0, 1]")
    return number
