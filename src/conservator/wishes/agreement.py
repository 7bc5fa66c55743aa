"""Whether somebody else's reading of an instruction keeps what the grammar is certain of: prohibitions above all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import NAMES, PERCEIVED
from conservator.errors import UsageError
from conservator.pixels.types import Mask
from conservator.wishes.grammar import Clause, read
from conservator.wishes.lexicon import Role, Word
from conservator.wishes.places import WHOLE, Place, place
from conservator.wishes.schema import Region, Wish, Wishes

MOST_PLACES = 10
"""Places that are told apart: every way in which they can overlap is looked at."""

_COMMANDS = frozenset({"don't", "do not", "dont", "never", "must not", "should not", "shouldn't",
                       "别", "勿", "请勿", "不可", "不许", "不能"})  # fmt: skip
_VERBS = frozenset({Role.FIX, Role.REMOVE, Role.CURE, Role.TOUCH})


def check_agreement(made: Wishes, instruction: str) -> None:
    """UsageError where wishes lose, turn round or overstep what the grammar understands of the instruction.

    Whatever it found forbidden has to be forbidden, with every kind and at every place; what it found asked for has to
    be treated; and where it understands every clause nothing else may be. Clauses that it does not understand, but that
    forbid something, must not be read as wishes to treat.
    """
    clauses = read(instruction)
    known = Wishes(tuple(dict.fromkeys(wish for clause in clauses for wish in clause.wishes)))
    where = _places((*known.places(), *made.places()))
    for wish in known.wishes:
        _check_wish(wish, made, where)
    if all(clause.refused is None for clause in clauses):
        _check_excess(made, known, where)
    for clause in clauses:
        if clause.refused is not None and _forbids(clause.words):
            _check_unread(clause, made)


def _check_wish(wish: Wish, made: Wishes, where: Region) -> None:
    inside = _inside(wish, where)
    for kind in wish.kinds or PERCEIVED:
        amounts = _amounts(made, kind, where)
        if wish.action == "keep" and (inside & ~_kept(made, kind, where)).any():
            raise _lost(wish, f"{kind} is not left alone all over that place")
        if wish.action == "limit" and wish.amount < 1 and (inside & (amounts >= 1)).any():
            raise _lost(wish, f"{kind} is not limited there")
    treated = any((inside & (_amounts(made, kind, where) > 0)).any() for kind in wish.kinds or PERCEIVED)
    if wish.action == "treat" and not treated:
        raise _lost(wish, "nothing of it is treated")


def _check_excess(made: Wishes, known: Wishes, where: Region) -> None:
    """UsageError where something is treated that nobody spoke of."""
    for kind in NAMES:
        if ((_amounts(made, kind, where) > 0) & (_amounts(known, kind, where) == 0)).any():
            raise UsageError(f"{kind} would be treated where nobody asked for it", "; ".join(map(str, known.wishes)))


def _check_unread(clause: Clause, made: Wishes) -> None:
    """UsageError when a prohibition in words of its own was read as a wish to treat, or not at all."""
    told = _plain(" ".join(word.text for word in clause.words))
    inside = [wish for wish in made.wishes if _plain(wish.said) in told]
    about = inside + [wish for wish in made.wishes if told in _plain(wish.said)]
    if any(wish.action == "treat" for wish in inside) or all(wish.action == "treat" for wish in about):
        raise UsageError(f"a wish to treat for {' '.join(word.text for word in clause.words)!r}", "keep, or limit")


def _forbids(clause: Sequence[Word]) -> bool:
    """Whether words that are not all understood forbid something all the same: "don't zap the sky"."""
    roles = [word.role for word in clause]
    denied = roles.count(Role.NOT) % 2 == 1
    if Role.KEEP in roles:
        return not denied
    ordered = Role.WANT not in roles and any(word.text in _COMMANDS for word in clause)
    return denied and (ordered or bool(_VERBS & set(roles)))


def _lost(wish: Wish, why: str) -> UsageError:
    return UsageError(f"{wish.said!r} is lost: {why}", str(wish))


def _plain(text: str) -> str:
    return "".join(text.lower().replace("’", "'").replace("‘", "'").split())


def _kept(wishes: Wishes, kind: str, where: Region) -> NDArray[np.bool_]:
    kept = np.zeros(where(WHOLE).shape, np.bool_)
    for wish in wishes.wishes:
        if wish.concerns(kind) and (wish.action == "keep" or wish.amount == 0):
            kept |= _inside(wish, where)
    return kept


def _amounts(wishes: Wishes, kind: str, where: Region) -> Mask:
    return wishes.strength(kind) * wishes.shares(where).get(kind, where(WHOLE))


def _inside(wish: Wish, where: Region) -> NDArray[np.bool_]:
    return where(wish.where or WHOLE) > 0


def _places(phrases: Iterable[str]) -> Region:
    """Masks (1, 2^n) of places, with a pixel for every way in which the n things that they speak of can overlap."""
    atoms = list(dict.fromkeys(atom for phrase in phrases for atom in _atoms(place(phrase))))
    if len(atoms) > MOST_PLACES:
        raise UsageError(f"{len(atoms)} places", f"at most {MOST_PLACES}")
    truths = np.array(list(product((0, 1), repeat=len(atoms))), np.float32).reshape(2 ** len(atoms), len(atoms)).T
    masks = {atom: truth[None] for atom, truth in zip(atoms, truths, strict=True)}
    everywhere = np.ones((1, 2 ** len(atoms)), np.float32)
    return lambda phrase: _mask(place(phrase), masks, everywhere)


def _atoms(one: Place) -> list[str]:
    if one.what in ("and", "or", "not"):
        return [atom for part in one.of for atom in _atoms(part)]
    return [] if one.what == WHOLE else [str(one)]


def _mask(one: Place, masks: dict[str, Mask], everywhere: Mask) -> Mask:
    if one.what not in ("and", "or", "not"):
        return everywhere if one.what == WHOLE else masks[str(one)]
    parts = [_mask(part, masks, everywhere) for part in one.of]
    if one.what == "not":
        return 1 - parts[0]
    return reduce(np.minimum if one.what == "and" else np.maximum, parts)
