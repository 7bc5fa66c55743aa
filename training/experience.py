"""Distils the experience that ships from searches with the truth at hand.

CONSERVATOR_DATA=../shared/data python training/experience.py                (after searches.py)

Kept are searches of what was really perceived that came nearer to the truth by LEAST_DB, or found nothing that would,
and to whose steps neither critic nor guard objected; near ones become one, as in any memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from conservator.memory import Fingerprint, Lesson, Memory
from conservator.memory.memory import SHIPPED
from conservator.tools.registry import TOOLS
from searches import Search, searches

LEAST_DB = 0.3


def lessons() -> Iterable[Lesson]:
    """A lesson for every search that is fit for one."""
    for one in searches():
        if not one.facts["told"] and not any(one.facts["objections"]) and one.facts["gain_db"] >= LEAST_DB:
            yield _lesson(one)


def _lesson(one: Search) -> Lesson:
    seen, after = one.states[0].diagnosis, one.states[-1].diagnosis
    kinds = [kind for kind in seen.degradations if len(TOOLS.treating(kind))]
    left = {kind: TOOLS.treating(kind).names for kind in after.degradations if kind in kinds}
    steps = tuple(replace(step, reason="") for step in one.steps)
    return Lesson(Fingerprint.of(seen, kinds), steps, left, one.facts["gain"])


def main() -> None:
    """Write memory/shipped.json."""
    with Memory(shipped=False) as memory:
        for lesson in lessons():
            memory.learn(lesson)
        print(f"{memory.export(SHIPPED, overwrite=True)} experiences → {SHIPPED}")


if __name__ == "__main__":
    main()
