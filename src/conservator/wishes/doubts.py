"""What a clause may well not mean: named, so that no instruction is guessed into its opposite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from conservator.wishes.idioms import LINKS
from conservator.wishes.lexicon import Role, Word

VERBS = frozenset({Role.FIX, Role.REMOVE, Role.CURE, Role.KEEP, Role.TOUCH})
PLACES = frozenset({Role.PART, Role.WHOLE, Role.BESIDE, Role.BEHIND, Role.EXCEPT, Role.OUTSIDE, Role.OPEN, Role.CLOSE})

_ALL = frozenset({
    "all", "everything", "everywhere", "whole", "entire", "most", "very", "so",
    "整张", "整个", "全部", "全图", "所有", "一切", "都",
})  # fmt: skip
_MAYBE = frozenset({"not", "nor", "neither"})  # "remove the rain, not the noise"; "no noise" says the opposite
_HIGHLIGHTS = frozenset({"recover", "tone down", "tame"})
_BRIGHT = frozenset({"highlights", "bright", "overexposed"})
_DONE = frozenset({"removed", "reduced", "eliminated", "gone", "kept", "preserved"})  # "I want the noise removed"
_NONE = frozenset({"no", "不要", "不要有"})
_DONT = frozenset({"don't", "do not", "dont", "不"})
_WISHED = frozenset({"want", "would like", "i'd like", "想要", "要", "想"})
_CONTRASTS = frozenset({"but", "however", "yet", "though", "但", "但是", "不过", "而"})
_FORMATS = frozenset({"jpeg", "jpg", "compression", "压缩"})
_OPPOSITE = {("over_exposure",): "low_light", ("low_light",): "over_exposure"}


def denies(clause: Sequence[Word]) -> bool:
    """Whether a clause has a "not" of its own."""
    return any(word.role is Role.NOT for word in clause)


def absent(clause: Sequence[Word]) -> bool:
    """Whether a clause says that damage is not to be there, and nothing else: "no haze", "I don't want any noise".

    Not so "there is no haze", nor "but no haze" behind another wish, which may well forbid; nor "no jpeg", of a file.
    """
    said = [word for word in clause if word.role is not Role.FILLER]
    at = next((i for i, word in enumerate(said) if word.role is Role.NOT), len(said))
    ahead, behind = said[:at], said[at + 1 :]
    wished = bool(behind) and behind[0].text in _WISHED
    if at == len(said) or not (said[at].text in _NONE or (said[at].text in _DONT and wished)):
        return False
    damage = [word for word in behind if word.role is Role.DAMAGE]
    others = [word for word in (*ahead, *behind) if word not in damage and word.text not in _WISHED]
    doubtful = said[0].text in _CONTRASTS or any(word.text in LINKS for word in clause)
    doubtful |= any(is_excess(word) or word.text in _FORMATS for word in damage)
    return bool(damage) and not doubtful and {word.role for word in others} <= PLACES | {Role.AND, Role.BUT}


def is_excess(word: Word) -> bool:
    """Whether a word says that there is too much or too little: "too bright"."""
    return word.role is Role.DAMAGE and word.text.startswith(("too ", "太"))


def moderated(clause: Sequence[Word], kinds: Sequence[str]) -> list[Word]:
    """The clause with "not too bright" after a wish to brighten as "not too much"."""
    if not denies(clause):
        return list(clause)
    return [
        Word(Role.TOO, word.text) if is_excess(word) and _OPPOSITE.get(word.value) in kinds else word for word in clause
    ]


def doubt(clause: Sequence[Word]) -> str | None:
    """Why a clause is not certain to mean what its words would be read as; None when it is."""
    verbs = [word for word in clause if word.role in VERBS]
    if len(verbs) > 1:
        return f"{verbs[0].text!r} with {verbs[1].text!r} is not understood"
    doubted = None if absent(clause) else _wanted(clause) or _denied(clause)
    if doubted is not None and doubted.role is Role.NOT:
        return "say whether to remove or to keep it"
    if doubted is not None:
        return f"{doubted.text!r} is not understood here"
    for some in _stretches(clause):
        foreign = _foreign(some) or _unlit(some, verbs)
        if foreign is not None:
            return f"{foreign.text!r} with {verbs[0].text!r} is not understood"
    return None


def _wanted(clause: Sequence[Word]) -> Word | None:
    """The word by which damage is wanted: "more grain", "let there be rain", "as jpg"."""
    last = None
    if clause and clause[-1].text in _DONE:
        return None
    verb = any(word.role in VERBS for word in clause)
    for word in clause if verb else sorted(clause, key=lambda word: word.role is not Role.WANT):
        if word.role in VERBS or word.role is Role.WANT:
            last = word
        if word.role is Role.DAMAGE and last and last.role is Role.WANT:
            return last
    return None


def _denied(clause: Sequence[Word]) -> Word | None:
    """The word by which a prohibition is less than one, or might be a wish: "not strongly", "not all", "no noise"."""
    at = next((i for i, word in enumerate(clause) if word.role is Role.NOT), None)
    if at is None:
        return None
    for i, word in enumerate(clause):
        less = i > at and (word.role is Role.ONLY or word.text in _ALL)
        if less or word.role is Role.AMOUNT or is_excess(word):
            return word
    bare = any(w.role is Role.DAMAGE for w in clause) and not any(w.role in VERBS for w in clause)
    return clause[at] if bare and clause[at].text not in _MAYBE else None


def _stretches(clause: Sequence[Word]) -> Iterator[list[Word]]:
    """What "and" joins."""
    for joins, some in groupby(clause, lambda word: word.role in (Role.AND, Role.STOP)):
        if not joins:
            yield list(some)


def _foreign(some: Sequence[Word]) -> Word | None:
    """Damage that the verb beside it does not cure: "lift the fog"."""
    cured = {kind for word in some if word.role is Role.CURE for kind in word.value}
    return next((w for w in some if cured and w.role is Role.DAMAGE and not cured & set(w.value)), None)


def _unlit(some: Sequence[Word], verbs: Sequence[Word]) -> Word | None:
    """A part that has no highlights to recover."""
    parts = [word for word in some if word.role is Role.PART]
    if not any(verb.text in _HIGHLIGHTS for verb in verbs) or _BRIGHT & {word.value for word in parts}:
        return None
    return next(iter(parts), None) or next((verb for verb in verbs if verb in some), None)
