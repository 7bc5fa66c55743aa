"""What came of the drafts: versions of the photograph, each made from another one; a tree that is walked both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from conservator.errors import UsageError
from conservator.report.story import Attempt, End
from conservator.serve.studio.draft import Draft


@dataclass(frozen=True, eq=False)
class Version:
    """What a run made.

    number    0 is the photograph as it came
    parent    the version that was edited; None for the first
    draft     what was asked for, with the plan that was carried out
    job       whose files are the results
    title     what was edited, in words
    attempts  every step that was tried
    facts     of the job
    """

    number: int
    parent: Version | None
    draft: Draft
    job: str
    title: str
    attempts: tuple[Attempt, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[Attempt, ...]:
        """The steps that are in the picture."""
        return tuple(attempt for attempt in self.attempts if attempt.end is End.KEPT)

    @property
    def reused(self) -> int:
        """How many of these were not computed again."""
        return sum(attempt.reused for attempt in self.kept)


class History:
    """Versions in the order they were made, and the one that is looked at."""

    def __init__(self, first: Version) -> None:
        self.versions = [first]
        self.current = first

    def add(self, draft: Draft, job: str, title: str, attempts: tuple[Attempt, ...], facts: dict[str, Any]) -> Version:
        """A new version, made from the current one, which it replaces as that."""
        self.current = Version(len(self.versions), self.current, draft, job, title, attempts, facts)
        self.versions.append(self.current)
        return self.current

    def go(self, number: int) -> Version:
        """Look at a version; UsageError when there is none."""
        if not 0 <= number < len(self.versions):
            raise UsageError(f"version {number}", f"one from 0 to {len(self.versions) - 1}", "choose another")
        self.current = self.versions[number]
        return self.current

    def undo(self) -> Version:
        """Look at the version that the current one was made from; UsageError when it is the photograph as it came."""
        if self.current.parent is None:
            raise UsageError("nothing to undo", "an edit", "this is the photograph as it came")
        self.current = self.current.parent
        return self.current

    def redo(self) -> Version:
        """Look at the latest version made from the current one; UsageError when there is none."""
        made = [version for version in self.versions if version.parent is self.current]
        if not made:
            raise UsageError("nothing to redo", "a version made from this one", "undo first")
        self.current = made[-1]
        return self.current

    def tree(self) -> Iterator[Version]:
        """Every version, each followed by what was made from it, the oldest first."""
        yield from self._below(self.versions[0])

    def _below(self, version: Version) -> Iterator[Version]:
        yield version
        for made in self.versions:
            if made.parent is version:
                yield from self._below(made)
