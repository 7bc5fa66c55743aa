"""One job over many photographs: a bad one does not stop the rest, and the end says what became of all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conservator.cli.failures import report, worst
from conservator.cli.narrator import Narrator
from conservator.cli.sources import Source


class Status(StrEnum):
    """What became of a photograph."""

    DONE = "done"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What a job did with one photograph.

    said     in words, for people: "3 steps kept → street.restored.jpg"
    facts    for --json, JSON values
    """

    status: Status
    said: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0


Job = Callable[[Source], Outcome]


def run_all(sources: Sequence[Source], job: Job, narrator: Narrator, *, as_json: bool = False) -> int:
    """Run the job on every source; returns the exit code: 0, or that of the worst failure.

    as_json   print one JSON object per photograph to stdout as soon as it is done
    """
    outcomes: list[tuple[Source, Outcome]] = []
    with narrator:
        for source in sources:
            narrator.begin(source.label)
            begun = time.perf_counter()
            outcome = _attempt(source, job)
            seconds = time.perf_counter() - begun
            narrator.end(f"{outcome.said} ({seconds:.1f} s)", worked=outcome.status is not Status.SKIPPED)
            if as_json:
                print(json.dumps(_line(source, outcome, seconds), ensure_ascii=False), flush=True)
            outcomes.append((source, outcome))
    if len(outcomes) > 1:
        narrator.summary(_counts(outcomes), _failures(outcomes))
    return worst(outcome.code for _, outcome in outcomes)


def _attempt(source: Source, job: Job) -> Outcome:
    try:
        return job(source)
    except Exception as error:
        code = report(error, source.label)
        facts = {"error": {"type": type(error).__name__, "message": str(error)}}
        return Outcome(Status.FAILED, f"failed with code {code}", facts, code)


def _line(source: Source, outcome: Outcome, seconds: float) -> dict[str, Any]:
    return {
        "input": source.label,
        "status": str(outcome.status),
        "seconds": round(seconds, 3),
        "code": outcome.code,
        **outcome.facts,
    }


def _counts(outcomes: Sequence[tuple[Source, Outcome]]) -> dict[str, int]:
    statuses = [outcome.status for _, outcome in outcomes]
    return {str(status): statuses.count(status) for status in Status if status in statuses}


def _failures(outcomes: Sequence[tuple[Source, Outcome]]) -> list[tuple[str, int, str]]:
    return [
        (source.label, outcome.code, outcome.facts["error"]["message"])
        for source, outcome in outcomes
        if outcome.status is Status.FAILED
    ]
