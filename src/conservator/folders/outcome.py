"""What became of one photograph among many."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conservator.errors import ConservatorError

UNEXPECTED = 1
"""Exit code of an error that nobody foresaw."""


class Status(StrEnum):
    """What became of a photograph."""

    DONE = "done"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What was done with one photograph; plain data that travels between processes.

    said     in words, for people: "3 steps kept → street.restored.jpg"
    facts    JSON values; {"error": {"type", "message"}} of one that failed
    code     exit code, 0 unless it failed
    seconds  that the work took
    trace    of an error nobody foresaw
    earlier  True when it was an earlier run that did it
    """

    status: Status
    said: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0
    seconds: float = 0.0
    trace: str = ""
    earlier: bool = False

    @property
    def reason(self) -> str:
        """Why it failed, "" if it did not."""
        return str(self.facts.get("error", {}).get("message", ""))

    @classmethod
    def failed(cls, error: Exception) -> Outcome:
        """The outcome that an error is."""
        foreseen = isinstance(error, ConservatorError)
        code = error.exit_code if isinstance(error, ConservatorError) else UNEXPECTED
        facts = {"error": {"type": type(error).__name__, "message": str(error)}}
        trace = "" if foreseen else "".join(traceback.format_exception(error)).rstrip()
        return cls(Status.FAILED, f"failed with code {code}", facts, code, trace=trace)
