"""What a treatment teaches: add an experience, change one, drop one, or nothing; always with the reason.

The four operations are those of Mem0 (arXiv 2504.19413); here no language model chooses, but what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from conservator.memory.experience import CALL, Experience, Left
from conservator.memory.fingerprint import Fingerprint
from conservator.plan import Step

MARGIN = 0.1
"""Difference in gain that may be chance."""

HOPELESS = 2
"""Failures after which an experience goes that did not hold at least as often."""


class Change(StrEnum):
    """What becomes of an experience."""

    ADD = "ADD"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    NOOP = "NOOP"


@dataclass(frozen=True)
class Decision:
    """What was changed and why.

    number  of the experience; 0 when there is none
    """

    change: Change
    reason: str
    number: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"change": str(self.change), "reason": self.reason, "experience": self.number}


@dataclass(frozen=True)
class Lesson:
    """What happened to one photograph.

    fingerprint  of what was to be treated
    steps        that were kept
    left         kinds that are still there, with the tools for them
    gain         share of the perceived severity that is gone
    followed     number of the experience that was followed; 0 is none
    strict       whether that was of the very same kinds
    held         whether it did what was expected of it
    shorter      whether a shorter plan than the known one was tried: None is no, else whether it did as well
    void         why nothing can be learned from this, or ""
    """

    fingerprint: Fingerprint
    steps: tuple[Step, ...] = ()
    left: Left = field(default_factory=dict)
    gain: float = 0.0
    followed: int = 0
    strict: bool = False
    held: bool = False
    shorter: bool | None = None
    void: str = ""

    @property
    def experience(self) -> Experience:
        """The same as a new experience."""
        return Experience(self.fingerprint, self.steps, self.left, self.gain)


Verdict = tuple[Change, Experience, str]
"""What to do, the experience as it shall be, and why."""


def conclude(lesson: Lesson, followed: Experience | None, nearest: Experience | None) -> list[Verdict]:
    """What to change in a memory.

    followed  the experience that was followed, as it is now; None when there was none or somebody deleted it
    nearest   the experience with the same kinds and nearly the same fingerprint, if there is one
    """
    new = lesson.experience
    if lesson.void:
        return [(Change.NOOP, new, lesson.void)]
    if not new.portable:
        return [(Change.NOOP, new, "the plan names regions of this photograph alone")]
    if followed is None:
        return [_compared(nearest, lesson) if nearest else (Change.ADD, new, "nothing like it was known")]
    if not lesson.held:
        first, reason = _disappointed(followed), "something else was done where it did not hold"
    elif lesson.strict:
        return [_confirmed(followed, lesson)]
    else:
        first, reason = _held(followed), "it held among other kinds of damage"
    if nearest is None or nearest.number == followed.number:
        return [first, (Change.ADD, new, reason)]
    return [first, _compared(nearest, lesson)]


def _confirmed(known: Experience, lesson: Lesson) -> Verdict:
    """It held: its gain becomes the mean; a shorter plan that did as well takes its place."""
    left = {**known.left, **lesson.left}
    better = replace(_merged(known, lesson), left=left, tried=known.tried + 1, held=known.held + 1)
    if lesson.shorter:
        reason = f"{len(lesson.steps)} steps do what {len(known.steps)} did"
        return Change.UPDATE, replace(better, steps=lesson.steps, settled=True), reason
    if lesson.shorter is False:
        return Change.UPDATE, replace(better, settled=True), "it held; a shorter plan did less"
    if len(lesson.steps) > len(known.steps) and lesson.gain > known.gain + MARGIN:
        return Change.UPDATE, replace(better, steps=lesson.steps, gain=lesson.gain), "it held, and more was gained"
    return Change.UPDATE, better, "it held"


def _held(known: Experience) -> Verdict:
    return Change.UPDATE, replace(known, tried=known.tried + 1, held=known.held + 1), "it held"


def _disappointed(known: Experience) -> Verdict:
    worse = replace(known, tried=known.tried + 1)
    failures = worse.tried - worse.held
    if failures >= HOPELESS and failures > worse.held:
        return Change.DELETE, known, f"it failed {failures} times and held {worse.held} times"
    return Change.UPDATE, worse, "it did not hold here"


def _compared(known: Experience, lesson: Lesson) -> Verdict:
    """Another run on nearly the same photograph, which did not follow what was known."""
    if known.same_plan(lesson.steps):
        agreed = replace(_merged(known, lesson), tried=known.tried + 1, held=known.held + 1, left=lesson.left)
        return Change.UPDATE, agreed, "the same plan was found again"
    cheaper = len(lesson.steps) < len(known.steps) and lesson.gain >= known.gain - CALL
    if lesson.gain > known.gain + MARGIN or cheaper:
        new = replace(lesson.experience, number=known.number)
        return Change.UPDATE, new, f"a better plan: gain {lesson.gain:.2f} instead of {known.gain:.2f}"
    return Change.NOOP, known, f"what is known is as good: gain {known.gain:.2f} against {lesson.gain:.2f}"


def _merged(known: Experience, lesson: Lesson) -> Experience:
    """Mean gain over the times it held, and mean fingerprint where the kinds are the same."""
    share = 1 / (known.held + 1)
    gain = known.gain + (lesson.gain - known.gain) * share
    if lesson.fingerprint.kinds != known.fingerprint.kinds:
        return replace(known, gain=gain)
    return replace(known, gain=gain, fingerprint=known.fingerprint.mixed(lesson.fingerprint, share))

