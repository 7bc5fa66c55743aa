"""One experience: a fingerprint, the plan that was carried out, and the gain that was measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from conservator.errors import InputError
from conservator.memory.fingerprint import Fingerprint
from conservator.plan import Step
from conservator.regions import EVERYWHERE, WHOLE

CALL = 0.02
"""Gain that a further tool call has to bring: of plans that do the same the shorter one is the better."""

SURE = 2
"""Times that nothing has to have helped against a kind before nobody tries any more."""

Left: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Experience:
    """What to do about photographs like one that was met.

    fingerprint  of the photograph, or the mean of several
    steps        that were kept, on the whole frame
    left         kinds that were found and that no tool helped against, with the tools for them that there were
    gain         share of the perceived severity that was gone afterwards, ≤ 1
    tried        how often the plan was found or carried out
    held         how often it did what was expected of it
    settled      whether there is nothing shorter to try
    source       "shipped", "own" or "imported"
    number       in its memory; 0 outside of one
    """

    fingerprint: Fingerprint
    steps: tuple[Step, ...]
    left: Left = field(default_factory=dict)
    gain: float = 0.0
    tried: int = 1
    held: int = 1
    settled: bool = False
    source: str = "own"
    number: int = 0

    @property
    def worth(self) -> float:
        """What to expect of it: the gain as often as it held, less what its tool calls cost."""
        return self.gain * self.held / self.tried - CALL * len(self.steps)

    @property
    def portable(self) -> bool:
        """Whether the plan fits another photograph: regions with names belong to one alone."""
        return all(step.regions in ((WHOLE,), (EVERYWHERE,)) for step in self.steps)

    def gave_up(self, kind: str, tools: Collection[str]) -> bool:
        """Whether it is no use to try these tools against a kind once the plan is done."""
        return self.held >= SURE and kind in self.left and set(tools) <= set(self.left[kind])

    def same_plan(self, steps: tuple[Step, ...]) -> bool:
        """Whether these steps do the same, for whatever reason."""
        return [_done(step) for step in self.steps] == [_done(step) for step in steps]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the number stays in the memory."""
        return {
            "fingerprint": self.fingerprint.to_dict(),
            "steps": [_done(step) for step in self.steps],
            "left": {kind: list(tools) for kind, tools in self.left.items()},
            "gain": round(self.gain, 4),
            "tried": self.tried,
            "held": self.held,
            "settled": self.settled,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, data: Any, number: int = 0) -> Experience:
        """Read what `to_dict` wrote; InputError when it is something else or its plan names regions."""
        try:
            found = cls(
                Fingerprint.from_dict(data["fingerprint"]),
                tuple(_step(step) for step in data["steps"]),
                {str(kind): tuple(str(tool) for tool in tools) for kind, tools in data["left"].items()},
                float(data["gain"]),
                int(data["tried"]),
                int(data["held"]),
                bool(data["settled"]),
                str(data["source"]),
                number,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"an experience that cannot be read ({error})", "one that was exported") from error
        if not (found.portable and 0 <= found.held <= found.tried > 0 and math.isfinite(found.gain)):
            raise InputError("an experience that contradicts itself", "one that was exported")
        return found


def _done(step: Step) -> dict[str, Any]:
    return {key: value for key, value in step.to_dict().items() if key != "reason"}


def _step(data: Mapping[str, Any]) -> Step:
    step = Step.from_dict(data)
    if not math.isfinite(step.strength) or not all(isinstance(k, str) for k in (step.tool, *step.treats)):
        raise ValueError(f"step {dict(data)!r}")
    return step
