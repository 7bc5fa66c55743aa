"""What "it", "them" and "there" point at: the part of the picture that the clause before is about."""

from __future__ import annotations

from collections.abc import Sequence

from conservator.wishes.doubts import VERBS
from conservator.wishes.idioms import MAKES
from conservator.wishes.lexicon import PARTS, Role, Word
from conservator.wishes.places import Place, place
from conservator.wishes.schema import Wish

_MANY = frozenset({"shadows", "highlights", "edges", "faces"})


def pointed(clause: Sequence[Word], before: Wish | None) -> list[Word]:
    """A clause with its pronouns as the part that they point at; unknown where none fits, or more than one.

    before  the wish before it, or None

    "It" is the photograph where it agrees with nothing named, and behind a part that is wholly left alone already:
    "leave the sky alone, but don't sharpen it".
    """
    found, part = list(clause), None if before is None or before.where is None else place(before.where)
    left = before is not None and before.action == "keep" and not before.kinds
    for i, word in enumerate(found):
        if not _points(found, i) or (left and word.role is Role.WHOLE):
            continue
        if part is not None and not _plain(part):
            found[i] = Word(Role.UNKNOWN, word.text)
        elif part is not None and _agrees(word.text, part):
            found[i] = Word(Role.PART, word.text, part if part.of else part.what)
        elif word.role is Role.THAT:
            found[i] = Word(Role.UNKNOWN, word.text)
    return found


def _points(clause: Sequence[Word], i: int) -> bool:
    """Whether a word stands for a part: "sharpen it", not "it is dark"; "no sharpening there", not "there is"."""
    word, before = clause[i], clause[i - 1] if i else None
    if word.text == "it":
        return before is not None and (before.role in VERBS or before.text in MAKES)
    if word.text == "there":
        return i == len(clause) - 1 and before is not None and before.text not in ("is", "are")
    return word.role is Role.THAT or word.text == "它"


def _plain(part: Place) -> bool:
    """Whether parts are only joined: of "around the faces" nobody knows whether "them" is the faces."""
    return part.what in PARTS or (part.what in ("and", "or") and all(map(_plain, part.of)))


def _agrees(pronoun: str, part: Place) -> bool:
    many = part.what == "or" or bool(_MANY & set(part.parts))
    return {"it": not many, "them": many}.get(pronoun, True)
