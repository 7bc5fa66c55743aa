"""Reads instructions without a model: clauses with a verb, damage, amounts and places. What it does not know it names.

A clause without a verb of its own takes that of the clause before it: "remove the rain, the noise and the haze".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from conservator.degradations import PERCEIVED
from conservator.errors import UsageError
from conservator.wishes.doubts import PLACES, VERBS, absent, denies, doubt, is_excess, moderated
from conservator.wishes.idioms import MAKES, phrasal, settled
from conservator.wishes.lexicon import KINDS, Role, Word, words
from conservator.wishes.places import WHOLE, of_words
from conservator.wishes.pronouns import pointed
from conservator.wishes.schema import Wish, Wishes

_IDLE = frozenset({Role.FILLER, Role.WANT, Role.ONLY, Role.BUT, Role.STOP})


@dataclass(frozen=True)
class Clause:
    """A stretch of an instruction that has one verb, and what it was read as.

    words    it
    wishes   what it asks for; none where it is refused
    refused  why it is not understood, or None
    """

    words: tuple[Word, ...]
    wishes: tuple[Wish, ...] = ()
    refused: str | None = None


def parse(instruction: str | None) -> Wishes:
    """Read "remove the rain, keep the grain, don't touch faces, brighten only the foreground a little".

    UsageError names every clause that is not understood, and wishes that contradict each other.
    """
    clauses = read(instruction or "")
    refused = [clause.refused for clause in clauses if clause.refused is not None]
    if refused:
        known = f"words for {', '.join(KINDS)} and for parts of the picture"
        raise UsageError(f"cannot: {'; '.join(refused)}", known, "rephrase or leave it out")
    return Wishes(tuple(dict.fromkeys(wish for clause in clauses for wish in clause.wishes)))


def read(instruction: str) -> list[Clause]:
    """An instruction by its clauses, those that are not understood among them."""
    read: list[Clause] = []
    before = _Verb()
    for clause in map(tuple, _clauses(phrasal(words(instruction)))):
        amount = _amount_alone(clause)
        last = read[-1].wishes[-1:] if read else ()
        if amount is not None and last and last[0].action == "treat" and last[0].amount == 1:
            wish = replace(last[0], amount=amount, said=f"{last[0].said}, {_said(clause)}")
            read[-1] = replace(read[-1], wishes=(*read[-1].wishes[:-1], wish))  # "denoise, but gently"
            continue
        try:
            meant = settled(pointed(clause, last[0] if last else None))
            found, before = _read(meant, before, [wish for one in read for wish in one.wishes])
            read.append(Clause(clause, tuple(found)))
        except UsageError as error:
            read.append(Clause(clause, refused=error.got.removeprefix("cannot: ")))
            before = _LOST
    return read


def _amount_alone(clause: Sequence[Word]) -> float | None:
    """The amount of a clause that says nothing else."""
    said = [word for word in clause if word.role not in _IDLE]
    return said[0].value if len(said) == 1 and said[0].role is Role.AMOUNT else None


@dataclass(frozen=True)
class _Verb:
    """What a clause does, for the next one to take over.

    role     of its verb
    cures    kinds that the verb itself names
    kinds    kinds that it was about, whoever named them
    denied   under a "not"
    limited  under a "not too much"
    amount   as said, or None
    """

    role: Role | None = None
    cures: tuple[str, ...] = field(default=())
    kinds: tuple[str, ...] = field(default=())
    denied: bool = False
    limited: bool = False
    amount: float | None = None


_LOST = _Verb(Role.UNKNOWN)
"""Of a clause that was not understood: nobody can take it over."""


def _clauses(given: Sequence[Word]) -> Iterator[list[Word]]:
    """Stretches of words that belong to one verb."""
    clause: list[Word] = []
    for i, word in enumerate(given):
        after = next((w for w in given[i + 1 :] if w.role not in _IDLE), None)
        then = after.role if after else None
        if word.text == "but not" and after and (then in {Role.TOO, Role.WHOLE, *VERBS} or is_excess(after)):
            yield from _if_any(clause)
            clause = [Word(Role.NOT, word.text if then in VERBS else "not")]
            continue
        made = any(w.text in MAKES for w in given[i + 1 : i + 2])
        stops = word.role in (Role.STOP, Role.BUT) or (word.role is Role.AND and (made or _begins(then)))
        if stops and (then is Role.EXCEPT or _leads(clause)):
            continue  # "remove the noise, except in the sky", "except in the sky, remove the noise"
        if stops or (_begins(word.role) and _complete(clause)):
            yield from _if_any(clause)
            clause = [word] if word.role is Role.AND or (word.role is Role.BUT and then is Role.NOT) else []
        if not stops:
            clause.append(word)
    yield from _if_any(clause)


def _leads(clause: Sequence[Word]) -> bool:
    """Whether a clause is only an exception so far."""
    roles = [word.role for word in clause if word.role not in _IDLE]
    return roles[:1] == [Role.EXCEPT] and not VERBS & set(roles)


def _if_any(clause: list[Word]) -> list[list[Word]]:
    return [clause] if any(word.role not in {*_IDLE, Role.AND} for word in clause) else []


def _begins(role: Role | None) -> bool:
    return role in VERBS or role is Role.NOT


def _complete(clause: Sequence[Word]) -> bool:
    """Whether a clause has a verb and what it is about, so that another verb begins a new one."""
    roles = {word.role for word in clause}
    return Role.CURE in roles or bool(roles & VERBS and roles & (PLACES | {Role.DAMAGE, Role.REST, Role.THAT}))


def _read(clause: Sequence[Word], before: _Verb, earlier: Sequence[Wish]) -> tuple[list[Wish], _Verb]:
    said = _said(clause)
    unknown = [word.text for word in clause if word.role is Role.UNKNOWN]
    if unknown:
        raise _cannot(said, f"{unknown[0]!r} is not understood")
    clause, spared = _excepted(moderated(clause, before.kinds))
    if why := doubt(clause):
        raise _cannot(said, why)
    if clause and clause[0].role is Role.AND and before.denied and not _new(clause, before) and not denies(clause):
        raise _cannot(said, "say whether that is forbidden too")
    if not clause:
        raise _cannot(said, "say what it is an exception from")
    if before.role is Role.UNKNOWN and not _own(clause):
        raise _cannot(said, "what it belongs to is not understood")
    if before.role is Role.FIX and before.kinds and _again(clause):
        return [], before
    if clause[0].text == "blur" and before.role is None and not _own(clause) and PLACES & {w.role for w in clause}:
        raise _cannot(said, "nothing is blurred; say 'remove the blur' if that is meant")
    verb = _verb(clause, before, said)
    named = _damage(clause)
    kinds = tuple(dict.fromkeys((*verb.cures, *named)))
    where = _where(clause, said)
    if where is None and clause[0].text == "but not" and earlier:
        where = earlier[-1].where  # "make the faces brighter but not sharper"
    if any(word.role is Role.REST for word in clause):
        return [_rest(verb, kinds, earlier, said)], verb
    if not kinds and not _own(clause):
        kinds = before.kinds  # "remove the noise, but not too strongly", "…, not the faces"
    wish = _wish(verb, kinds, where, said)
    verb = replace(verb, kinds=kinds)
    return [wish, *(Wish("keep", (kind,), said=said) for kind in spared)], verb


def _again(clause: Sequence[Word]) -> bool:
    """Whether a clause only says once more that something is to be done: "the sky is hazy, fix it"."""
    said = [word for word in clause if word.role not in _IDLE]
    again = all(word.text in ("it", "them", "它", "它们") for word in said[1:])
    return bool(said) and said[0].role is Role.FIX and again


def _wish(verb: _Verb, kinds: tuple[str, ...], where: str | None, said: str) -> Wish:
    """One wish of what a clause holds; UsageError when it makes no sense that is ours to grant."""
    if verb.role is Role.TOUCH and not verb.denied:
        raise _cannot(said, "it does not say how")
    if verb.role is Role.REMOVE and not kinds:
        raise _cannot(said, "only damage is removed")
    if verb.role is Role.KEEP and not kinds and where is None:
        raise _cannot(said, "it does not say what")
    keeps = (verb.role is Role.KEEP) != verb.denied
    amount = 1.0 if verb.amount is None else verb.amount
    if keeps and verb.role is Role.KEEP and verb.amount is not None and amount <= 1:
        return Wish("limit", kinds, 1 - amount, where, said)  # "keep a little of the grain"
    if keeps:
        return Wish("keep", kinds, where=where, said=said)
    return Wish("limit" if verb.limited else "treat", kinds, amount, where, said)


def _verb(clause: Sequence[Word], before: _Verb, said: str) -> _Verb:
    """The verb of a clause with its "not" and its amount, or that of the clause before."""
    roles = [word.role for word in clause]
    denied = roles.count(Role.NOT) % 2 == 1
    amounts = [word.value for word in clause if word.role is Role.AMOUNT]
    if len(set(amounts)) > 1:
        raise UsageError(f"contradiction: {said!r} names two amounts", "one")
    amount = amounts[0] if amounts else None
    if Role.TOO in roles:
        if not denied:
            raise _cannot(said, "too much is never wanted")
        return replace(_led(clause, before), limited=True, amount=0.5)
    led = _led(clause, before)
    if led.role is not None:
        inherited = not _own(clause)
        if denied and inherited and led.denied:
            raise _cannot(said, "say whether to remove or to keep it")  # "neither the rain nor the noise"
        return replace(led, denied=(led.denied and inherited) != denied,
                       amount=led.amount if amount is None and inherited else amount)  # fmt: skip
    if denied or (amount is not None and not all(is_excess(word) for word in clause if word.role is Role.DAMAGE)):
        raise _cannot(said, "say whether to remove or to keep it")
    if not _damage(clause) and Role.ONLY not in roles:
        raise _cannot(said, "say what to do with it")
    return _Verb(Role.FIX, amount=amount)


def _led(clause: Sequence[Word], before: _Verb) -> _Verb:
    """The verb of a clause, or that of the clause before; neither "not" nor amount of its own."""
    own = [word for word in clause if word.role in VERBS]
    if absent(clause):
        return _Verb(Role.KEEP)  # "no noise": none is to stay
    if own:
        # "Keep … untouched", "don't treat": the first verb leads, one that cures names its kinds.
        cures = tuple(dict.fromkeys(kind for word in own if word.role is Role.CURE for kind in word.value))
        return _Verb(next((word.role for word in own if word.role is not Role.CURE), Role.CURE), cures)
    return replace(before, cures=() if _damage(clause) else before.cures, limited=False)


def _own(clause: Sequence[Word]) -> bool:
    return any(word.role in VERBS for word in clause)


def _new(clause: Sequence[Word], before: _Verb) -> bool:
    """Whether what "and" joins to a prohibition is a wish of its own, "don't touch the faces and brighten the sky"."""
    return not _own(clause) or (before.role is Role.TOUCH and clause[0].text not in ("or", "或", "或者"))


def _damage(clause: Iterable[Word]) -> tuple[str, ...]:
    named = [kind for word in clause if word.role is Role.DAMAGE for kind in word.value]
    return tuple(dict.fromkeys(named))


def _where(clause: Sequence[Word], said: str) -> str | None:
    """The place of a clause, from its words between those for damage."""
    about = [word for word in clause if word.role in PLACES | {Role.AND, Role.STOP}]
    if not about:
        return None
    # "The rain and the noise in the sky": the "and" between damage joins no places.
    following = [*(word.role for word in about[1:]), Role.AND]
    kept = [w for w, then in zip(about, following, strict=True) if w.role is not Role.AND or then is not Role.AND]
    if kept and kept[0].role is Role.AND:
        kept.pop(0)
    if not kept:
        return None
    found = str(of_words(kept, said))
    return None if found == WHOLE else found


def _excepted(clause: Sequence[Word]) -> tuple[list[Word], tuple[str, ...]]:
    """The clause without "except the grain", and the kinds that are excepted so."""
    for i, word in enumerate(clause):
        rest = [w for w in clause[i + 1 :] if w.role not in _IDLE and w.role is not Role.OUTSIDE]
        if word.role is Role.EXCEPT and rest and all(w.role in (Role.DAMAGE, Role.AND) for w in rest):
            return list(clause[:i]), _damage(rest)
    return list(clause), ()


def _rest(verb: _Verb, kinds: tuple[str, ...], earlier: Sequence[Wish], said: str) -> Wish:
    """What was not named before: of the kinds, where kinds were, else of the picture."""
    wish = _wish(verb, kinds, WHOLE, said)
    named = {kind for one in earlier for kind in one.kinds}
    places = dict.fromkeys(one.where for one in earlier if one.where is not None)
    if wish.action == "keep" and named and all(one.kinds for one in earlier):
        return replace(wish, kinds=tuple(kind for kind in PERCEIVED if kind not in named), where=None)
    if not places:
        raise _cannot(said, "no part of the picture was named before")
    return replace(wish, where=f"everything except ({' and '.join(f'({place})' for place in places)})")


def _said(clause: Sequence[Word]) -> str:
    """The clause as it was written, but for spaces and case."""
    text = ""
    for word in clause:
        spaced = text and text[-1].isascii() and word.text[0].isascii()
        text += f" {word.text}" if spaced else word.text
    return text


def _cannot(said: str, why: str) -> UsageError:
    return UsageError(f"cannot: {said} ({why})")
