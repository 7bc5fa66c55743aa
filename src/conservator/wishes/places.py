"""Phrases that name a part of the picture: "the dark part of the sky", "everything but the faces", "人脸周围".

    places   place ("and" place)*        either
    place    unit+ ["except" places]     where all of them are: "shadows left", "the left half of the sky"
    unit     a part, "everything", ("left of" | "above" | "around" …) unit+, "(" places ")"

In Chinese "周围", "上方" and "以外" follow what they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from conservator.errors import UsageError
from conservator.wishes.lexicon import PARTS, Role, Word, words

WHOLE = "everything"

IGNORED = frozenset({Role.FILLER, Role.WANT, Role.ONLY})


@dataclass(frozen=True)
class Place:
    """A part of the picture.

    what   name of a part (see PARTS), "everything", a relation ("left of", "right of", "above", "below", "around"),
           "and" (where all of `of` are), "or" (where any is), "not"
    of     what a relation or a combination speaks of
    """

    what: str
    of: tuple[Place, ...] = field(default=())

    def __str__(self) -> str:
        """A phrase that reads back as the same place."""
        if self.what == "and":
            kept = " in ".join(_bracketed(p, "or") for p in self.of if p.what != "not" or p is self.of[0])
            left = " or ".join(str(p.of[0]) for p in self.of[1:] if p.what == "not")
            return f"{kept} except ({left})" if left else kept
        if self.what == "or":
            return " and ".join(_bracketed(p, "or") for p in self.of)
        if self.what == "not":
            return f"everything except {_bracketed(self.of[0], 'or', 'and')}"
        return f"{self.what} {_bracketed(self.of[0], 'or', 'and')}" if self.of else self.what

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts it speaks of, each once."""
        own = () if self.of or self.what == WHOLE else (self.what,)
        return tuple(dict.fromkeys((*own, *(name for place in self.of for name in place.parts))))


def place(phrase: str, known: Callable[[str], bool] = lambda name: False) -> Place:
    """The place a phrase names; UsageError says which words are not understood.

    known  whether somebody can find what goes by a name that is none of ours: it is a part then
    """
    return of_words(_named(words(phrase), known), phrase)


def _named(given: Sequence[Word], known: Callable[[str], bool]) -> Iterator[Word]:
    """Words with those that nobody understands taken together, "red car", as the name of a part where it is known."""
    for unknown, run in groupby(given, lambda word: word.role is Role.UNKNOWN):
        some = list(run)
        name = "".join(f" {word.text}" if word.text.isascii() else word.text for word in some).strip()
        yield from [Word(Role.PART, name, name)] if unknown and known(name) else some


def of_words(given: Iterable[Word], said: str) -> Place:
    """The place that words name; the roles of other sentence parts are not understood."""
    reader = _Reader([word for word in given if word.role not in IGNORED], said)
    found = reader.places()
    if reader.left:
        raise reader.error(reader.left[0].text)
    return found


def _bracketed(place: Place, *whats: str) -> str:
    return f"({place})" if place.what in whats else str(place)


class _Reader:
    """Recursive descent over words."""

    def __init__(self, given: Sequence[Word], said: str) -> None:
        self.left, self.said = list(given), said
        self.excepts = 0  # "除了" that wait for their "以外"

    def error(self, word: str) -> UsageError:
        wanted = f"places such as {', '.join(PARTS)}"
        return UsageError(f"cannot: {self.said.strip()} ({word!r} is not understood)", wanted, "rephrase it")

    def places(self) -> Place:
        found = [self.place()]
        while self._next(Role.AND, Role.STOP):
            self.left.pop(0)
            found.append(self.place())
        return found[0] if len(found) == 1 else Place("or", tuple(dict.fromkeys(found)))

    def place(self) -> Place:
        """One place, up to the next "and" or the end; UsageError where no part of the picture comes next."""
        units: list[Place] = []
        while self._next(Role.PART, Role.WHOLE, Role.BESIDE, Role.OPEN):
            units.append(self._unit())
            self._follow(units)
        if self._next(Role.EXCEPT):
            units += self._except()
        if not units:
            raise self.error(self.left[0].text if self.left else "nothing")
        return _joined(units)

    def _unit(self) -> Place:
        word = self.left.pop(0)
        if word.role is Role.PART:
            return word.value if isinstance(word.value, Place) else Place(word.value)
        if word.role is Role.WHOLE:
            return Place(WHOLE)
        if word.role is Role.BESIDE:
            return Place(word.value, (self.place(),))
        found = self.places()
        if not self._next(Role.CLOSE):
            raise self.error("(")
        self.left.pop(0)
        return found

    def _except(self) -> list[Place]:
        self.left.pop(0)
        self.excepts += 1
        found = [_negated(self.places())]
        self.excepts -= 1
        if self._next(Role.OUTSIDE):
            self.left.pop(0)
        return [*found, self.place()] if self._next(Role.PART, Role.WHOLE) else found

    def _follow(self, units: list[Place]) -> None:
        """What stands behind its object in Chinese."""
        while self._next(Role.BEHIND):
            units[:] = [Place(self.left.pop(0).value, (_joined(units),))]
        if self._next(Role.OUTSIDE) and not self.excepts:
            self.left.pop(0)
            units[:] = [_negated(_joined(units))]

    def _next(self, *roles: Role) -> bool:
        return bool(self.left) and self.left[0].role in roles


def _negated(place: Place) -> Place:
    return place.of[0] if place.what == "not" else Place("not", (place,))


def _joined(units: Sequence[Place]) -> Place:
    """Where all of them are; "everything" says nothing beside another."""
    flat = [part for unit in units for part in (unit.of if unit.what == "and" else (unit,))]
    named = list(dict.fromkeys(part for part in flat if part.what != WHOLE)) or [Place(WHOLE)]
    return named[0] if len(named) == 1 else Place("and", tuple(named))
