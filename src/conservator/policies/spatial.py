"""Our policy: the last damage first, each kind where it is and as strongly as its map says.

Compression, then imaging, then scene (the order of MAIR, arXiv 2503.09403, without its separate experts): what was
inflicted last hides what came before. A tool that treats several of the kinds found takes them in one pass, since
space is one of its inputs. After each step the policy looks again, and takes back what did not help.
"""

from __future__ import annotations

from collections.abc import Iterator

from conservator.degradations import BY_NAME, Stage
from conservator.plan import Step
from conservator.session import Session


def spatial(session: Session) -> None:
    """Treat what ails the photo, stage by stage; a clean photo costs one look."""
    kind = None
    for kind, step in by_stage(session):
        if step is None:
            session.cannot_treat(kind, "no tool treats it at the photo's own size")
        elif reason := session.exhausted:
            session.stop(reason)
            return
        else:
            session.decide(session.apply(step))
    session.stop("nothing left to treat" if kind else "clean")


def by_stage(session: Session) -> Iterator[tuple[str, Step | None]]:
    """(kind, step that treats it) from the last stage to the first, each kind once; no step where no tool treats it.

    A step takes along what else its tool treats. What is wanted is asked anew after every step.
    """
    tried: set[str] = set()
    for stage in Stage:
        while kind := next((k for k in session.wanted() if BY_NAME[k].stage is stage and k not in tried), None):
            tool = session.specialist(kind)
            treats = tuple(k for k in session.wanted() if tool and k in tool.card.treats and k not in tried)
            tried.update(treats or {kind})
            yield kind, Step(tool.name, treats, reason=f"{stage}: {', '.join(treats)} found") if tool else None
