"""The file of a memory: SQLite in WAL mode, so that several processes can read and write at the same time."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conservator.errors import InputError, OutputError
from conservator.memory.experience import Experience
from conservator.memory.lessons import Decision

SCHEMA = 1
"""Version of the file's layout."""

APPLICATION = 0x436F6E73
"""Marks the file as one of ours, so that no other database is written into."""

REMEMBERED = 1000
"""Decisions kept, the latest."""

WAIT = 30.0
"""Seconds to wait for another process that writes."""

_TABLES = f"""
CREATE TABLE IF NOT EXISTS experiences (number INTEGER PRIMARY KEY AUTOINCREMENT, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, change TEXT NOT NULL, reason TEXT NOT NULL, experience INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
"""


class Book:
    """Experiences and decisions by number. Safe to use from several threads and, on a file, several processes.

    path   of the file; None keeps all in this process
    fresh  whether the file was made just now, by this call

    Raises InputError when the file is no memory of this version, OutputError when it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._lock = path, threading.RLock()
        if path is not None:
            _touch(path)
        try:
            self._book = sqlite3.connect(
                path or ":memory:", timeout=WAIT, isolation_level=None, check_same_thread=False
            )
            self.fresh = self._open()
        except sqlite3.DatabaseError as error:
            raise InputError(f"memory {path}: {error}", "a file that conservator made", "choose another") from error

    def _open(self) -> bool:
        """Whether it is new. Looked at and made in one transaction: another process may be making it."""
        with self.change():
            mark, version = (self._pragma(name) for name in ("application_id", "user_version"))
            foreign = self._book.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] and mark != APPLICATION
            if foreign or version not in (0, SCHEMA):
                got, wanted = f"{self.path} is another database", f"a memory of schema {SCHEMA}"
                raise InputError(got, wanted, "choose another file")
            for statement in filter(str.strip, () if version else _TABLES.split(";")):
                self._book.execute(statement)
        self._begin_log()
        self._book.execute("PRAGMA secure_delete = ON")  # what is forgotten is gone from the file as well
        return not version

    def _begin_log(self) -> None:
        """Readers and a writer side by side; SQLite does not wait by itself where two processes ask for it at once."""
        end = time.monotonic() + WAIT
        while True:
            try:
                self._book.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def _pragma(self, name: str) -> int:
        return int(self._book.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction, which no other process can come between; all of it or nothing."""
        with self._lock:
            if self._book.in_transaction:  # part of a larger change
                yield
                return
            try:
                self._book.execute("BEGIN IMMEDIATE")
                yield
                self._book.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise OutputError(f"memory {self.path}: {error}", "a file that can be written") from error
            finally:
                if self._book.in_transaction:
                    self._book.execute("ROLLBACK")

    def all(self) -> list[Experience]:
        """Every experience, the oldest first."""
        with self._lock:
            rows = self._book.execute("SELECT number, data FROM experiences ORDER BY number").fetchall()
        return [Experience.from_dict(json.loads(data), number) for number, data in rows]

    def put(self, experience: Experience) -> Experience:
        """Write one; a new number for number 0."""
        text = json.dumps(experience.to_dict(), separators=(",", ":"))
        with self.change():
            if not experience.number:
                done = self._book.execute("INSERT INTO experiences (data) VALUES (?)", (text,))
                return replace(experience, number=int(done.lastrowid or 0))
            self._book.execute("UPDATE experiences SET data = ? WHERE number = ?", (text, experience.number))
            return experience

    def drop(self, number: int) -> bool:
        """Delete one; whether it was there."""
        with self.change():
            return self._book.execute("DELETE FROM experiences WHERE number = ?", (number,)).rowcount > 0

    def note(self, decision: Decision) -> None:
        """Write a decision down; only the latest are kept."""
        row = str(decision.change), decision.reason, decision.number
        with self.change():
            done = self._book.execute("INSERT INTO decisions (change, reason, experience) VALUES (?, ?, ?)", row)
            last = int(done.lastrowid or 0)
            self._book.execute("DELETE FROM decisions WHERE number <= ?", (last - REMEMBERED,))

    def decisions(self) -> list[tuple[str, str, int]]:
        """(change, reason, number of the experience), the latest last."""
        with self._lock:
            return self._book.execute("SELECT change, reason, experience FROM decisions ORDER BY number").fetchall()

    def clear(self) -> None:
        """Forget everything, decisions included."""
        with self.change():
            self._book.execute("DELETE FROM experiences")
            self._book.execute("DELETE FROM decisions")

    def close(self) -> None:
        """Close the file; the last process to do so takes the journal away."""
        with self._lock:
            self._book.close()


def _touch(path: Path) -> None:
    """Make the file, for its owner alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise OutputError(f"memory {path}: {error.strerror}", "a place to write", "choose another file") from error
