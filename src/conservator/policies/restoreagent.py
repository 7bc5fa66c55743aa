"""RestoreAgent (Chen et al., NeurIPS 2024, arXiv 2407.18035): the whole plan in one prediction, then carried out.

Deviations: a network of numbers (`agents.predictor`) reads the diagnosis, where a multimodal language model reads the
photograph; it learned from greedy searches with the truth at hand (training/searches.py) by squared
error, where the paper ranks all orders by a weighted sum of scores; besides tools and their order it predicts a
strength for each, as our tools take one; on the frame as one thing, as in the paper. Each step is checked by guard and
critic and taken back when they object, which the paper leaves to its option of rolling back; nothing is planned anew.
"""

from __future__ import annotations

from conservator.agents.expert import agenda, whole_frame
from conservator.agents.predictor import MODEL, Move, Predictor, plan
from conservator.plan import Step
from conservator.regions import EVERYWHERE
from conservator.session import Session


def restoreagent(session: Session, predictor: Predictor = plan) -> None:
    """One prediction; then at most one tool call for each step of it, and no look ahead."""
    kinds, planned = agenda(session, whole_frame), set[str]()
    asked = bool(kinds) and not session.exhausted
    if asked and predictor is plan:
        session.networks.add(MODEL)
    moves = predictor(session.diagnosis, kinds) if asked else []
    if moves:
        session.ledger.add("planned", moves=[move._asdict() for move in moves])
    for move in moves:
        planned.update(move.treats)
        step = _step(session, move, kinds)
        if step is not None and not session.exhausted:
            session.decide(session.apply(step))
    for kind in session.wanted() if not session.exhausted else ():
        if kind in kinds and kind not in planned:
            session.cannot_treat(kind, "the predicted plan leaves it alone")
    session.stop()


def _step(session: Session, move: Move, kinds: list[str]) -> Step | None:
    """A move as a step: on what is still there of its kinds, with another tool for them where its own is absent."""
    treats = tuple(kind for kind in session.wanted() if kind in move.treats and kind in kinds)
    able = [tool.name for tool in session.tools if treats and set(treats) <= set(tool.card.treats)]
    if not able:
        return None
    tool = move.tool if move.tool in able else able[0]
    return Step(tool, treats, (EVERYWHERE,), move.strength, reason="predicted")
