"""Why the server does not do what it is asked; each carries the HTTP status that says the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from conservator.errors import BudgetExceeded, ConservatorError, InputError, OutputError, UsageError


class TooLarge(InputError):
    """More bytes or pixels than this server takes."""

    status = 413


class UnknownFormat(InputError):
    """Not a picture of a kind that is read."""

    status = 415


class NoSuchJob(UsageError):
    """No job has this id, or it was deleted, or it has expired."""

    status = 404


class NotReady(UsageError):
    """The job has not, or not in this way, come to the end that was asked about."""

    status = 409


class KeyReused(UsageError):
    """The idempotency key stands for another request."""

    status = 409


class QueueFull(BudgetExceeded):
    """No room for another job; `retry_after` seconds from now there probably is."""

    status = 429

    def __init__(self, got: str, wanted: str = "", fix: str = "", retry_after: int = 1) -> None:
        super().__init__(got, wanted, fix)
        self.retry_after = retry_after


class NoRoom(OutputError):
    """The server cannot write, most likely because its disk is full; where it writes is nobody else's business."""

    status = 507


@contextmanager
def keeping() -> Iterator[None]:
    """Around whatever writes on the server: NoRoom when that fails."""
    try:
        yield
    except (OutputError, OSError, sqlite3.OperationalError) as error:
        raise NoRoom("the server cannot keep files", "room on its disk", "tell who runs it") from error


class Stopping(ConservatorError):
    """The server is about to end."""

    status = 503


class JobFailed(ConservatorError):
    """What a worker could not do."""

    status = 500


def failure(error: dict[str, str]) -> ConservatorError:
    """The error that a worker told of, as one to raise: the photograph's or the call's fault stays theirs."""
    kinds: dict[str, type[ConservatorError]] = {"InputError": InputError, "UsageError": UsageError}
    return kinds.get(error["type"], JobFailed)(error["got"], error["wanted"], error["fix"])
