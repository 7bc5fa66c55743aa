"""The book of jobs: one SQLite file that survives a crash of the server at any moment."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from conservator.errors import InputError, UsageError
from conservator.serve.orders import Order
from conservator.serve.refusals import keeping

SCHEMA = 2
"""Version of the file's layout."""

_TABLES = f"""
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, state TEXT NOT NULL, work TEXT NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL, age REAL NOT NULL DEFAULT -1, attempt INTEGER NOT NULL DEFAULT 0,
    faults INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, facts TEXT, error TEXT,
    key TEXT UNIQUE, digest TEXT NOT NULL);
CREATE INDEX by_state ON jobs (state);
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (job, number)) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA};
"""

_AGES = f"ALTER TABLE jobs ADD COLUMN age REAL NOT NULL DEFAULT -1; PRAGMA user_version = {SCHEMA};"
"""What files of schema 1 lack."""

_BEGAN = time.time() - time.monotonic()


def now() -> float:
    """Seconds since 1970 by a clock that goes steadily while the server runs, whoever sets the system's."""
    return _BEGAN + time.monotonic()


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})

_OVER = str(tuple(sorted(map(str, ENDED))))  # as SQL has it


@dataclass(frozen=True)
class Job:
    """One row of the book.

    id       32 hexadecimal digits nobody can guess
    created  seconds since 1970, like `started` and `ended`
    attempt  how many times it was begun
    faults   how many of these brought the worker or the server down
    facts    what came out, for `done`
    error    type, got, wanted and fix, for `failed`
    digest   of the order, the photograph and the mask
    """

    id: str
    state: State
    order: Order
    created: float
    started: float | None
    ended: float | None
    attempt: int
    faults: int
    facts: dict[str, Any] | None
    error: dict[str, str] | None
    digest: str


