"""One pass of the spatially prompted network, one of tone correction: the control for every policy with more steps.

A published system of guarded regions lost to one pass of its own network (GraphRestore); whoever plans has to beat
this. Nothing is weighed and nothing taken back.
"""

from __future__ import annotations

from conservator.plan import Step
from conservator.session import Session

PASSES = ("joint", "tone")
"""Tools that take several kinds of damage at once, in the order of the stages."""


def joint(session: Session) -> None:
    """Each tool once, on everything of its kinds that is found."""
    passes = [tool for tool in session.tools if tool.name in PASSES]
    for tool in sorted(passes, key=lambda tool: PASSES.index(tool.name)):
        treats = tuple(kind for kind in session.wanted() if kind in tool.card.treats)
        if treats and not session.exhausted:
            outcome = session.apply(Step(tool.name, treats, reason="one pass"))
            if outcome.failed is None:
                session.keep(outcome)
    for kind in session.wanted():
        if not any(kind in tool.card.treats for tool in passes):
            session.cannot_treat(kind, "neither pass treats it")
    session.stop()
