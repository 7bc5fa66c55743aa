"""Turns of phrase in which words mean another thing than alone: "take the noise out", "less noisy", "remove more"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

from conservator.wishes.lexicon import BLUR, Role, Word

_TAKES, _AWAY = frozenset({"take", "get"}), frozenset({"out", "away"})
LINKS = frozenset({"is", "are", "it's", "look", "looks"})
MAKES = frozenset({"make", "let", "让"})
_MORE: Mapping[str, float] = MappingProxyType(
    {"more": 1.5, "a lot more": 1.5, "更多": 1.5, "多一点": 1.25, "多一些": 1.25, "多点": 1.25}
)
_TREATS = frozenset({Role.FIX, Role.REMOVE, Role.CURE})
_STATES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "noisy": ("noise",), "compressed": ("jpeg",), "rainy": ("rain",), "hazy": ("haze",), "blurry": BLUR,
    "dark": ("low_light",), "bright": ("over_exposure",), "overexposed": ("over_exposure",),
})  # fmt: skip
_BECOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sharp": BLUR, "crisp": BLUR, "bright": ("low_light",), "light": ("low_light",)}
)


def phrasal(given: Sequence[Word]) -> list[Word]:
    """Verbs whose second half stands behind their object, as one: "take the noise out of the sky"."""
    found = list(given)
    for i, word in enumerate(found):
        if word.role is Role.UNKNOWN and word.text in _TAKES:
            end = next((j for j in range(i, len(found)) if found[j].role is Role.STOP), len(found))
            away = next((j for j in range(i, end) if found[j].text in _AWAY), None)
            if away is not None:
                found[i], found[away] = replace(word, role=Role.REMOVE), replace(found[away], role=Role.FILLER)
    return found


def settled(clause: Sequence[Word]) -> list[Word]:
    """A clause with such words in the roles that they have in it."""
    found = _strengths(_states(clause))
    return _amounts(found)


def _states(clause: Sequence[Word]) -> list[Word]:
    """Adjectives that say what somebody sees or wants: "it is blurry", "make it less hazy", "keep the sky dark"."""
    found = list(clause)
    texts, roles = [word.text for word in found], {word.role for word in found}
    link = next((i for i, text in enumerate(texts) if text in LINKS), len(found))
    last = max((i for i, word in enumerate(found) if word.role is not Role.FILLER), default=-1)
    asked = link == 0 and texts[0] != "it's"  # "is the sky noisy?"
    seen = not asked and "where" not in texts and not roles & {*_TREATS, Role.KEEP, Role.TOUCH}
    for i, word in enumerate(found):
        before, kinds = found[i - 1] if i else None, _STATES.get(word.value) if word.role is Role.PART else None
        if kinds and before is not None and before.text == "less" and word.value != "bright":
            found[i - 1] = replace(before, role=Role.FILLER)
            found[i] = Word(Role.CURE, word.text, kinds)
        elif kinds and ((seen and link < i and _complaint(found, i)) or _kept(found, i, last)):
            found[i] = Word(Role.DAMAGE, word.text, kinds)
        elif i == last and word.text in _BECOMES and "make" in texts[:2]:
            found[i] = Word(Role.CURE, word.text, _BECOMES[word.text])
    return found


def _complaint(clause: Sequence[Word], i: int) -> bool:
    """Whether an adjective behind "is" names damage: not in "this is the hazy sky", nor in "the sky is bright"."""
    attribute = any(word.role is Role.PART and word.value not in _STATES for word in clause[i + 1 :])
    return clause[i].value != "bright" and not attribute


def _kept(clause: Sequence[Word], i: int, last: int) -> bool:
    """Whether an adjective says how something is to stay: it ends the clause, behind what it is about."""
    about = (Role.PART, Role.WHOLE)
    return i == last and clause[i - 1].role in about and any(word.role is Role.KEEP for word in clause[:i])


def _strengths(clause: Sequence[Word]) -> list[Word]:
    """"Light denoising" has nothing to do with what is bright, and "light haze" is not to be treated lightly."""
    found = list(clause)
    for i, (word, after) in enumerate(pairwise(found)):
        if word.text == "light" and after.role is Role.CURE:
            found[i] = Word(Role.AMOUNT, word.text, 0.5)
        if word.text in ("light", "heavy") and after.role is Role.DAMAGE:
            found[i] = replace(word, role=Role.FILLER)
    return found


def _amounts(clause: Sequence[Word]) -> list[Word]:
    """"More" as an amount where more is to be treated; where more is wanted there it stays a wish for it."""
    found = [word for word in clause if word.role is not Role.FILLER]
    if any(word.role in (Role.NOT, Role.KEEP) for word in found):
        return list(clause)
    amounts = [i for i, word in enumerate(found) if word.role is Role.AMOUNT]
    if len(amounts) == 2 and found[amounts[0]].text == "多" and found[amounts[1]].value == 0.5:
        found[amounts[0]] = replace(found[amounts[0]], value=1.25)
        return [word for i, word in enumerate(found) if i != amounts[1]]  # "多去一点"
    for i, word in enumerate(found):
        behind = i > 0 and found[i - 1].role in _TREATS
        ends = i == len(found) - 1 and any(other.role in _TREATS for other in found)
        ahead = i + 1 < len(found) and found[i + 1].role is Role.CURE
        if word.text in _MORE and (behind or ends or ahead):
            less = i > 0 and found[i - 1].role is Role.AMOUNT
            found[i] = Word(Role.AMOUNT, word.text, 1.25 if less else _MORE[word.text])
            return [other for j, other in enumerate(found) if not (less and j == i - 1)]
    return list(clause)
