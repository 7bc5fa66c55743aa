"""Coordinators: who does what in which region. An agent per region looks ahead, side by side, and returns results only.

After the agent swarm of Kimi K2.5: what agents try stays with them; the coordinator sees gains and how sure they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from conservator.agents.expert import specialists
from conservator.agents.scheduler import last_damage_first
from conservator.outcome import Outcome
from conservator.plan import Step
from conservator.regions import Region
from conservator.session import Session

LARGE = 2e6
"""Pixels from which a region's agent has only a small part of it to try: up to two crops of 192 px each way."""


class Coordinator(Protocol):
    """Makes steps of a step over the frame, region by region; it may look ahead, but must not treat anything."""

    def __call__(self, session: Session, step: Step) -> list[Step]:
        """Steps that do the work of this one, in order."""
        ...


def as_one(session: Session, step: Step) -> list[Step]:
    """All regions in one pass, each place as its map says; nobody looks ahead."""
    return [step]


def by_region(session: Session, step: Step) -> list[Step]:
    """Where several kinds meet in a region, its agent tries both ways on crops of it: all of them in one pass, or the
    last damage alone and then the rest. Where that promises more, it is treated alone before the pass for all regions.

    Only one such step is taken, the one that promises most: regions may be others once it is done.
    """
    ways = [both for region in session.diagnosis.regions if (both := _ways(session, step, region))]
    seen = session.forecasts([way for both in ways for way in both]) if ways else []
    promises: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}
    for (_, (first, _)), together, chain in zip(ways, seen[::2], seen[1::2], strict=True):
        if (more := _more(together, chain)) > 0:
            promises.setdefault((first.tool, first.treats), {})[first.regions[0]] = more
    if not promises:
        return [step]
    (tool, treats), places = max(promises.items(), key=lambda promise: sum(promise[1].values()))
    reason = f"{', '.join(treats)} alone first"
    return [replace(step, tool=tool, treats=treats, regions=tuple(places), reason=reason), step]


def where_it_pays(session: Session, step: Step) -> list[Step]:
    """`by_region` for photographs so large that crops cost next to nothing beside a pass, `as_one` for others."""
    height, width = session.photo.size
    return (by_region if height * width >= LARGE else as_one)(session, step)


def _ways(session: Session, step: Step, region: Region) -> tuple[tuple[Step], tuple[Step, Step]] | None:
    """All kinds in one pass, and in two; None where there are not two kinds."""
    kinds = [kind for kind in last_damage_first(session, step.treats) if kind in region.severities]
    if len(kinds) < 2:
        return None
    together = replace(step, treats=tuple(kinds), regions=(region.id,))
    first = specialists(session.tools, kinds[0])[0].name
    return (together,), (replace(together, tool=first, treats=(kinds[0],)), replace(together, treats=tuple(kinds[1:])))


def _more(together: Outcome, chain: Outcome) -> float:
    """How much more of the frame the chain helps; 0 where that is less than either gain is unsure of."""
    more = chain.opinion.gain - together.opinion.gain
    sure = chain.objection is None and more > max(chain.opinion.deviation, together.opinion.deviation)
    return more * chain.extent if sure else 0.0
