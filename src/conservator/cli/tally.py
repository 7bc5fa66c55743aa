"""One job over many photographs: a bad one does not stop the rest, and the end says what became of all."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from conservator.cli.failures import report_outcome, worst
from conservator.cli.narrator import Narrator
from conservator.cli.sources import Source
from conservator.folders.manifest import Treated
from conservator.folders.outcome import Outcome, Status
from conservator.record import finite

Job = Callable[[Source], Outcome]


def run_all(sources: Sequence[Source], job: Job, narrator: Narrator, *, as_json: bool = False) -> int:
    """Run the job on every source, one after another; returns the exit code: 0, or that of the worst failure.

    as_json   print one JSON object per photograph to stdout as soon as it is done
    """
    tally = Tally(narrator, as_json)
    with narrator:
        for source in sources:
            narrator.begin(source.label)
            tally.add(source.label, _attempt(source, job))
    return tally.close()


class Tally:
    """Tells of photographs as they are done, and of all of them at the end.

    as_json   print one JSON object per photograph to stdout
    """

    def __init__(self, narrator: Narrator, as_json: bool = False) -> None:
        self._narrator, self._as_json = narrator, as_json
        self._counts: Counter[Status] = Counter()
        self._failures: list[tuple[str, int, str]] = []

    def add(self, label: str, outcome: Outcome) -> None:
        """What became of the photograph that was begun last."""
        self.count(label, outcome)
        said = f"{outcome.said} ({outcome.seconds:.1f} s)"
        self._narrator.end(said, worked=outcome.status is not Status.SKIPPED)

    def count(self, label: str, outcome: Outcome) -> None:
        """The same for one whose beginning and end are not worth a line."""
        self._counts[outcome.status] += 1
        if outcome.status is Status.FAILED:
            report_outcome(outcome, label)
            self._failures.append((label, outcome.code, outcome.reason))
        if self._as_json:
            print(_line(label, outcome), flush=True)

    def close(self, treated: Sequence[Treated] = ()) -> int:
        """Sum up when there were several; returns the exit code."""
        if self._counts.total() > 1:
            counts = {str(status): self._counts[status] for status in Status if self._counts[status]}
            self._narrator.summary(counts, self._failures, treated)
        return worst(code for _, code, _ in self._failures)


def _attempt(source: Source, job: Job) -> Outcome:
    begun = time.perf_counter()
    try:
        outcome = job(source)
    except Exception as error:
        outcome = Outcome.failed(error)
    return replace(outcome, seconds=time.perf_counter() - begun)


def _line(label: str, outcome: Outcome) -> str:
    line = {
        "input": label,
        "status": str(outcome.status),
        "seconds": round(outcome.seconds, 3),
        "code": outcome.code,
        **outcome.facts,
    }
    # A file's name that is no valid text becomes an escape that JSON readers turn back into the same name.
    return json.dumps(finite(line), ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace").decode()
