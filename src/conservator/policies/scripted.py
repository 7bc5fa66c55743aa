"""Carries out a given plan without looking for another: for replaying records and for tests."""

from __future__ import annotations

from collections.abc import Iterable

from conservator.plan import Step
from conservator.session import Session


class ScriptedPolicy:
    """Applies the steps in order and keeps every one that does not fail."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self, session: Session) -> None:
        """Run the script."""
        for step in self.steps:
            outcome = session.apply(step)
            if outcome.failed is None:
                session.keep(outcome)
        session.stop("script done")
