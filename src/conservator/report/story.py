"""What happened, told from a record's events: one attempt per step that was started, with how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conservator.regions import EVERYWHERE, WHOLE
from conservator.report import words


class End(StrEnum):
    """How an attempt ended."""

    KEPT = "Kept"
    TAKEN_BACK = "Taken back"
    FAILED = "Failed"
    OPEN = "Not decided"


@dataclass
class Attempt:
    """One step that was tried.

    tool     name of the tool
    treats   degradations it was to treat
    regions  ids of regions, or ("whole",)
    chosen   why the policy chose it
    end      how it ended
    why      reason for taking it back, or the error
    before   severity before, mean over what it was to treat; None when the step did not finish
    after    the same afterwards
    doubts   objections of the fidelity guard
    reused   the result came from the cache
    """

    tool: str
    treats: tuple[str, ...]
    regions: tuple[str, ...]
    strength: float = 1.0
    chosen: str = ""
    end: End = End.OPEN
    why: str = ""
    before: float | None = None
    after: float | None = None
    doubts: tuple[str, ...] = field(default=())
    reused: bool = False

    @classmethod
    def started(cls, event: Mapping[str, Any]) -> Attempt:
        """From a `step_started` event."""
        return cls(
            event["tool"],
            tuple(event["treats"]),
            tuple(event["regions"]),
            event["strength"],
            event.get("reason", ""),
        )

    @property
    def step(self) -> tuple[Any, ...]:
        """What was to be done."""
        return self.tool, self.treats, self.regions, self.strength

    def learn(self, event: Mapping[str, Any]) -> None:
        """Take in a later event about this attempt; events of other types say nothing about it."""
        match event["type"]:
            case "step_done":
                self.before, self.after = event.get("before"), event.get("after")
                self.doubts = tuple(event.get("guard_reasons", ()))
            case "step_failed":
                self.end, self.why = End.FAILED, event["error"]
            case "taken_back":
                self.end, self.why = End.TAKEN_BACK, event["reason"]
            case "kept":
                self.end = End.KEPT
            case "reused":
                self.reused = True


def attempts(events: Iterable[Mapping[str, Any]]) -> list[Attempt]:
    """Every step that was started, in order, with what became of it."""
    told: list[Attempt] = []
    for event in events:
        if event["type"] == "step_started":
            told.append(Attempt.started(event))
            continue
        if event["type"] == "returned":
            _return(told, event)
            continue
        same = (a for a in reversed(told) if a.tool == event.get("tool") and a.end is End.OPEN)
        latest = next(same, None)
        if latest is not None:
            latest.learn(event)
    return told


def _return(told: list[Attempt], event: Mapping[str, Any]) -> None:
    """Only the steps that led to the state returned to are kept: of equal ones, the latest."""
    steps = [Attempt.started(step) for step in event["steps"]]
    for attempt in reversed([a for a in told if a.end in (End.KEPT, End.TAKEN_BACK)]):
        same = next((step for step in steps if step.step == attempt.step), None)
        if same is not None:
            steps.remove(same)
            attempt.end, attempt.why = End.KEPT, ""
        elif attempt.end is End.KEPT:
            attempt.end, attempt.why = End.TAKEN_BACK, event["reason"]


def stopped(events: Iterable[Mapping[str, Any]]) -> str:
    """Why the treatment ended, in the policy's words; "" when it did not say."""
    return next((str(e["reason"]) for e in reversed(list(events)) if e["type"] == "stopped"), "")


def effect(attempt: Attempt) -> str:
    """What a second look showed; "" for an attempt that did not finish."""
    if attempt.before is None or attempt.after is None or attempt.before <= 0.0:
        return ""
    change = attempt.after / attempt.before - 1.0
    direction = "down" if change <= 0.0 else "up"
    if abs(change) < 0.005:
        return f"A second look found the severity unchanged at {attempt.after:.2f}."
    return (
        f"A second look found the severity {direction} by {abs(change):.0%}, "
        f"from {attempt.before:.2f} to {attempt.after:.2f}."
    )


def verdict(attempt: Attempt) -> str:
    """How it ended and why."""
    match attempt.end:
        case End.KEPT:
            doubts = f"The fidelity guard had doubts: {'; '.join(attempt.doubts)}." if attempt.doubts else ""
            return doubts or "The fidelity guard had no objection."
        case End.TAKEN_BACK:
            return f"Taken back, so nothing of it is in the result: {_sentence(attempt.why)}"
        case End.FAILED:
            return f"The tool failed and the photo stayed as it was: {_sentence(attempt.why)}"
        case End.OPEN:
            return "The record does not say whether the result was kept."


def where(regions: Iterable[str]) -> str:
    """ "in r1 and r3", "wherever it was found" for the whole frame, "all over the frame" for the frame as one thing."""
    named = list(regions)
    if named == [EVERYWHERE]:
        return "all over the frame"
    return "wherever it was found" if named in ([], [WHOLE]) else f"in {words.listed(named)}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