class Store:
    """Jobs and their events. Safe to use from several threads; every method is one transaction,
    and NoRoom when it cannot be written.

    The file belongs to one process at a time, and is free again however that process ends. UsageError when it is taken.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        # Autocommit: transactions are the ones begun below, and none by surprise.
        self._book = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1.0)
        self._book.row_factory = sqlite3.Row
        try:
            self._open(path)
        except sqlite3.OperationalError as error:
            self._book.close()
            raise UsageError(f"{path.parent}: {error}", "a folder no other server uses", "choose another") from error

    def _open(self, path: Path) -> None:
        self._book.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._book.execute("PRAGMA journal_mode = WAL")
        self._book.execute("PRAGMA synchronous = FULL")
        self._book.execute("PRAGMA foreign_keys = ON")
        version = self._book.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._book.executescript(f"BEGIN;{_TABLES}COMMIT;")
        elif version == 1:
            self._book.executescript(f"BEGIN;{_AGES}COMMIT;")
        elif version != SCHEMA:
            raise InputError(f"{path} has schema {version}", f"schema {SCHEMA}", "choose another folder")
        self._book.execute("BEGIN IMMEDIATE")  # takes the file for good, even if nothing was written so far
        self._book.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._book.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, keeping():
            self._book.execute("BEGIN IMMEDIATE")
            try:
                yield self._book
                self._book.execute("COMMIT")
            except BaseException:
                if self._book.in_transaction:  # a full disk ends it by itself
                    self._book.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._book.execute(query, values).fetchall()

    def add(self, id: str, order: Order, *, digest: str, key: str | None, size: int) -> None:
        """Enter a job as queued; `size` is that of its files in bytes."""
        with self._change() as book:
            book.execute(
                "INSERT INTO jobs (id, state, work, created, bytes, key, digest) VALUES (?, 'queued', ?, ?, ?, ?, ?)",
                (id, order.model_dump_json(), now(), size, key, digest),
            )
            _tell(book, id, {"type": State.QUEUED})

    def get(self, id: str) -> Job | None:
        """The job, if there is one."""
        found = self._rows("SELECT * FROM jobs WHERE id = ?", id)
        return _job(found[0]) if found else None

    def by_key(self, key: str) -> Job | None:
        """The job of an idempotency key, if there is one."""
        found = self._rows("SELECT * FROM jobs WHERE key = ?", key)
        return _job(found[0]) if found else None

    def claim(self) -> Job | None:
        """The next job, now running: looks before treatments, then first come, first served."""
        with self._change() as book:
            found = book.execute(
                "SELECT id FROM jobs WHERE state = 'queued' ORDER BY work ->> '$.call' <> 'diagnose', number LIMIT 1"
            ).fetchone()
            if found is None:
                return None
            book.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempt = attempt + 1 WHERE id = ?",
                (now(), found["id"]),
            )
            _tell(book, found["id"], {"type": State.RUNNING})
            return _job(book.execute("SELECT * FROM jobs WHERE id = ?", (found["id"],)).fetchone())

    def finish(
        self,
        job: Job,
        state: State,
        *,
        facts: dict[str, Any] | None = None,
        error: dict[str, str] | None = None,
        size: int = 0,
    ) -> bool:
        """End an attempt that still runs; False, and nothing, when it was cancelled, deleted or taken over."""
        with self._change() as book:
            changed = book.execute(
                "UPDATE jobs SET state = ?, ended = ?, facts = ?, error = ?, bytes = bytes + ? "
                "WHERE id = ? AND state = 'running' AND attempt = ?",
                (state, now(), _text(facts), _text(error), size, job.id, job.attempt),
            ).rowcount
            if changed:
                _tell(book, job.id, {"type": state} | ({"error": error} if error else {}))
            return bool(changed)

    def requeue(self, job: Job, reason: str, *, fault: bool) -> bool:
        """Put a running attempt back in the queue; False when it no longer runs."""
        with self._change() as book:
            changed = book.execute(
                "UPDATE jobs SET state = 'queued', started = NULL, faults = faults + ? "
                "WHERE id = ? AND state = 'running' AND attempt = ?",
                (int(fault), job.id, job.attempt),
            ).rowcount
            if changed:
                _tell(book, job.id, {"type": State.QUEUED, "reason": reason})
            return bool(changed)

    def cancel(self, id: str) -> State | None:
        """Cancel what has not ended; the state it was in, None when there is no such job."""
        with self._change() as book:
            found = book.execute("SELECT state FROM jobs WHERE id = ?", (id,)).fetchone()
            if found is None:
                return None
            before = State(found["state"])
            if before not in ENDED:
                book.execute("UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ?", (now(), id))
                _tell(book, id, {"type": State.CANCELLED})
            return before

    def delete(self, id: str) -> bool:
        """Forget a job and its events."""
        with self._change() as book:
            return bool(book.execute("DELETE FROM jobs WHERE id = ?", (id,)).rowcount)

    def tell(self, id: str, event: dict[str, Any]) -> None:
        """Add to the events of a job; of no effect when it is gone."""
        with self._change() as book:
            if book.execute("SELECT 1 FROM jobs WHERE id = ?", (id,)).fetchone():
                _tell(book, id, event)

    def events(self, id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """Numbered events of a job behind the given number, in order."""
        found = self._rows("SELECT number, data FROM events WHERE job = ? AND number > ? ORDER BY number", id, after)
        return [(row["number"], json.loads(row["data"])) for row in found]

    def running(self) -> list[Job]:
        """Jobs that run, or ran when the server died."""
        return [_job(row) for row in self._rows("SELECT * FROM jobs WHERE state = 'running'")]

    def ids(self) -> set[str]:
        """Of all jobs."""
        return {row["id"] for row in self._rows("SELECT id FROM jobs")}

    def counts(self) -> dict[State, int]:
        """Jobs by state."""
        found = {row["state"]: row["n"] for row in self._rows("SELECT state, count(*) AS n FROM jobs GROUP BY state")}
        return {state: found.get(state, 0) for state in State}

    def grow_older(self, seconds: float) -> None:
        """Add to the ages of ended jobs: time that a server has run since, for clocks can be wrong by years. Those that
        ended since the last call, whenever that was, are of age 0 now."""
        if self._rows(f"SELECT 1 FROM jobs WHERE state IN {_OVER} LIMIT 1"):
            with self._change() as book:
                book.execute(f"UPDATE jobs SET age = iif(age < 0, 0, age + ?) WHERE state IN {_OVER}", (seconds,))

    def expired(self, keep_seconds: float, keep_bytes: int) -> list[str]:
        """Ended jobs of a greater age, and the oldest of those that take too much room."""
        found = self._rows(
            "SELECT id, age, sum(bytes) OVER (ORDER BY age, number DESC) AS taken FROM jobs "
            f"WHERE state IN {_OVER}"
        )
        return [row["id"] for row in found if row["age"] > keep_seconds or row["taken"] > keep_bytes]


def _tell(book: sqlite3.Connection, id: str, event: dict[str, Any]) -> None:
    book.execute(
        "INSERT INTO events SELECT ?, coalesce(max(number), 0) + 1, ? FROM events WHERE job = ?",
        (id, json.dumps(event, ensure_ascii=False), id),
    )


def _text(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _job(row: sqlite3.Row) -> Job:
    facts, error = (None if row[name] is None else json.loads(row[name]) for name in ("facts", "error"))
    return Job(
        row["id"], State(row["state"]), Order.model_validate_json(row["work"]), row["created"], row["started"],
        row["ended"], row["attempt"], row["faults"], facts, error, row["digest"],
    )  # fmt: skip
