"""Experience before search: what helped on similar photographs is done first, under the same checks as any step.

AgenticIR (arXiv 2410.17809) lets experience order its subtasks. Here a good match replaces the search: its plan is
carried out step by step, critic and guard asked as ever; what it left alone is left alone; and what it does not treat,
or what they take back, the policy searches for as if nothing had been known. Afterwards the memory learns how it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np

from conservator.degradations import INDEX
from conservator.memory import Experience, Fingerprint, Lesson, Memory, Recollection
from conservator.memory.lessons import MARGIN
from conservator.plan import Step
from conservator.quality.critic import severity_left
from conservator.session import Session
from conservator.tools.registry import Registry

P = ParamSpec("P")


def experienced(policy: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
    """The same policy, which consults the session's memory first and tells it afterwards."""

    @wraps(policy)
    def treat(session: Session, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Recall, treat, tell; the policy alone without a memory, a tool for what is wrong, or budget."""
        kinds = [kind for kind in session.wanted() if len(session.tools.treating(kind))]
        if session.memory is None or not kinds or session.exhausted:
            policy(session, *args, **kwargs)
            return
        fingerprint = Fingerprint.of(session.diagnosis, kinds)
        followed = _consult(session, session.memory, fingerprint)
        policy(session, *args, **kwargs)
        _tell(session, session.memory, fingerprint, followed)

    return treat


@dataclass(frozen=True)
class _Followed:
    """What became of a recollection; see `Lesson`."""

    known: Recollection
    held: bool
    shorter: bool | None


def shorter(steps: Sequence[Step], tools: Registry) -> tuple[Step, ...]:
    """The same treatment in fewer steps: neighbours that one tool could take together become one."""
    merged: list[Step] = []
    for step in steps:
        both = _together(merged[-1], step, tools) if merged else None
        merged[-1:] = [both] if both else [*merged[-1:], step]
    return tuple(merged)


def _together(one: Step, other: Step, tools: Registry) -> Step | None:
    if (one.regions, one.strength, one.options) != (other.regions, other.strength, other.options):
        return None
    treats = tuple(dict.fromkeys((*one.treats, *other.treats)))
    able = (tool for tool in tools if set(treats) <= set(tool.card.treats))
    return next((replace(one, tool=tool.name, treats=treats) for tool in able), None)


def _consult(session: Session, memory: Memory, fingerprint: Fingerprint) -> _Followed | None:
    known = memory.recall(fingerprint, session.tools.names)
    session.ledger.add("recalled", **(known.to_dict() if known else {"match": "none"}))
    return _follow(session, known) if known else None


def _follow(session: Session, known: Recollection) -> _Followed:
    """Carry a known plan out, once in a shorter form; what it has treated is not treated again."""
    steps, start, short = _fitting(known.experience.steps, session.wanted()), session.state, None
    if known.strict and not known.experience.settled:
        fewer = shorter(steps, session.tools)
        short = _holds(session, fewer, known) if fewer != steps else None
        if short is False and session.samples is not start.samples:
            session.return_to(start, "the shorter plan did less than the known one")
    held = short or _holds(session, steps, known)
    _leave(session, known.experience, held)
    return _Followed(known, held, short)


def _leave(session: Session, known: Experience, held: bool) -> None:
    """Name what is not to be searched for: kinds treated already and, where it held, those nothing helps against."""
    treated = {kind for step in session.steps for kind in step.treats}
    for kind in session.wanted():
        if kind in treated:
            session.cannot_treat(kind, f"experience {known.number} took no more of it away")
        elif held and known.gave_up(kind, session.tools.treating(kind).names):
            session.cannot_treat(kind, f"experience {known.number}: nothing helped on photographs like this")


def _fitting(steps: Iterable[Step], wanted: Sequence[str]) -> tuple[Step, ...]:
    """The steps, for what ails this photograph."""
    fit = (replace(s, treats=tuple(k for k in s.treats if k in wanted), reason="by experience") for s in steps)
    return tuple(step for step in fit if step.treats)


def _holds(session: Session, steps: Sequence[Step], known: Recollection) -> bool:
    """Carry steps out as long as nothing speaks against them; whether all stayed and did what is expected of them."""
    for step in steps:
        if session.exhausted or not session.decide(session.apply(step)):
            return False
    return _gain(session, known.experience.fingerprint.kinds) >= known.experience.gain - MARGIN


def _gain(session: Session, kinds: Iterable[str]) -> float:
    """Share of the severity that is gone which was perceived of these kinds at first."""
    asked = np.zeros_like(session.first.maps)
    channels = [INDEX[kind] for kind in kinds if kind in INDEX]
    asked[channels] = session.first.maps[channels]
    before, after = (severity_left(seen, asked) for seen in (session.first, session.diagnosis))
    return 1 - after / before if before > 0 else 0.0


def _tell(session: Session, memory: Memory, fingerprint: Fingerprint, followed: _Followed | None) -> None:
    lesson = Lesson(
        fingerprint,
        tuple(session.steps),
        {kind: session.tools.treating(kind).names for kind in session.wanted() if kind in fingerprint.kinds},
        _gain(session, fingerprint.kinds),
        void=_void(session),
    )
    if followed is not None:
        number, strict = followed.known.experience.number, followed.known.strict
        lesson = replace(lesson, followed=number, strict=strict, held=followed.held, shorter=followed.shorter)
    decisions = memory.learn(lesson)
    session.ledger.add("learned", decisions=[decision.to_dict() for decision in decisions])


def _void(session: Session) -> str:
    """Why other photographs have nothing to learn from this treatment, or ""."""
    limits = session.limits
    if limits.mask is not None or limits.strength != 1.0 or limits.wishes.wishes:
        return "treated on terms of its own: a mask, a strength or an instruction"
    return f"ended early: {session.exhausted}" if session.exhausted else ""
