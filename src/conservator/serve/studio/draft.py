"""What the user asks for, as a value: every edit gives a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from conservator.errors import UsageError
from conservator.plan import Step
from conservator.regions import WHOLE
from conservator.serve.orders import RestoreOptions
from conservator.tools.added import find
from conservator.tools.registry import TOOLS

MOST = 32
"""Lines of a plan."""


OWN = "mask"
"""Label of a place that somebody painted or uploaded."""


@dataclass(frozen=True)
class Place:
    """Where a single step keeps to.

    label    of the region that was found, or OWN
    mask     see `Draft`
    strokes  see `Draft`
    """

    label: str
    mask: bytes
    strokes: bytes | None = None

    @property
    def name(self) -> str:
        """What the step has as its region: the same for the same mask."""
        return f"{self.label}-{sha256(self.mask).hexdigest()[:8]}"


@dataclass(frozen=True)
class Line:
    """A step of the plan.

    on     whether it is carried out
    place  where it keeps to; None is wherever the step's regions are
    key    tells it from other lines, wherever it is moved
    """

    step: Step
    on: bool = True
    place: Place | None = None
    key: int = 0

    def at(self, place: Place | None) -> Line:
        """Kept to a place, or to none."""
        regions = (WHOLE,) if place is None else (place.name,)
        return replace(self, place=place, step=replace(self.step, regions=regions))

    @property
    def where(self) -> str:
        """In words."""
        if self.place is None:
            return "wherever it is found" if self.step.regions == (WHOLE,) else f"in {', '.join(self.step.regions)}"
        return "in its own mask" if self.place.label == OWN else f"only in {self.place.label}"


@dataclass(frozen=True)
class Draft:
    """Everything that can be edited.

    policy       who decides when the plan is made anew
    strength     multiplies every severity, in [0, 2]
    instruction  plain words
    mask         a picture of the photograph's size as a file's bytes, white is treated; None is everywhere
    lines        the plan
    strokes      what the mask was painted with, RGBA as a PNG; None for one that was not painted
    """

    policy: str = "spatial"
    strength: float = 1.0
    instruction: str = ""
    mask: bytes | None = None
    lines: tuple[Line, ...] = ()
    strokes: bytes | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are switched on, in order; UsageError when two of them cannot stand in one plan."""
        steps = tuple(line.step for line in self.lines if line.on)
        for own in (step for step in steps if step.tool not in TOOLS):
            for other in steps:
                if other.tool != own.tool and (both := set(own.treats) & set(other.treats)):
                    got = f"{own.tool} and {other.tool}, which both treat {', '.join(sorted(both))}"
                    raise UsageError(got, "one: a tool you added gets what it treats to itself", "switch one off")
        return steps

    @property
    def options(self) -> RestoreOptions:
        """What the public call is told beside plan and mask."""
        wishes = {"policy": self.policy, "strength": self.strength, "instruction": self.instruction.strip()}
        return RestoreOptions.model_validate(wishes | {"report": True})

    @property
    def places(self) -> dict[str, bytes]:
        """Masks by the names that the steps which are switched on have as their regions."""
        return {line.place.name: line.place.mask for line in self.lines if line.on and line.place is not None}

    def index(self, key: int | None) -> int | None:
        """Of the line with this key, if there still is one."""
        return next((index for index, line in enumerate(self.lines) if line.key == key), None)

    def painted(self, key: int | None = None) -> tuple[bytes | None, bytes | None]:
        """Mask and strokes of the whole plan, or of the line with this key."""
        if (index := self.index(key)) is None:
            return self.mask, self.strokes
        place = self.lines[index].place
        return (place.mask, place.strokes) if place is not None and place.label == OWN else (None, None)

    def masked(self, mask: bytes | None, strokes: bytes | None = None, key: int | None = None) -> Draft:
        """With another mask, or none, for the whole plan or for the line with this key."""
        if (index := self.index(key)) is None:
            return replace(self, mask=mask, strokes=strokes)
        return self.placed(index, None if mask is None else Place(OWN, mask, strokes))

    def placed(self, index: int, place: Place | None) -> Draft:
        """With a step kept to a place, or let go where it is found."""
        return self._with(index, self._line(index).at(place))

    def planned(self, steps: Iterable[Step]) -> Draft:
        """With these steps, all on, as the plan."""
        return replace(self, lines=tuple(Line(step, key=key) for key, step in enumerate(steps)))

    def switched(self, index: int, on: bool) -> Draft:
        """With a step on or off."""
        return self._with(index, replace(self._line(index), on=on))

    def strengthened(self, index: int, strength: float) -> Draft:
        """With another strength of a step, in [0, 2]."""
        if not 0.0 <= strength <= 2.0:
            raise UsageError(f"a strength of {strength:g}", "a number from 0 to 2", "1 is what the diagnosis says")
        line = self._line(index)
        return self._with(index, replace(line, step=replace(line.step, strength=strength)))

    def given(self, index: int, option: str, value: Any) -> Draft:
        """With another value of an option of a step's tool; UsageError when it does not take it."""
        line = self._line(index)
        options = {**line.step.options, **find(line.step.tool).checked({option: value})}
        return self._with(index, replace(line, step=replace(line.step, options=options)))

    def moved(self, index: int, by: int) -> Draft:
        """With a step earlier (by < 0) or later; at the ends it stays."""
        line, rest = self._line(index), self.removed(index).lines
        place = max(0, index + by)
        return replace(self, lines=(*rest[:place], line, *rest[place:]))

    def removed(self, index: int) -> Draft:
        """Without a step."""
        self._line(index)
        return replace(self, lines=self.lines[:index] + self.lines[index + 1 :])

    def added(self, tool: str) -> Draft:
        """With a tool on all that it treats, as the last step; UsageError when there is none, or the plan is full."""
        if len(self.lines) >= MOST:
            raise UsageError(f"a plan of more than {MOST} steps", f"at most {MOST}", "remove one first")
        step = Step(tool, find(tool).card.treats, reason="added by hand")
        key = 1 + max((line.key for line in self.lines), default=-1)
        return replace(self, lines=(*self.lines, Line(step, key=key)))

    def changes(self, since: Draft) -> list[str]:
        """What differs from another draft, in words."""
        said = []
        if self.policy != since.policy:
            said.append(f"policy {self.policy}")
        if self.strength != since.strength:
            said.append(f"strength {self.strength:g}")
        if self.instruction != since.instruction:
            said.append(f"“{self.instruction}”" if self.instruction else "no instruction")
        if self.mask != since.mask:
            said.append("no mask" if self.mask is None else "new mask")
        return said + _changed_lines(since.lines, self.lines)

    def _line(self, index: int) -> Line:
        if not 0 <= index < len(self.lines):
            raise UsageError(f"step {index + 1} of {len(self.lines)}", "a step of the plan", "the plan has changed")
        return self.lines[index]

    def _with(self, index: int, line: Line) -> Draft:
        return replace(self, lines=(*self.lines[:index], line, *self.lines[index + 1 :]))


def _changed_lines(before: tuple[Line, ...], after: tuple[Line, ...]) -> list[str]:
    old, new = [line.step.tool for line in before], [line.step.tool for line in after]
    said = [f"{tool} added" for tool in new if new.count(tool) > old.count(tool)]
    said += [f"{tool} removed" for tool in dict.fromkeys(old) if old.count(tool) > new.count(tool)]
    if not said and old != new:
        said.append("steps in another order")
    if old == new:
        for was, now in zip(before, after, strict=True):
            if was.on != now.on:
                said.append(f"{now.step.tool} switched {'on' if now.on else 'off'}")
            if was.step.strength != now.step.strength:
                said.append(f"{now.step.tool} at {now.step.strength:g}")
            if was.step.regions != now.step.regions:
                said.append(f"{now.step.tool} {now.where}")
            given = now.step.options.items() - was.step.options.items()
            said += [f"{now.step.tool} with {name} {value}" for name, value in sorted(given)]
    return list(dict.fromkeys(said))
