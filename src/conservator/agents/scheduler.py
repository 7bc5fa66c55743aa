"""Schedulers: in which order to treat what ails a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from conservator.degradations import BY_NAME, Stage
from conservator.session import Session

_STAGES = list(Stage)


class Scheduler(Protocol):
    """Puts kinds of damage in order; it may look at the session, but must not treat anything."""

    def __call__(self, session: Session, kinds: Sequence[str]) -> list[str]:
        """The same kinds, the first to treat first."""
        ...


def last_damage_first(session: Session, kinds: Sequence[str]) -> list[str]:
    """Compression, then imaging, then scene; within a stage, what there is most of first.

    What was inflicted last hides what came before (MAIR, arXiv 2503.09403). Ties keep the order of `kinds`.
    """
    amount = {kind: float(np.sum(session.diagnosis.cells(kind))) for kind in kinds}
    return sorted(kinds, key=lambda kind: (_STAGES.index(BY_NAME[kind].stage), -amount[kind]))
