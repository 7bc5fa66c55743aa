"""MAIR (Jiang et al., arXiv 2503.09403): three stages, a scheduler for the plan, an expert for each kind of damage.

Compression, then imaging, then scene: the inverse of the order in which a photograph is damaged. In every stage the
scheduler looks anew and orders what it finds; the expert in charge tries its tools until one helps.

Deviations: scheduler and experts are embedded functions instead of language models, and one function plays the experts
of all stages, since all they know is which tools treat a kind; an expert's tools come in the order of the registry, the
most specialised first, instead of the order a model prefers; whether a tool helped is the critic's and the guard's to
say; marks on a print, which the paper does not have, come between compression and imaging.
"""

from __future__ import annotations

from conservator.agents.expert import Expert, agenda, whole_frame
from conservator.agents.scheduler import Scheduler, last_damage_first
from conservator.degradations import BY_NAME, Stage
from conservator.session import Session


def mair(session: Session, scheduler: Scheduler = last_damage_first, expert: Expert = whole_frame) -> None:
    """Stage by stage, kind by kind, the first tool that helps; what none helps against stays."""
    for stage in Stage:
        kinds = [kind for kind in agenda(session, expert) if BY_NAME[kind].stage is stage]
        for kind in scheduler(session, kinds):
            for step in expert(session, kind) if kind in session.wanted() else ():
                if session.exhausted or session.decide(session.apply(step)):
                    break
    session.stop()
