"""What an instruction asks for, as plain data: whoever reads the words, grammar or language model, fills this in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from conservator.degradations import NAMES, PERCEIVED
from conservator.errors import UsageError
from conservator.pixels.types import Mask
from conservator.wishes.places import WHOLE, place

Action = Literal["treat", "limit", "keep"]
MOST = 2.0
"""Largest amount: twice what the diagnosis asks for."""

_VERBS: Mapping[str, str] = {"treat": "treats", "limit": "limits", "keep": "leaves"}
_FIELDS = ("action", "kinds", "amount", "where", "said")


@dataclass(frozen=True)
class Wish:
    """One thing asked for; UsageError when a field is not what it may be.

    action   "treat"; "limit": treat with that amount where it is treated, without asking for it; "keep": do not treat
    kinds    names of damage, see `degradations.NAMES`; empty is every kind that is perceived
    amount   how strongly to treat, in [0, 2]; 1 is what the diagnosis asks for
    where    a phrase that names a part of the picture, see `wishes.places`; None is everywhere
    said     the words it was read from
    """

    action: Action
    kinds: tuple[str, ...] = ()
    amount: float = 1.0
    where: str | None = None
    said: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.action, str) or self.action not in _VERBS:
            raise UsageError(f"action {self.action!r}", ", ".join(_VERBS))
        unknown = [kind for kind in self.kinds if kind not in NAMES]
        if unknown or len(set(self.kinds)) < len(self.kinds):
            raise UsageError(f"kinds {list(self.kinds)}", f"some of {', '.join(NAMES)}, each once")
        if isinstance(self.amount, bool) or not isinstance(self.amount, int | float) or not 0 <= self.amount <= MOST:
            raise UsageError(f"amount {self.amount!r}", f"a number in [0, {MOST:g}]")
        if not isinstance(self.said, str) or not isinstance(self.where, str | None):
            raise UsageError(f"where {self.where!r}, said {self.said!r}", "texts")
        if self.where is not None:
            where = str(place(self.where))
            object.__setattr__(self, "where", None if where == WHOLE else where)

    def concerns(self, kind: str) -> bool:
        """Whether it speaks of a kind of damage."""
        return not self.kinds or kind in self.kinds

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in _FIELDS} | {"kinds": list(self.kinds)}

    @classmethod
    def from_dict(cls, data: Any) -> Wish:
        """Read what `to_dict` wrote, or a language model; UsageError for other fields."""
        if not isinstance(data, Mapping) or "action" not in data or not set(data) <= set(_FIELDS):
            raise UsageError(f"a wish {data!r}", f"an object of {', '.join(_FIELDS)}")
        kinds = data.get("kinds") or ()
        if not isinstance(kinds, Sequence) or isinstance(kinds, str):
            raise UsageError(f"kinds {kinds!r}", "a list of names")
        return cls(**dict(data) | {"kinds": tuple(kinds)})

    def __str__(self) -> str:
        """In plain words: "treats low light × 0.5 in foreground"."""
        what = ", ".join(kind.replace("_", " ") for kind in self.kinds) or "everything"
        amount = f" × {self.amount:g}" if self.action != "keep" and self.amount != 1 else ""
        where = f" in: {self.where}" if self.where is not None else ""
        return f"{_VERBS[self.action]} {what}{amount}{where}"


Region = Callable[[str], Mask]
"""Gives the mask, float32 (H, W), of a phrase that names a place."""


@dataclass(frozen=True)
class Wishes:
    """All that an instruction asks for.

    Without a wish to treat, whatever ails the photo is treated; with one, only what such wishes name. The wish for a
    kind counts before the one for everything, that for a place before the one for everywhere, a limit before what it
    limits, and at a place to keep before to treat.
    UsageError when two wishes contradict each other.
    """

    wishes: tuple[Wish, ...] = ()

    def __post_init__(self) -> None:
        for i, one in enumerate(self.wishes):
            for other in self.wishes[:i]:
                if _contradict(one, other):
                    raise UsageError(f"contradiction: {_quoted(other)} and {_quoted(one)}", "one of them")

    def strength(self, kind: str) -> float:
        """The most that a degradation is to be treated anywhere, in [0, 2]."""
        local = [w.amount for w in self._treating(kind) if w.where is not None]
        return max([self._everywhere(kind), *local])

    def shares(self, region: Region) -> dict[str, Mask]:
        """By kind, the share of `strength` it is treated with, float32 (H, W) in [0, 1]; absent is all of it.

        What is to be kept is exactly 0 wherever it is at least half inside its region. Kinds alike share one array.
        """
        made: dict[Any, Mask] = {}
        shares: dict[str, Mask] = {}
        for kind in NAMES:
            local, keeps = ([w for w in found if w.where] for found in (self._treating(kind), self._keeping(kind)))
            if (local or keeps) and (peak := self.strength(kind)) > 0:
                key = self._everywhere(kind), tuple((w.where, w.amount) for w in local), tuple(w.where for w in keeps)
                if key not in made:
                    made[key] = self._share(self._everywhere(kind) / peak, local, keeps, peak, region)
                shares[kind] = made[key]
        return shares

    def _share(
        self, general: float, local: Sequence[Wish], keeps: Sequence[Wish], peak: float, region: Region
    ) -> Mask:
        share: Any = np.float32(general)
        for wish in local:
            inside = region(str(wish.where))
            share = share * (1 - inside) + np.float32(wish.amount / peak) * inside
        for wish in keeps:
            share = share * (1 - np.minimum(2 * region(str(wish.where)), 1))
        return np.asarray(share, np.float32)

    def places(self) -> tuple[str, ...]:
        """Every place that is named, each once."""
        return tuple(dict.fromkeys(w.where for w in self.wishes if w.where is not None))

    @property
    def only(self) -> frozenset[str] | None:
        """Kinds to treat; None is whatever ails the photo."""
        if not any(w.action == "treat" for w in self.wishes):
            return None
        return frozenset(kind for kind in NAMES if self._treating(kind) and (kind in PERCEIVED or self.names(kind)))

    def names(self, kind: str) -> bool:
        """Whether a kind is asked for by its name: what nothing perceives is treated only then."""
        return any(w.action == "treat" and kind in w.kinds for w in self.wishes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"wishes": [wish.to_dict() for wish in self.wishes]}

    @classmethod
    def from_dict(cls, data: Any) -> Wishes:
        """Read what `to_dict` wrote, or a language model; UsageError when it is something else."""
        if not isinstance(data, Mapping) or set(data) != {"wishes"} or not isinstance(data["wishes"], list):
            raise UsageError(f"wishes {str(data)[:60]!r}", 'an object {"wishes": […]}')
        return cls(tuple(Wish.from_dict(entry) for entry in data["wishes"]))

    def _everywhere(self, kind: str) -> float:
        """Amount where no place is named."""
        if any(w.where is None for w in self._keeping(kind)):
            return 0.0
        general = [w.amount for w in self._treating(kind) if w.where is None]
        return general[-1] if general else float(self.only is None)

    def _treating(self, kind: str) -> list[Wish]:
        """Wishes to treat or limit a kind, the one that counts last: every kind, then this one, then limits."""
        found = [w for w in self.wishes if w.action != "keep" and w.concerns(kind)]
        named = sorted((w for w in found if w.kinds), key=lambda w: w.action == "limit")
        # "Restore the photo, remove the noise a little": the particular counts where it speaks of the same place.
        return [w for w in found if not w.kinds and not any(n.where == w.where for n in named)] + named

    def _keeping(self, kind: str) -> list[Wish]:
        return [w for w in self.wishes if w.action == "keep" and w.concerns(kind)]


def _contradict(one: Wish, other: Wish) -> bool:
    """Whether the same is asked for and forbidden, or asked for twice in different amounts, at the same place."""
    if one.where != other.where:
        return False
    if one.action == other.action != "keep":
        return bool(set(one.kinds) & set(other.kinds) or one.kinds == other.kinds) and one.amount != other.amount
    if "keep" not in (one.action, other.action) or one.action == other.action:
        return False
    keep, treat = (one, other) if one.action == "keep" else (other, one)
    # "Restore everything, keep the grain" is an exception, "remove the grain, keep everything" is not.
    return not keep.kinds or bool(set(keep.kinds) & set(treat.kinds))


def _quoted(wish: Wish) -> str:
    return repr(wish.said or str(wish))
