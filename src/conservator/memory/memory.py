"""Memory: look experience up from strict to relaxed, learn from a treatment, carry it elsewhere, forget."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from conservator.errors import InputError, UsageError
from conservator.files import read_file, write_atomically
from conservator.memory.book import Book
from conservator.memory.experience import Experience
from conservator.memory.fingerprint import FEATURES, Fingerprint, distances
from conservator.memory.lessons import Change, Decision, Lesson, conclude

SCHEMA = 1
"""Version of the export format."""

NEAR = 0.35
"""Distance up to which photographs are similar."""

SAME = 0.1
"""Distance up to which two photographs are one and the same case."""

NEIGHBOURS = 5
"""Of so many similar experiences the best one is followed."""

FARTHER = 0.5
"""Worth that one unit of distance costs."""

SHIPPED = Path(__file__).with_name("shipped.json")
"""Experience distilled from searches with the truth at hand, on training photographs."""

LARGEST = 64 << 20
"""Bytes that an exported file may have."""


@dataclass(frozen=True)
class Recollection:
    """An experience that fits, how far it is away, and whether it fits strictly: the very same kinds of damage."""

    experience: Experience
    distance: float
    strict: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        known = self.experience.to_dict() | {"experience": self.experience.number}
        return {**known, "distance": round(self.distance, 4), "match": "strict" if self.strict else "relaxed"}


class Memory:
    """Experience with photographs; nothing about them is kept but fingerprints.

    path     file to keep it in, made when absent, which several processes may use at the same time; None keeps it
             in this process
    shipped  whether a memory that is made begins with the shipped experience, which so far costs calls (docs/memory.md)

    Raises InputError when the file is something else, OutputError when it cannot be written.
    """

    def __init__(self, path: str | Path | None = None, *, shipped: bool = False) -> None:
        self._book = Book(Path(path) if path is not None else None)
        if shipped and self._book.fresh:
            self._take_in(_read(SHIPPED), "shipped")

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.experiences())

    def close(self) -> None:
        """Close the file."""
        self._book.close()

    def experiences(self) -> list[Experience]:
        """All there are, the oldest first."""
        return self._book.all()

    def decisions(self) -> list[Decision]:
        """What was changed and why, the latest thousand."""
        return [Decision(Change(change), reason, number) for change, reason, number in self._book.decisions()]

    def recall(self, fingerprint: Fingerprint, tools: Collection[str]) -> Recollection | None:
        """The best of the nearest experiences: with the same kinds of damage, else with any, else None.

        tools   names of the tools at hand; plans that need others do not count
        """
        able = [one for one in self.experiences() if all(step.tool in tools for step in one.steps)]
        alike = [one for one in able if one.fingerprint.kinds == fingerprint.kinds]
        return _best(fingerprint, alike, True) or _best(fingerprint, able, False)

    def learn(self, lesson: Lesson) -> tuple[Decision, ...]:
        """Take in what happened to a photograph; says, and writes down, what changed and why."""
        with self._book.change():
            known = {one.number: one for one in self._book.all()}
            nearest = next(iter(_twins(lesson.fingerprint, known.values())), None)
            decisions = tuple(
                self._carry_out(change, experience, reason)
                for change, experience, reason in conclude(lesson, known.get(lesson.followed), nearest)
            )
            for decision in decisions:
                self._book.note(decision)
        return decisions

    def export(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Write everything into a JSON file, atomically; how many. Raises OutputError."""
        found = self.experiences()
        head = json.dumps({"schema": SCHEMA, "experiences": []})[:-2]
        lines = ",\n".join(json.dumps(one.to_dict()) for one in found)
        write_atomically(Path(path), f"{head}\n{lines}\n]}}\n".encode(), overwrite=overwrite)
        return len(found)

    def import_from(self, path: str | Path) -> int:
        """Add what somebody exported, all of it or nothing; how many are new. Raises InputError.

        Where the same plan for nearly the same case is known already, nothing is added.
        """
        return self._take_in(_read(Path(path)), "imported")

    def forget(self, numbers: Iterable[int] | None = None) -> int:
        """Delete experiences by number, None for all and the decisions too; how many. UsageError for a wrong number."""
        with self._book.change():
            if numbers is None:
                count = len(self)
                self._book.clear()
                return count
            chosen = set(numbers)
            if unknown := chosen - {one.number for one in self.experiences()}:
                raise UsageError(f"no experience {', '.join(map(str, sorted(unknown)))}", "numbers that show tells")
            for number in chosen:
                self._book.drop(number)
            return len(chosen)

    def _carry_out(self, change: Change, experience: Experience, reason: str) -> Decision:
        if change is Change.DELETE:
            self._book.drop(experience.number)
        elif change is not Change.NOOP:
            experience = self._book.put(experience)
        return Decision(change, reason, experience.number)

    def _take_in(self, experiences: Iterable[Experience], source: str) -> int:
        count = 0
        with self._book.change():
            known = self._book.all()
            for new in experiences:
                if not any(twin.same_plan(new.steps) for twin in _twins(new.fingerprint, known)):
                    known.append(self._book.put(replace(new, number=0, source=source)))
                    count += 1
        return count


def opened(memory: Memory | str | Path | None) -> AbstractContextManager[Memory | None]:
    """A memory for a while: a file is closed afterwards, a memory that somebody opened stays open."""
    return nullcontext(memory) if memory is None or isinstance(memory, Memory) else Memory(memory)


def _best(fingerprint: Fingerprint, among: list[Experience], strict: bool) -> Recollection | None:
    """Of the NEIGHBOURS nearest, as far as they are near, the one worth most."""
    gaps = _gaps(fingerprint, among)
    near = [i for i in np.argsort(gaps, kind="stable")[:NEIGHBOURS] if gaps[i] <= NEAR]
    best = max(near, key=lambda i: among[i].worth - FARTHER * gaps[i], default=None)
    return None if best is None else Recollection(among[best], float(gaps[best]), strict)


def _twins(fingerprint: Fingerprint, among: Iterable[Experience]) -> list[Experience]:
    """Experiences with the same kinds that are the same case, the nearest first."""
    alike = [one for one in among if one.fingerprint.kinds == fingerprint.kinds]
    gaps = _gaps(fingerprint, alike)
    return [alike[i] for i in np.argsort(gaps, kind="stable") if gaps[i] <= SAME]


def _gaps(fingerprint: Fingerprint, among: list[Experience]) -> np.ndarray[Any, np.dtype[np.float64]]:
    vectors = np.array([one.fingerprint.vector for one in among]).reshape(len(among), len(FEATURES))
    return distances(fingerprint, vectors)


def _read(path: Path) -> list[Experience]:
    try:
        data = json.loads(read_file(path, LARGEST))
        if data["schema"] != SCHEMA:
            raise InputError(f"{path} has schema {data['schema']!r}", f"schema {SCHEMA}", "use a matching release")
        return [Experience.from_dict(one) for one in data["experiences"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error})", "a file that memory export wrote") from error
