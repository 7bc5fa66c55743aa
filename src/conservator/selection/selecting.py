"""From a phrase to a mask: finds the parts, combines them, and draws the result to the edges of the photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.perception import observe
from conservator.photo import Source, open_photo
from conservator.pixels.reduce import mask_cells
from conservator.pixels.types import Mask, Samples, to_pixels
from conservator.pixels.upsample import upsample
from conservator.regions import Region
from conservator.selection.damage import ailments
from conservator.selection.geometry import beside
from conservator.selection.scene import Scene
from conservator.selection.source import Found, MaskSource, Prompt
from conservator.selection.tones import darker
from conservator.selection.vocabulary import VOCABULARY
from conservator.wishes.places import WHOLE, Place, place

RELATIVE = ("dark", "bright")
"""Words that mean another thing inside another part: the dark part of the sky is not black."""

FAINT = 0.06  # below it a mask is 0 and above 1 minus it 1: what is meant is wholly meant
BAND = 512  # rows worked on at a time


@dataclass(frozen=True, eq=False)
class Selection:
    """The part of a photograph that a phrase names, or that a prompt shows.

    phrase      as understood: reads back as the same place; the prompt's points and box, if it has no words
    mask        float32 (H, W) in [0, 1]
    confidence  that this is what was meant, in [0, 1]: that of the least certain part that was found
    missing     parts that are not in the picture, as far as can be told
    """

    phrase: str
    mask: Mask
    confidence: float
    missing: tuple[str, ...] = ()

    def region(self, diagnosis: Diagnosis) -> Region:
        """The selection with what ails it, by a diagnosis of the same photo."""
        return Region(self.phrase, self.mask, "text", ailments(mask_cells(self.mask), diagnosis))

    def to_dict(self) -> dict[str, Any]:
        """What a record keeps: no pixels."""
        return {
            "phrase": self.phrase,
            "area": round(self.area, 4),
            "confidence": round(self.confidence, 3),
            "missing": list(self.missing),
        }

    @property
    def area(self) -> float:
        """Share of the frame, in [0, 1]."""
        return float(self.mask.mean())


def select(
    photo: Source,
    phrase: str | Prompt,
    *,
    diagnosis: Diagnosis | None = None,
    sources: Sequence[MaskSource] = (VOCABULARY,),
) -> Selection:
    """The part of a photograph that a phrase names: "the dark part of the sky", "everything but the faces", "人脸周围".

    phrase      or a `Prompt` of points and a box, for sources that take these
    diagnosis   of this photo, when it is known already; "noisy", "hazy" and the like go by it
    sources     what finds the parts, asked in order

    Raises UsageError naming the word that is not understood, InputError, ModelMissing.
    """
    if isinstance(phrase, str):
        place(phrase, partial(_known, sources))
    samples = open_photo(photo).samples
    return Selector(samples, observe(samples) if diagnosis is None else diagnosis, sources).select(phrase)


def _known(sources: Sequence[MaskSource], name: str) -> bool:
    return any(source.knows(Prompt(name)) for source in sources)


class Selector:
    """Answers phrases about one photograph; what was found once is not looked for again."""

    def __init__(self, samples: Samples, diagnosis: Diagnosis, sources: Sequence[MaskSource] = (VOCABULARY,)) -> None:
        self.scene, self.sources = Scene(samples, diagnosis), tuple(sources)
        self._found: dict[str, Found] = {}

    def select(self, phrase: str | Prompt) -> Selection:
        """The part of the photograph; UsageError when a word is not understood or no source knows the part."""
        if isinstance(phrase, Prompt):
            return self._shown(phrase)
        wanted = place(phrase, partial(_known, self.sources))
        parts = {name: self._part(name) for name in wanted.parts}
        mask = self._mask(wanted)
        missing = tuple(name for name, found in parts.items() if not found.mask.any())
        sure = [found.confidence for name, found in parts.items() if name not in missing]
        return Selection(str(wanted), self._full(mask), min(sure, default=0.0 if missing else 1.0), missing)

    def _shown(self, prompt: Prompt) -> Selection:
        prompt.check(self.scene.samples.shape)
        found = self._first(prompt)
        missing = () if found.mask.any() else (str(prompt),)
        return Selection(str(prompt), self._full(self._fitted(found.mask)), found.confidence, missing)

    def _part(self, name: str) -> Found:
        if name not in self._found:
            self._found[name] = self._first(Prompt(name))
        return self._found[name]

    def _first(self, prompt: Prompt) -> Found:
        """What the first source that knows such a thing is surest of; an empty mask where it finds nothing."""
        source = next((s for s in self.sources if s.knows(prompt)), None)
        if source is None:
            raise UsageError(f"cannot: find {prompt}", "what a mask source knows", "draw a mask of it")
        found = source.find(self.scene, prompt)
        return found[0] if found else Found(np.zeros(self.scene.size, np.float32), 0.0)

    def _mask(self, wanted: Place) -> Mask:
        """float32 (h, w) of the small copy."""
        if wanted.what == WHOLE:
            return np.ones(self.scene.size, np.float32)
        if not wanted.of:
            return self._fitted(self._part(wanted.what).mask)
        if wanted.what == "and":
            return self._all(wanted.of)
        masks = [self._mask(one) for one in wanted.of]
        if wanted.what == "or":
            return np.asarray(np.max(masks, axis=0), np.float32)
        return 1 - masks[0] if wanted.what == "not" else beside(masks[0], wanted.what)

    def _all(self, places: Sequence[Place]) -> Mask:
        """Where all are; first the things, then their context, then what is dark or bright among that."""
        relative = [one for one in places if one.what in RELATIVE]
        things = [one for one in places if one.what not in RELATIVE]
        if not things:
            return np.asarray(np.prod([self._mask(one) for one in places], axis=0), np.float32)
        mask = np.asarray(np.prod([self._mask(one) for one in things], axis=0), np.float32)
        for one in relative:
            mask, _ = darker(self.scene, mask, brighter=one.what == "bright")
        return mask

    def _fitted(self, mask: Mask) -> Mask:
        import cv2

        if mask.shape == self.scene.size:
            return mask
        height, width = self.scene.size
        return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.float32)

    def _full(self, mask: Mask) -> Mask:
        """The mask per pixel, its borders drawn to those of the photograph."""
        samples = self.scene.samples
        height, width = samples.shape[:2]
        full = np.empty((height, width), np.float32)
        for top in range(0, height, BAND):
            window = (top, 0, min(top + BAND, height), width)
            pixels = to_pixels(samples[top : window[2]])
            full[top : window[2]] = upsample(mask[None], (height, width), window, self.scene.small, pixels)[0]
        return np.clip((full - FAINT) / (1 - 2 * FAINT), 0, 1, out=full)
