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
    """
    ways = [both for region in session.diagnosis.regions if (both := _ways(session, step, region))]
    seen = session.forecasts([way for both in ways for way in both]) if ways else []
    better = [_better(*pair) for pair in zip(seen[::2], seen[1::2], strict=True)]
    return [*_merged([chain[0] for (_, chain), yes in zip(ways, better, strict=True) if yes]), step]


def _ways(session: Session, step: Step, region: Region) -> tuple[tuple[Step], tuple[Step, Step]] | None:
    """All kinds in one pass, and in two; None where there are not two kinds."""
    kinds = [kind for kind in last_damage_first(session, step.treats) if kind in region.severities]
    if len(kinds) < 2:
        return None
    together = replace(step, treats=tuple(kinds), regions=(region.id,))
    first = specialists(session.tools, kinds[0])[0].name
    return (together,), (replace(together, tool=first, treats=(kinds[0],)), replace(together, treats=tuple(kinds[1:])))


def _better(together: Outcome, chain: Outcome) -> bool:
    """Whether the chain is worth another pass: it promises more, by more than either gain is unsure of."""
    more = chain.opinion.gain - together.opinion.gain
    return chain.objection is None and more > max(chain.opinion.deviation, together.opinion.deviation)


def _merged(steps: list[Step]) -> list[Step]:
    """Steps that differ in nothing but their regions become one."""
    merged: dict[tuple[str, tuple[str, ...]], Step] = {}
    for step in steps:
        key = step.tool, step.treats
        regions = (*merged[key].regions, *step.regions) if key in merged else step.regions
        merged[key] = replace(step, regions=regions, reason=f"{', '.join(step.treats)} alone first")
    return list(merged.values())
