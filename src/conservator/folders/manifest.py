"""What is known about every photograph of a folder: an SQLite file that survives whatever kills the batch."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from conservator.errors import OutputError, UsageError
from conservator.folders.outcome import Outcome, Status

SCHEMA = 1
"""Version of the tables' layout."""

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE photographs (
    path TEXT PRIMARY KEY,          -- below the input folder, with / between folders
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'failed')),
    size INTEGER NOT NULL,          -- of the photograph's file in bytes
    mtime_ns INTEGER NOT NULL,      -- when the file was last modified
    tries INTEGER NOT NULL DEFAULT 0,    -- times that work on it began
    ours INTEGER NOT NULL DEFAULT 0,     -- 1 when a result that lies there is the batch's to replace
    input_sha256 TEXT,              -- of the file as it was read
    output TEXT,                    -- below the output folder
    output_sha256 TEXT,
    unchanged INTEGER,              -- 1 when not a single sample differs
    tools TEXT,                     -- whose work was kept, in order
    gain REAL,                      -- share of the perceived damage that is gone
    seconds REAL,
    code INTEGER,                   -- exit code of a failure
    reason TEXT                     -- of a failure
);
"""


class Signature(NamedTuple):
    """What tells a changed file from an unchanged one without reading it; compared, never ordered: clocks jump."""

    size: int
    mtime_ns: int


class Entry(NamedTuple):
    """What the manifest says about a photograph.

    ours   True when a result that lies there is the batch's to replace
    """

    state: str
    signature: Signature
    ours: bool
    code: int
    reason: str


class Treated(NamedTuple):
    """Photographs that the same tools were kept on.

    tools     names, "" when nothing was changed
    gain      mean share of the perceived damage that is gone; None where there was none
    seconds   of work
    """

    tools: str
    photographs: int
    gain: float | None
    seconds: float


class Manifest:
    """The manifest of an output folder, held by one batch at a time; use as a context manager.

    Raises UsageError when another batch holds it or it was begun with other settings, OutputError when it cannot be
    written or is none.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = folder / "manifest.sqlite"
        self._open = contextlib.ExitStack()
        try:
            with self._named():
                folder.mkdir(parents=True, exist_ok=True)
                self._lock(folder / "lock")
                self._base = self._connect(self.path, patience=30.0)
                self._prepare(settings, overwrite)
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._open.close()

    def entries(self) -> dict[str, Entry]:
        """Everything known, by path as `key` spells it."""
        rows = self._run("SELECT path, state, size, mtime_ns, ours, code, reason FROM photographs")
        return {
            path: Entry(state, Signature(size, modified), bool(ours), code or 0, reason or "")
            for path, state, size, modified, ours, code, reason in rows
        }

    def expect(self, photographs: Mapping[str, Signature], *, ours: bool = False) -> None:
        """Note photographs that are to be restored, new ones and known ones.

        ours   whether results that lie there already may be replaced
        """
        self._run_many(
            "INSERT INTO photographs (path, size, mtime_ns, ours) VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " state = 'pending', size = excluded.size, mtime_ns = excluded.mtime_ns, ours = MAX(ours, excluded.ours),"
            " code = NULL, reason = NULL",
            [(key(path), *signature, ours) for path, signature in photographs.items()],
        )

    def claim(self, path: str, *, ours: bool) -> None:
        """Work on a photograph begins; from now on its results are ours, or they are somebody else's."""
        self._run("UPDATE photographs SET state = 'running', tries = tries + 1, ours = ? WHERE path = ?", ours, path)

    def finish(self, path: str, output: str, outcome: Outcome) -> None:
        """Work on a photograph is over."""
        facts = outcome.facts
        if outcome.status is Status.FAILED:
            self._run(
                "UPDATE photographs SET state = 'failed', seconds = ?, code = ?, reason = ? WHERE path = ?",
                outcome.seconds, outcome.code, outcome.reason, path,
            )  # fmt: skip
            return
        self._run(
            "UPDATE photographs SET state = 'done', input_sha256 = ?, output = ?, output_sha256 = ?, unchanged = ?,"
            " tools = ?, gain = ?, seconds = ? WHERE path = ?",
            facts["input_sha256"], output, facts["output_sha256"], outcome.status is Status.UNCHANGED,
            ", ".join(step["tool"] for step in facts["steps"]), _gain(facts), outcome.seconds, path,
        )  # fmt: skip

    def treated(self) -> list[Treated]:
        """What was done to the photographs that are done, most frequent first."""
        sums = "COALESCE(tools, ''), COUNT(*), AVG(gain), SUM(seconds)"
        rows = self._run(f"SELECT {sums} FROM photographs WHERE state = 'done' GROUP BY 1 ORDER BY 2 DESC, 1")
        return [Treated(*row) for row in rows]

    def _lock(self, path: Path) -> None:
        """Hold the folder until this process ends, however it ends."""
        base = self._connect(path, patience=0.0)
        try:
            base.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            got = f"another batch is at work in {path.parent.parent}"
            raise UsageError(got, "one at a time", "wait for it, or choose another folder") from error

    def _connect(self, path: Path, patience: float) -> sqlite3.Connection:
        base = sqlite3.connect(path, timeout=patience, isolation_level=None)
        self._open.callback(base.close)
        return base

    def _prepare(self, settings: Mapping[str, Any], overwrite: bool) -> None:
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")
        (schema,) = self._base.execute("PRAGMA user_version").fetchone()
        if schema not in (0, SCHEMA):
            raise OutputError(f"{self.path} has schema {schema}", f"schema {SCHEMA}", "use a matching release")
        if schema == 0:
            self._base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT")
        self._agree({name: json.dumps(value, sort_keys=True) for name, value in settings.items()}, overwrite)

    def _agree(self, asked: Mapping[str, str], overwrite: bool) -> None:
        """Results of two different calls must not mix in one folder."""
        known = dict(self._base.execute("SELECT name, value FROM settings"))
        differing = [name for name in sorted({*known, *asked}) if known.get(name) != asked.get(name)]
        if known and differing and not overwrite:
            got = ", ".join(f"{name} {known.get(name)}, not {asked.get(name)}" for name in differing)
            raise UsageError(f"{self.path.parent.parent} was begun with {got}", "the same call", "or --overwrite")
        with self._transaction():
            self._base.execute("DELETE FROM settings")
            self._base.executemany("INSERT INTO settings VALUES (?, ?)", asked.items())
            if overwrite:
                self._base.execute("UPDATE photographs SET state = 'pending'")

    def _run(self, statement: str, *values: Any) -> list[Any]:
        with self._named():
            plain = [key(value) if isinstance(value, str) else value for value in values]
            return self._base.execute(statement, plain).fetchall()

    def _run_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        with self._named(), self._transaction():
            self._base.executemany(statement, rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
                self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            fix = "make room, choose another folder, or move the file away to begin anew"
            raise OutputError(f"{self.path}: {error}{_room(self.path)}", "a manifest to write in", fix) from error


def _room(path: Path) -> str:
    """What SQLite calls an I/O error is most often a full disk."""
    try:
        return f" ({shutil.disk_usage(path.parent).free / 1e6:.1f} MB free)"
    except OSError:
        return ""


def outputs_in(folder: Path) -> tuple[list[str], int]:
    """What a manifest in this folder says: outputs of the photographs that are done, and how many are at work or were
    when the batch died; none when there is no manifest yet."""
    path = folder / "manifest.sqlite"
    if not path.exists():
        return [], 0
    with contextlib.closing(sqlite3.connect(path, timeout=30.0)) as base:
        if base.execute("PRAGMA user_version").fetchone() == (0,):
            return [], 0
        rows = base.execute("SELECT state, output FROM photographs").fetchall()
    return [output for state, output in rows if state == "done"], sum(state == "running" for state, _ in rows)


def key(name: str) -> str:
    """A file's name as text: those of old disks need not be valid UTF-8, and SQLite takes nothing else."""
    return name.encode("utf-8", "backslashreplace").decode()


def _gain(facts: Mapping[str, Any]) -> float | None:
    before, after = facts["diagnosis"]["damage"], facts["after"]["damage"]
    return 1.0 - after / before if before > 0 else None
