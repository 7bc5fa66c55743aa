"""A language model reads instructions: it fills in what the grammar fills in, checked by the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conservator.agents.endpoint import Endpoint, Reply, ask
from conservator.agents.planner import Data, objects
from conservator.degradations import NAMES
from conservator.errors import UsageError
from conservator.record import Ledger
from conservator.wishes import Wishes, parse
from conservator.wishes.agreement import check_agreement
from conservator.wishes.lexicon import PARTS, Role, words
from conservator.wishes.schema import MOST, Wish

MOST_WISHES = 16
_IDLE = frozenset({Role.FILLER, Role.WANT, Role.WHOLE, Role.AND, Role.BUT, Role.STOP, Role.OPEN, Role.CLOSE})
MODEL, GRAMMAR = "language model", "grammar"

Answer = tuple[Wishes, list[str]]
"""Wishes, and what cannot be done, in the instruction's own words."""

INSTRUCTIONS = f"""\
You turn what somebody wants done to a photograph into data. Only these kinds of damage can be treated:
{", ".join(NAMES)}.
A wish has an action: "treat" (remove or reduce it), "limit" (how strongly, without asking for it) or "keep"
(leave it alone); kinds, none for every kind; an amount from 0 to {MOST:g}, 1 unless they say how strongly ("a little"
is 0.5); and where, null for everywhere, otherwise words such as {", ".join(PARTS)},
joined by "and", "in", "except", "left of", "right of", "above", "below", "around".
Brightening is to treat low_light, sharpening to treat motion_blur and defocus_blur. "said" is the part of the
text that it comes from, word for word.
What is none of this, such as another background or a thing removed, goes into "cannot", word for word. Never guess,
and pass over nothing: all of the text is in a "said" or in "cannot".
Answer by the tool "answer", or with JSON such as
{{"wishes": [{{"action": "treat", "kinds": ["rain"], "amount": 1, "where": null, "said": "remove the rain"}}],
"cannot": []}}
"""


@dataclass(frozen=True)
class Reading:
    """What an instruction was understood as, and by whom.

    said     the instruction
    wishes   what it asks for
    by       MODEL, or GRAMMAR where that had to step in
    asked    what a record keeps of the question: model, tokens, seconds, cost, refused answers, error
    """

    said: str
    wishes: Wishes
    by: str
    asked: Data

    def tell(self, ledger: Ledger) -> None:
        """Write down who was asked, and who read in the end."""
        ledger.add("asked", wishes=self.wishes.to_dict()["wishes"], by=self.by, **self.asked)
        if self.by == GRAMMAR:
            ledger.add("fell_back", to=GRAMMAR, reason="the language model gave no answer that holds")


@dataclass(frozen=True)
class LanguageReader:
    """Asks an endpoint, or a model of pydantic-ai's in its place."""

    endpoint: Endpoint
    model: Any = None

    def __call__(self, instruction: str) -> Reading:
        """What an instruction asks for. Where no answer holds the grammar reads it, and the reading says so.

        Raises UsageError naming what cannot be done, as the grammar does; ModelMissing without pydantic-ai.
        """
        return self.reading(instruction, self.ask(instruction))

    def ask(self, instruction: str) -> Reply[Answer]:
        """What the model makes of it: wishes, and what it calls impossible; both hold, or there is no value."""
        return ask(self.endpoint, INSTRUCTIONS, instruction, SCHEMA, _read, lambda data: _checked(data, instruction),
                   seconds=self.endpoint.seconds, model=self.model)  # fmt: skip

    def reading(self, instruction: str, reply: Reply[Answer]) -> Reading:
        """What follows from a reply; see `__call__`."""
        asked = {"role": "reader", **reply.to_dict(self.endpoint)}
        if reply.value is None:
            return Reading(instruction, _parsed(instruction, str(reply.error)), GRAMMAR, asked)
        wishes, cannot = reply.value
        if cannot:
            raise UsageError(f"cannot: {'; '.join(cannot)}", "damage, and parts of the picture", "leave it out")
        return Reading(instruction, wishes, MODEL, asked)


def _parsed(instruction: str, error: str) -> Wishes:
    try:
        return parse(instruction)
    except UsageError as refused:  # nobody should look for the reason in the words alone
        fix = f"read by the grammar, for the language model gave no answer that holds: {error}"
        raise UsageError(refused.got, refused.wanted, fix) from refused


_WISH: Data = {
    "action": {"type": "string", "enum": ["treat", "limit", "keep"]},
    "kinds": {"type": "array", "items": {"type": "string", "enum": list(NAMES)}},
    "amount": {"type": "number", "minimum": 0, "maximum": MOST},
    "where": {"type": ["string", "null"]},
    "said": {"type": "string"},
}
SCHEMA: Data = {
    "type": "object",
    "properties": {
        "wishes": {
            "type": "array", "maxItems": MOST_WISHES,
            "items": {"type": "object", "properties": _WISH, "required": list(_WISH), "additionalProperties": False},
        },
        "cannot": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["wishes", "cannot"],
    "additionalProperties": False,
}  # fmt: skip


def _read(text: str) -> Data:
    for found in objects(text):
        if isinstance(found, dict) and "wishes" in found:
            return found
    raise UsageError(f"no wishes in {text[:80]!r}", 'JSON {"wishes": […], "cannot": […]}')


def _checked(data: Any, instruction: str) -> Answer:
    """Wishes that hold, and what cannot be done: in the instruction's own words, none of which is passed over."""
    if not isinstance(data, Mapping) or set(data) - {"cannot"} != {"wishes"} or not isinstance(data["wishes"], list):
        raise UsageError(f"{str(data)[:80]!r}", 'an object {"wishes": […], "cannot": […]}')
    cannot = data.get("cannot") or []
    if len(data["wishes"]) > MOST_WISHES or not isinstance(cannot, list):
        raise UsageError(f"{len(data['wishes'])} wishes", f"at most {MOST_WISHES}, and a list of what cannot be done")
    wishes = tuple(Wish.from_dict(entry) for entry in data["wishes"])
    _check_words([*(wish.said for wish in wishes), *cannot], instruction)
    for wish in wishes:
        _check_kinds(wish)
    made = Wishes(wishes)
    if not cannot:  # else nothing is done at all
        check_agreement(made, instruction)
    return made, cannot


def _check_words(parts: Sequence[Any], instruction: str) -> None:
    """UsageError for words that are not the instruction's own, and for those of it that ask and are in no part."""
    rest = instruction.lower()
    for said in parts:
        if not isinstance(said, str) or not said.strip() or said.lower() not in instruction.lower():
            raise UsageError(f"{str(said)[:60]!r} is not in the instruction", "its own words")
    for said in sorted(parts, key=len, reverse=True):
        rest = rest.replace(said.lower(), ",")
    if passed := " ".join(word.text for word in words(rest) if word.role not in _IDLE):
        raise UsageError(f"nothing is said of {passed!r}", 'a wish whose "said" has it, or its words in "cannot"')


def _check_kinds(wish: Wish) -> None:
    """UsageError where the grammar knows what the words name, and it is something else."""
    named = {kind for word in words(wish.said) if word.role in (Role.DAMAGE, Role.CURE) for kind in word.value}
    if named and wish.kinds and not named & set(wish.kinds):
        raise UsageError(f"{', '.join(wish.kinds)} for {wish.said!r}", ", ".join(sorted(named)))
