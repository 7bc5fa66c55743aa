"""Our policy: the last damage first, each kind where it is and as strongly as its map says.

Compression, then imaging, then scene (the order of MAIR, arXiv 2503.09403, without its separate experts): what was
inflicted last hides what came before. A frame that is wrongly exposed as a whole was so in the camera, after the rain
fell, so of the scene its light comes first. A tool that treats several of the kinds found takes them in one pass, since
space is one of its inputs. After each step the policy looks again, and takes back what did not help.

It looks ahead where that is worth its seconds: on large photographs an agent in every region where several kinds meet
tries on crops whether a chain of specialists does more there than the one pass (`agents.coordinator`), and where the
caller allows fewer tool calls than there are steps, calls go where crops of the regions promise most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from conservator.agents.coordinator import Coordinator, where_it_pays
from conservator.degradations import BY_NAME, EXPOSURE, Stage
from conservator.plan import Step
from conservator.session import Session

ALL_OVER = 0.9
"""Share of the cells from which a wrong exposure is the whole frame's."""


def spatial(session: Session, coordinator: Coordinator = where_it_pays) -> None:
    """Treat what ails the photo, stage by stage; a clean photo costs one look."""
    kind, scarce = None, _scarce(session)
    for kind, step in by_promise(session) if scarce else by_stage(session):
        if step is None:
            session.cannot_treat(kind, "no tool treats it at the photo's own size")
        elif reason := session.exhausted:
            session.stop(reason)
            return
        else:
            for part in [step] if scarce else coordinator(session, step):
                if not session.exhausted:
                    session.decide(session.apply(part))
    session.stop("nothing left to treat" if kind else "clean")


def by_stage(session: Session) -> Iterator[tuple[str, Step | None]]:
    """(kind, step that treats it) from the last stage to the first, each kind once; no step where no tool treats it.

    A step takes along what else its tool treats; one that is not kept may have been right about some of it, and then
    each of its kinds is treated alone. What is wanted is asked anew after every step.
    """
    tried: set[str] = set()
    for stage in Stage:
        while kinds := [kind for kind in session.wanted() if BY_NAME[kind].stage is stage and kind not in tried]:
            kind = min(kinds, key=lambda kind: not _by_camera(session, kind))
            step = _step(session, kind, tried)
            tried.update(step.treats if step else {kind})
            yield kind, step
            if step and len(step.treats) > 1 and not _treated(session, step):
                yield from ((kind, _alone(session, kind)) for kind in step.treats)


def by_promise(session: Session) -> Iterator[tuple[str, Step | None]]:
    """The same, what promises most first: each tool is tried on crops of every region.

    A call goes to the tool that promises most in all regions together, and there to those where it promises more than
    the critic is unsure of. Where nothing does, no call is spent.
    """
    tried: set[str] = set()
    while kinds := [kind for kind in session.wanted() if kind not in tried]:
        steps = {kind: _step(session, kind, tried) for kind in kinds}
        tried.update(kind for kind, step in steps.items() if step is None)
        yield from ((kind, None) for kind, step in steps.items() if step is None)
        able = list({step.tool: step for step in steps.values() if step}.values())
        if not able:
            return
        best = able[0] if session.exhausted else _most_promising(session, able)
        if best is None:
            return
        tried.update(best.treats)
        yield best.treats[0], best


def _most_promising(session: Session, steps: Sequence[Step]) -> Step | None:
    """The step worth most, in the regions where it is worth anything; None where no step is, anywhere."""
    parts = [_parts(session, step) for step in steps]
    seen = iter(session.forecasts([[part] for some in parts for part in some]))
    sure = [[one for one in islice(seen, len(some)) if one.objection is None] for some in parts]
    best = max(range(len(steps)), key=lambda i: (bool(sure[i]), sum(one.worth for one in sure[i])))
    if not sure[best]:
        return None
    if len(sure[best]) == len(parts[best]):
        return steps[best]
    return replace(steps[best], regions=tuple(region for one in sure[best] for region in one.step.regions))


def _parts(session: Session, step: Step) -> list[Step]:
    """A step region by region; as it is where no region has what it treats."""
    ailing = [region for region in session.diagnosis.regions if set(step.treats) & set(region.severities)]
    return [replace(step, regions=(region.id,)) for region in ailing] or [step]


def _by_camera(session: Session, kind: str) -> bool:
    """Whether it is the exposure of the whole frame that is wrong."""
    return kind in EXPOSURE and float(np.mean(session.diagnosis.cells(kind) > 0)) > ALL_OVER


def _scarce(session: Session) -> bool:
    """Whether more tools are called for than there are calls left."""
    budget, tools = session.budget, {tool.name for kind in session.wanted() if (tool := session.specialist(kind))}
    return budget.max_calls is not None and budget.max_calls - budget.calls < len(tools)


def _step(session: Session, kind: str, tried: set[str]) -> Step | None:
    tool = session.specialist(kind)
    if tool is None:
        return None
    treats = tuple(k for k in session.wanted() if k in tool.card.treats and k not in tried)
    return Step(tool.name, treats, reason=f"{BY_NAME[kind].stage}: {', '.join(treats)} found")


def _treated(session: Session, step: Step) -> bool:
    """Whether anything that the step treats was treated."""
    return any(set(kept.treats) & set(step.treats) for kept in session.steps)


def _alone(session: Session, kind: str) -> Step:
    tool = min(session.tools.treating(kind), key=lambda tool: len(tool.card.treats))
    return Step(tool.name, (kind,), reason=f"{kind} alone, for not all that was found together could be treated")
