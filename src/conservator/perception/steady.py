"""Looks that do not flip: haze and exposure found once are there until something is done against them.

They show in the whole frame only, and how sure the perceiver is of them hangs on all else that ails it: darkness seen
under rain may not be seen without. Local damage is another thing: what leaves with other damage has left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from conservator.degradations import FRAME, INDEX
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Maps
from conservator.selection.damage import ailments


def steadied(now: Diagnosis, before: Diagnosis, treated: Collection[str]) -> Diagnosis:
    """The later of two looks, which takes into account what the earlier one found of haze and exposure.

    Where both find it, it is as severe as they find on average, for two looks err less than one; where only the earlier
    one does, that stands.

    treated  kinds that something was done against between the looks: of these the later look alone knows

    Regions keep their outlines.
    """
    channels = np.isin(np.arange(len(now.maps)), [INDEX[d.name] for d in FRAME if d.name not in treated])
    known = (before.maps > 0) & channels[:, None, None]
    if not known.any():
        return now
    weight = np.where(known, np.where(now.maps > 0, np.float32(0.5), np.float32(1.0)), np.float32(0.0))

    def between(then: Maps, later: Maps) -> Maps:
        return np.asarray(later + weight * (then - later), np.float32)

    both = replace(
        now,
        maps=between(before.maps, now.maps),
        raw=between(before.raw, now.raw),
        deviation=between(before.deviation, now.deviation),
        presence=between(before.presence, now.presence),
    )
    return replace(both, regions=tuple(replace(r, severities=ailments(r.mask, both)) for r in now.regions))

