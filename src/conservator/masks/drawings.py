"""Every mask of one call: what is treated, what is left alone, and the places that steps name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from conservator.masks.reading import Drawn, Masks, combined, read_masks
from conservator.photo import Photo
from conservator.pixels.types import Mask


@dataclass(frozen=True, eq=False)
class Drawings:
    """As they were drawn, each with its strength.

    mask     what is treated; none is everything
    protect  what is left alone
    places   what steps of a plan may have as their regions, by name
    """

    mask: Sequence[Drawn]
    protect: Sequence[Drawn]
    places: Mapping[str, Sequence[Drawn]]

    @classmethod
    def read(
        cls, photo: Photo, mask: Masks | None, protect: Masks | None, places: Mapping[str, Masks] | None
    ) -> Drawings:
        """The masks of a photo; raises what `read_masks` does."""
        read = partial(read_masks, size=photo.size, photo=photo.file_name)
        return cls(read(mask), read(protect), {place: read(given) for place, given in (places or {}).items()})

    @property
    def weight(self) -> Mask | None:
        """How much is treated where, float32 (H, W) in [0, 1]; None is everything, everywhere."""
        return combined(self.mask, self.protect)

    def weights(self) -> dict[str, Mask]:
        """The same of each place that anything was drawn for."""
        found = {place: combined(each, []) for place, each in self.places.items()}
        return {place: weight for place, weight in found.items() if weight is not None}

    def to_dict(self) -> dict[str, Any]:
        """What a record keeps of the call."""
        return {
            "mask": [one.to_dict() for one in self.mask] or None,
            "protect": [one.to_dict() for one in self.protect] or None,
            "places": {place: [one.to_dict() for one in each] for place, each in self.places.items()} or None,
        }
