"""Greedy with the truth: how far the tools could go under a perfect critic. For benchmarks only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conservator.agents.expert import agenda, every_step, whole_frame
from conservator.errors import UsageError
from conservator.pixels.types import Samples
from conservator.regions import EVERYWHERE
from conservator.session import Session

LEAST = 0.99
"""Share of the squared error that must be left at most: 0.04 dB are the least gain worth a step."""


def oracle(session: Session) -> None:
    """Refuses: nobody knows the truth about a photograph. UsageError."""
    raise UsageError("policy 'oracle' without a truth", "a benchmark, which knows it", "choose another policy")


def knowing(truth: Samples) -> Callable[[Session], None]:
    """A policy that tries every step at full size, takes the one nearest to the truth, and goes on while it helps.

    Tried are steps by the map and on the frame as one thing, so that neither kind of policy is favoured.

    truth  uint16 (H, W, 3), the photo as it was before the damage
    """

    def greedy(session: Session) -> None:
        """Treat as `knowing` says; the session ends on the best state seen, or on the one it began with."""
        agenda(session, whole_frame)
        while not session.exhausted:
            start, nearest, least = session.state, None, LEAST * _error(session.samples, truth)
            wanted = session.wanted()
            for step in every_step(session, wanted) + every_step(session, wanted, EVERYWHERE):
                if session.exhausted:
                    break
                outcome = session.apply(step)
                if outcome.failed is not None:
                    continue
                session.keep(outcome)
                if (error := _error(session.samples, truth)) < least:
                    nearest, least = session.state, error
                session.return_to(start, "the oracle tries everything")
            if nearest is None:
                break
            session.return_to(nearest, "nearest to the truth")
        session.stop()

    return greedy


def _error(samples: Samples, truth: Samples) -> float:
    """Mean squared difference."""
    return float(np.square(samples.astype(np.float32) - truth).mean(dtype=np.float64))
