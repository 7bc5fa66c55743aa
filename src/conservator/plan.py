"""Plans: which tool treats which regions how strongly, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from conservator.errors import UsageError
from conservator.regions import WHOLE


@dataclass(frozen=True)
class Step:
    """One treatment: a tool on regions with a strength.

    tool       name in the tool registry
    treats     degradations to treat, a subset of what the tool's card offers
    regions    ids of regions, or names of places that the caller gave, or ("whole",)
    strength   multiplies the severity map; 1 is what the diagnosis says, 0 does nothing
    options    further keyword arguments of the tool, JSON values
    reason     why the policy chose it, in words
    """

    tool: str
    treats: tuple[str, ...]
    regions: tuple[str, ...] = (WHOLE,)
    strength: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"treats": list(self.treats), "regions": list(self.regions)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Step:
        """Read what `to_dict` wrote; UsageError when a field is missing, unknown or of another type."""
        try:
            fields = dict(data)
            step = cls(**fields | {"treats": tuple(fields["treats"]), "regions": tuple(fields["regions"])})
            names = (step.tool, step.reason, *step.treats, *step.regions)
            right = all(isinstance(name, str) for name in names) and isinstance(step.options, Mapping)
            if not right or isinstance(step.strength, str) or not math.isfinite(step.strength):
                raise TypeError("something of another type")
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            wanted = "tool, treats, regions, strength, options and reason"
            raise UsageError(f"step {str(data)[:200]}", wanted, str(error)) from error
        return step


@dataclass(frozen=True)
class CannotTreat:
    """Damage that was found and is left alone, and why."""

    degradation: str
    regions: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Plan:
    """Steps in order, and what the plan leaves untreated."""

    steps: tuple[Step, ...] = ()
    cannot: tuple[CannotTreat, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"steps": [s.to_dict() for s in self.steps], "cannot_treat": [asdict(c) for c in self.cannot]}
