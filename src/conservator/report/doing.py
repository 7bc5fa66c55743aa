"""Section on what was done, step by step: kept, taken back, failed, and left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from conservator.regions import EVERYWHERE, WHOLE
from conservator.report import story, words
from conservator.report.layout import section
from conservator.report.markup import Child, Markup, element
from conservator.report.phrases import phrase
from conservator.report.story import Attempt, End
from conservator.tools.card import Card
from conservator.tools.registry import TOOLS

_MOST = 200
_FRAME = ((WHOLE,), (EVERYWHERE,))
_ANEW = "Regions are found anew after each step, so a later step's r1 need not be the one in the picture above."
_LOOKS = {End.KEPT: "kept", End.TAKEN_BACK: "back", End.FAILED: "failed", End.OPEN: "open"}


def done(record: Mapping[str, Any]) -> Markup:
    """Every step that was tried and every damage that was left alone, with reasons."""
    told = story.attempts(record["events"])
    steps = [_step(attempt) for attempt in told[:_MOST]]
    more = f"And {len(told) - _MOST} more; the record lists them all." if len(told) > _MOST else None
    end = story.stopped(record["events"])
    return section(
        "done",
        "What was done",
        _asked(record["events"]),
        element("ol", *steps, class_="steps") if steps else element("p", "No step was needed, and none was taken."),
        element("p", more) if more else None,
        element("p", _ANEW, class_="quiet") if any(a.regions not in _FRAME for a in told[1:]) else None,
        element("p", f"The treatment ended: {end}.") if end else None,
        _left_alone(record["cannot_treat"]),
    )


def _asked(events: Iterable[Mapping[str, Any]]) -> Markup | None:
    """How the instruction was understood, wish by wish."""
    heard = [element("li", element("bdi", phrase(event))) for event in events if event["type"] == "understood"]
    return element("ul", *heard, class_="asked") if heard else None


def card_of(tool: str) -> Card | None:
    """The card of a tool that ships with this package; None for one that the caller brought."""
    return TOOLS.get(tool).card if tool in TOOLS else None


def _step(attempt: Attempt) -> Markup:
    kinds = words.listed([words.title(attempt.treats[0]), *(words.lower(kind) for kind in attempt.treats[1:])])
    badge = _badge(attempt.end.value, _LOOKS[attempt.end])
    told = " ".join(sentence for sentence in (story.effect(attempt), story.verdict(attempt)) if sentence)
    return element(
        "li",
        element("h3", f"{kinds} {story.where(attempt.regions)} ", badge),
        element("p", told),
        element("p", [[line, element("br")] for line in _small_print(attempt)], class_="quiet"),
    )


def _small_print(attempt: Attempt) -> Iterator[Child]:
    card = card_of(attempt.tool)
    about = card.summary if card else "It did not ship with Conservator."
    yield "Tool: ", element("code", attempt.tool), f". {about}"
    if attempt.strength != 1.0:
        yield f"Strength: {attempt.strength:g} times what the diagnosis asks for."
    if attempt.chosen:
        yield f"Reason: {attempt.chosen}."
    if attempt.reused:
        yield "The result of an earlier, equal step was used again."


def _badge(text: str, look: str) -> Markup:
    return element("span", text, class_=f"badge {look}")


def _left_alone(cannot: Iterable[Mapping[str, Any]]) -> Markup | None:
    items = [
        element("li", element("b", words.title(c["degradation"])), f" {story.where(c['regions'])}: {c['reason']}")
        for c in cannot
    ]
    if not items:
        return None
    heading = element("h3", "Found and left alone ", _badge("Cannot treat", "open"))
    return element("div", heading, element("ul", *items))
