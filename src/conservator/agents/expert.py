"""Experts: with which steps a kind of damage can be treated."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

from conservator.plan import Step
from conservator.regions import EVERYWHERE, WHOLE
from conservator.session import Session
from conservator.tools.card import Tool

T = TypeVar("T")


class Expert(Protocol):
    """Knows the tools for one kind of damage; it may look ahead, but must not treat anything."""

    def __call__(self, session: Session, kind: str) -> list[Step]:
        """Steps worth trying, the most promising first; empty where no tool treats the kind."""
        ...


def whole_frame(session: Session, kind: str) -> list[Step]:
    """Every specialist for the kind on the frame as one thing, as the published agents apply their tools."""
    able = specialists(session.tools, kind)
    return [Step(tool.name, (kind,), (EVERYWHERE,), reason=f"{kind} found") for tool in able]


def specialists(tools: Iterable[Tool], kind: str) -> list[Tool]:
    """Tools for a kind, those that treat little else first.

    Of tools that run the same networks only the first: asked for one kind they give the same pixels.
    """
    able = sorted((tool for tool in tools if kind in tool.card.treats), key=lambda tool: len(tool.card.treats))
    return _distinct((tool.card.models or tool.name, tool) for tool in able)


def every_step(session: Session, kinds: Iterable[str], region: str = WHOLE) -> list[Step]:
    """Every tool on all it treats of these kinds together, and every specialist on each of them alone."""
    wanted = list(kinds)
    chosen = [(tool, tuple(k for k in wanted if k in tool.card.treats)) for tool in session.tools]
    chosen += [(tool, (kind,)) for kind in wanted for tool in specialists(session.tools, kind)]
    steps = (((t.card.models or t.name, treats), Step(t.name, treats, (region,))) for t, treats in chosen if treats)
    return _distinct(steps)


def agenda(session: Session, expert: Expert) -> list[str]:
    """Kinds that ail the photo and that the expert has a step for; the others are named as left alone.

    What somebody else has named as left alone stays so.
    """
    able = {kind: bool(expert(session, kind)) for kind in session.wanted()}
    named = {left.degradation for left in session.cannot}
    for kind, can in able.items():
        if not can and kind not in named:
            session.cannot_treat(kind, "no tool treats it at the photo's own size")
    return [kind for kind, can in able.items() if can and kind not in named]


def _distinct(pairs: Iterable[tuple[Hashable, T]]) -> list[T]:
    """The first value of each key, in order."""
    found: dict[Hashable, T] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return list(found.values())
