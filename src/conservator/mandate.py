"""What a caller wants treated, where and how strongly: masks, wishes and strength, read against one photograph."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce

import numpy as np

from conservator.degradations import BY_NAME, INDEX, NAMES, TOLD, Sight
from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.pixels.reduce import mask_cells
from conservator.pixels.types import Maps, Mask
from conservator.plan import Step
from conservator.regions import EVERYWHERE, WHOLE, area
from conservator.terms import Limits


class Mandate:
    """The caller's terms for one photograph.

    limits  what was asked for
    select  where a phrase of the wishes is, float32 (H, W)
    """

    def __init__(self, limits: Limits, select: Callable[[str], Mask]) -> None:
        self._limits, self._wishes = limits, limits.wishes
        self._masks = self._shares(select)
        # Steps are judged by the cells that masks and wishes leave something of.
        opened = {id(mask): mask_cells(mask) > 0 for mask in self._masks.values()}
        self._open = {kind: opened[id(mask)] for kind, mask in self._masks.items()}

    def wanted(self, diagnosis: Diagnosis, done: Collection[str]) -> tuple[str, ...]:
        """Kinds to treat, in channel order.

        done  kinds that were treated; one that nothing perceives is wanted until then when the caller names it
        """
        named = tuple(d.name for d in TOLD if self._wishes.names(d.name) and d.name not in done)
        asked = (k for k in diagnosis.degradations + named if self._wishes.strength(k) * self._limits.strength > 0)
        return tuple(k for k in asked if k not in self._open or np.any((_found(diagnosis, k) > 0) & self._open[k]))

    def maps(self, step: Step, diagnosis: Diagnosis, *, enlarging: bool = False) -> Maps:
        """Severity that a step is to treat, float32 (D, h, w); zero for other kinds and outside its regions.

        Masks, and the places that wishes and steps name, are not in it: the engine keeps to them by the pixel. A kind
        that nothing perceives is treated in full: whoever asks for its tool has seen it. So is a photo that is
        enlarged, whatever damage the wishes are about. UsageError for an unknown kind or region.
        """
        maps = np.zeros_like(diagnosis.maps)
        regions = step.regions if self._place(step) is None else (WHOLE,)
        where, uniform = area(regions, diagnosis.regions), regions == (EVERYWHERE,)
        for kind in step.treats:
            if kind not in INDEX:
                raise UsageError(f"degradation {kind!r}", f"one of {', '.join(NAMES)}")
            asked = _found(diagnosis, kind, uniform) * self._wishes.strength(kind)
            severity = (1.0 if enlarging else asked) * step.strength * self._limits.strength
            maps[INDEX[kind]] = np.clip(severity, 0.0, 1.0) * where
        return maps

    def judged(self, maps: Maps, step: Step) -> Maps:
        """Maps of a step without the cells that masks, wishes and its own place leave nothing of."""
        judged, place = maps.copy(), self._place(step)
        for kind, cells in self._open.items():
            judged[INDEX[kind]] *= cells
        return judged if place is None else judged * (mask_cells(place) > 0)

    def masks(self, step: Step, *, enlarging: bool = False) -> dict[str, Mask]:
        """Share of its severity that each kind is treated with per pixel, float32 (H, W), where it is not all."""
        mask, place = self._limits.mask, self._place(step)
        masks = self._masks if not enlarging else {} if mask is None else dict.fromkeys(NAMES, mask)
        if place is not None:
            masks = {kind: place * masks[kind] if kind in masks else place for kind in step.treats}
        return {kind: mask for kind, mask in masks.items() if kind in step.treats}

    def _place(self, step: Step) -> Mask | None:
        """Where a step is to keep to, float32 (H, W), when its regions are the caller's; UsageError for a mixture."""
        named = [self._limits.places[name] for name in step.regions if name in self._limits.places]
        if 0 < len(named) < len(step.regions):
            raise UsageError(f"regions {list(step.regions)}", "places of the caller, or regions found", "name one sort")
        return reduce(np.maximum, named) if named else None

    def _shares(self, select: Callable[[str], Mask]) -> dict[str, Mask]:
        shares, mask = self._wishes.shares(select), self._limits.mask
        if mask is None:
            return shares
        both = {id(share): share * mask for share in shares.values()}
        return {kind: both[id(shares[kind])] if kind in shares else mask for kind in NAMES}


def _found(diagnosis: Diagnosis, kind: str, uniform: bool = False) -> Mask | float:
    """Severity per cell, or for the frame as one thing its mean where there is any."""
    if BY_NAME[kind].sight is Sight.TOLD:
        return 1.0
    cells = diagnosis.cells(kind)
    return float(cells[cells > 0].mean()) if uniform and cells.any() else cells
