"""A language model plans: the idea of AgenticIR (arXiv 2410.17809) and MAIR (2503.09403), with nothing on trust.

The model chooses among steps that this photograph and these tools allow; it treats nothing and judges nothing. What
tools did is measured by the session, the critic and the guard decide what stays, as for every policy. Regions may be
drawn anew after a step; what was planned for one that is no longer the same is planned anew. Without a plan that holds
the embedded policy goes on, and the record says so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conservator.agents.endpoint import Endpoint
from conservator.agents.expert import agenda, whole_frame
from conservator.agents.eyes import Eyes
from conservator.agents.language import LanguagePlanner
from conservator.agents.planner import Planner
from conservator.agents.reliability import Reliability
from conservator.pixels.types import Mask
from conservator.plan import Step
from conservator.policies.spatial import spatial
from conservator.session import Session

MOST_PLANS = 4


def llm(session: Session, planner: Planner | None = None, eyes: Eyes | None = None) -> None:
    """Plan, carry out, plan anew where regions changed; without `planner` the endpoint that the environment names.

    eyes   sees results before they stay: it may object to what the critic lets pass, as far as it was measured to be
           right, never the other way round
    """
    if planner is None:
        endpoint = Endpoint.from_environment()
        if eyes is None and endpoint.eyes:
            eyes = Eyes(endpoint, reliability=Reliability.from_environment(endpoint.model))
        planner = LanguagePlanner(endpoint, eyes=eyes)
    why = "the plan asks for nothing more"
    for _ in range(MOST_PLANS):
        if session.exhausted or not any(session.specialist(kind) for kind in session.wanted()):
            break
        steps = planner(session)
        if steps is None:
            session.ledger.add("fell_back", to="spatial", reason="the language model gave no plan that holds")
            return spatial(session)
        if _carried_out(session, steps, eyes):
            break
    else:
        why = f"regions changed under {MOST_PLANS} plans, and no more are asked for"
    left = agenda(session, whole_frame) and not session.exhausted
    session.stop(why if left else None)


def _carried_out(session: Session, steps: list[Step], eyes: Eyes | None) -> bool:
    """Whether the plan came to its end; False where a region it names has changed meanwhile."""
    planned = _masks(session)
    for step in steps:
        now = _masks(session)
        if any(not np.array_equal(planned[name], now.get(name, ())) for name in step.regions if name in planned):
            return False
        left = tuple(kind for kind in step.treats if kind in session.wanted())
        if session.exhausted:
            break
        if left:
            _taken(session, replace(step, treats=left), eyes)
    return True


def _taken(session: Session, step: Step, eyes: Eyes | None) -> None:
    before, where = session.samples, np.asarray(session.plan_maps(step).any(axis=0), np.float32)
    outcome = session.apply(step)
    if outcome.objection is None and eyes and eyes.objects_to(session, before, outcome, where):
        session.take_back(outcome, "the language model sees it worse, whichever it is shown first")
    else:
        session.decide(outcome)


def _masks(session: Session) -> dict[str, Mask]:
    return {region.id: region.mask for region in session.diagnosis.regions}
