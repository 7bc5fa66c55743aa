"""The one tool that promises most, on the whole frame: what somebody does who opens a single program."""

from __future__ import annotations

from conservator.agents.expert import agenda, every_step, whole_frame
from conservator.regions import EVERYWHERE
from conservator.session import Session


def best_single(session: Session) -> None:
    """One look ahead per tool, then at most one tool call."""
    kinds = agenda(session, whole_frame)
    if kinds and not session.exhausted:
        trials = session.forecasts([[step] for step in every_step(session, kinds, EVERYWHERE)])
        best = max(trials, key=lambda trial: trial.worth)
        if not best.objection:
            session.decide(session.apply(best.step))
    session.stop()
