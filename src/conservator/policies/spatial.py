"""Our policy: the last damage first, each kind where it is and as strongly as its map says.

Compression, then imaging, then scene (the order of MAIR, arXiv 2503.09403, without its separate experts): what was
inflicted last hides what came before. A tool that treats several of the kinds found takes them in one pass, since
space is one of its inputs. After each step the policy looks again, and takes back what did not help.
"""

from __future__ import annotations

from collections.abc import Iterator

from conservator.degradations import BY_NAME, Stage
from conservator.plan import Step
from conservator.session import Outcome, Session

LEAST_GAIN = 0.15
"""Share of the perceived severity that a step must remove; less is inside what a second look varies by."""


def spatial(session: Session) -> None:
    """Treat what ails the photo, stage by stage; a clean photo costs one look."""
    kind = None
    for kind, step in by_stage(session):
        if step is None:
            session.cannot_treat(kind, "no tool for it is installed")
        elif reason := session.exhausted:
            session.stop(reason)
            return
        else:
            _attempt(session, step)
    session.stop("nothing left to treat" if kind else "clean")


def by_stage(session: Session) -> Iterator[tuple[str, Step | None]]:
    """(kind, step that treats it) from the last stage to the first, each kind once; no step where no tool treats it.

    A step takes along what else its tool treats. What is wanted is asked anew after every step.
    """
    tried: set[str] = set()
    for stage in Stage:
        for kind in session.wanted():
            if BY_NAME[kind].stage is not stage or kind in tried:
                continue
            tool = session.specialist(kind)
            if tool is None:
                tried.add(kind)
                yield kind, None
                continue
            treats = tuple(k for k in session.wanted() if k in tool.card.treats and k not in tried)
            tried.update(treats)
            yield kind, Step(tool.name, treats, reason=f"{stage}: {', '.join(treats)} found")


def _attempt(session: Session, step: Step) -> None:
    outcome = session.apply(step)
    if outcome.failed is not None:
        return
    reason = _objection(outcome)
    if reason is None:
        session.keep(outcome)
    else:
        session.take_back(outcome, reason)


def _objection(outcome: Outcome) -> str | None:
    if outcome.verdict is not None and not outcome.verdict.ok:
        return "; ".join(outcome.verdict.reasons)
    if outcome.gain < LEAST_GAIN:
        return f"only {outcome.gain:.0%} of the damage went away"
    return None
