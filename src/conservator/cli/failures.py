"""Errors on the command line: one readable line and an exit code; a traceback only for what nobody foresaw."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperGroup

from conservator.errors import ConservatorError
from conservator.folders.outcome import UNEXPECTED, Outcome

INTERRUPTED = 130


def report(error: Exception, subject: str = "") -> int:
    """Write an error to stderr and return its exit code; what is not ours keeps its traceback.

    subject   the photograph it happened to
    """
    return report_outcome(Outcome.failed(error), subject)


def report_outcome(outcome: Outcome, subject: str) -> int:
    """The same for the outcome that an error became."""
    if outcome.trace:
        print(outcome.trace, file=sys.stderr)
        print(f"conservator: {subject}: this is a bug in Conservator, please report it", file=sys.stderr)
        return outcome.code
    message = " ".join(outcome.reason.split())
    print(f"conservator: {message if subject in message else f'{subject}: {message}'}", file=sys.stderr)
    return outcome.code


def worst(codes: Iterable[int]) -> int:
    """The code a batch ends with: 0 when all went well, 1 when anything unexpected happened, else the highest."""
    failures = {code for code in codes if code}
    return UNEXPECTED if UNEXPECTED in failures else max(failures, default=0)


class Commands(TyperGroup):
    """The group of all commands; turns errors raised on purpose into a line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ConservatorError as error:
            raise typer.Exit(report(error)) from error
        except KeyboardInterrupt as error:
            print("\nconservator: interrupted; nothing half-written was left behind", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from error
