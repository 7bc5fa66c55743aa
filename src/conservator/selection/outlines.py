"""Regions along the things in a photograph: a mask source draws them, the diagnosis says what ails each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.pixels.reduce import into_cells
from conservator.pixels.types import Mask, Samples
from conservator.regions import Region
from conservator.selection.damage import ailments
from conservator.selection.named import source_named
from conservator.selection.scene import Scene
from conservator.selection.source import MaskSource, Prompt

MOST = 8
"""Regions, as many as the perceiver draws; what is left of the frame is one of them."""

LEAST_REST = 0.02
"""Share of the frame that must be left for it to be a region."""

Look = Callable[[Samples], Diagnosis]


class Outlined:
    """A perceiver of one photograph whose regions are the things that a source finds in it.

    They are drawn once, at the first look, and keep their names: what ails them is looked at anew each time. Pictures
    of another size, such as proxies of the photograph, keep the perceiver's own regions.
    """

    def __init__(self, source: MaskSource, perceiver: Look) -> None:
        if not source.knows(Prompt()):
            raise UsageError(f"regions by {source.name}", "a source that finds things by itself", "use sam:PATH")
        self.source, self.perceiver = source, perceiver
        self._size: tuple[int, int] | None = None
        self._masks: list[Mask] = []

    def __call__(self, samples: Samples) -> Diagnosis:
        """Diagnose; raises what perceiver and source raise."""
        diagnosis = self.perceiver(samples)
        if self._size is None:
            found = [one.mask for one in self.source.find(Scene(samples, diagnosis), Prompt())]
            self._size, self._masks = diagnosis.size, _parted(found, diagnosis)
        if diagnosis.size != self._size:
            return diagnosis
        kind = self.source.name.partition(":")[0]
        named = ((f"r{i}", mask) for i, mask in enumerate(self._masks, 1))
        regions = tuple(Region(name, mask, kind, ailments(mask, diagnosis)) for name, mask in named)
        return replace(diagnosis, regions=regions)


def outlined(regions: str | MaskSource | None, perceiver: Look) -> Look:
    """The perceiver with regions by a mask source, given or named (see `source_named`); itself without one."""
    if regions is None:
        return perceiver
    return Outlined(source_named(regions) if isinstance(regions, str) else regions, perceiver)


def _parted(found: Sequence[Mask], diagnosis: Diagnosis) -> list[Mask]:
    """Masks (h, w) on the cell grid that sum to 1, the worst damaged first; small things lie in front of large ones."""
    damage = diagnosis.maps.sum(axis=0)
    cells = [into_cells(mask[None], diagnosis.size)[0] for mask in found]
    chosen = sorted(cells, key=lambda mask: (-float((mask * damage).sum()), -float(mask.sum())))[: MOST - 1]
    left, parts = np.ones_like(damage), list[Mask]()
    for mask in sorted(chosen, key=lambda mask: float(mask.sum())):
        own = np.asarray(mask * left, np.float32)
        if own.max() >= 0.5:  # a thing that others cover is none
            parts.append(own)
            left = left - own
    if not parts or (left >= 0.5).mean() >= LEAST_REST:
        parts.append(left)
    else:  # the rims between things are theirs
        parts[-1] = parts[-1] + (left == 1)
        total = np.sum(parts, axis=0)
        parts = [part / total for part in parts]
    return sorted(parts, key=lambda mask: (-float((mask * damage).sum()), -float(mask.sum())))
