"""How far a model that sees is to be believed: as far as `conservator bench eyes` measured it, and no farther."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conservator.errors import UsageError
from conservator.quality.critic import Opinion

VARIABLE = "CONSERVATOR_LLM_MEASURED"
MOST = 0.95
"""Share of right answers that counts at most: no number of questions makes a model infallible."""

CRITIC_MOST = 0.97
"""The same for the critic. A model is weaker evidence than that: a critic that is sure cannot be outweighed."""


@dataclass(frozen=True)
class Reliability:
    """Shares of right answers in [0, 1], of questions whose answers were known.

    model       who was asked
    kinds       by kind of damage, how many of its findings were there
    comparison  how many of its opinions about a pair were right; None where it never had one
    """

    model: str
    kinds: Mapping[str, float] = field(default_factory=dict)
    comparison: float | None = None

    @classmethod
    def from_file(cls, path: Path) -> Reliability:
        """What the benchmark wrote; UsageError when a file is none of its results."""
        try:
            data = json.loads(path.read_text("utf-8"))["settings"]
            found = cls.from_dict(data["reliability"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            got = f"{VARIABLE}={path}: {type(error).__name__} {error}"
            raise UsageError(got, "a result of `conservator bench eyes`", "measure the model, or unset it") from error
        return found

    @classmethod
    def from_environment(cls, model: str) -> Reliability | None:
        """Of the model that is asked, as the user measured it; None when that was not done."""
        file = os.environ.get(VARIABLE)
        if not file:
            return None
        found = cls.from_file(Path(file))
        if found.model != model:
            raise UsageError(f"{VARIABLE}={file} is about {found.model}", f"a measurement of {model}", "make one")
        return found

    @classmethod
    def from_dict(cls, data: Any) -> Reliability:
        """Read what `to_dict` wrote; ValueError, KeyError or TypeError when it is something else."""
        kinds = {str(kind): _share(value) for kind, value in data["kinds"].items()}
        comparison = data["comparison"]
        return cls(str(data["model"]), kinds, None if comparison is None else _share(comparison))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"model": self.model, "kinds": dict(self.kinds), "comparison": self.comparison}

    def outweighs(self, opinion: Opinion) -> bool:
        """Whether a result that the critic likes and this model calls worse is more likely worse (Bayes, even odds)."""
        right = min(self.comparison or 0.5, MOST)
        likes = likelihood(opinion)
        return likes * (1 - right) < (1 - likes) * right


def likelihood(opinion: Opinion) -> float:
    """Of the result being better, for all that the critic knows: of its gain, normal, being above 0."""
    if opinion.deviation <= 0:
        return CRITIC_MOST if opinion.gain > 0 else 1 - CRITIC_MOST
    above = 0.5 * (1 + math.erf(opinion.gain / opinion.deviation / math.sqrt(2)))
    return min(max(above, 1 - CRITIC_MOST), CRITIC_MOST)


def smoothed(right: int, asked: int) -> float:
    """Share of right answers after so many questions, as if one more had been right and one wrong (Laplace)."""
    return (right + 1) / (asked + 2)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ValueError(f"{value!r} is no share")
    return float(value)
