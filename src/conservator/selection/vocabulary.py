"""The built-in source: words that need no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from conservator.pixels.types import Mask
from conservator.selection import damage, depth, geometry, tones
from conservator.selection.faces import faces
from conservator.selection.lettering import lettering
from conservator.selection.scene import Scene
from conservator.selection.sky import sky
from conservator.selection.source import Found, Prompt

Look = Callable[[Scene], tuple[Mask, float]]



def _side(scene: Scene, name: str) -> tuple[Mask, float]:
    return geometry.side(scene.size, name), 1.0


WORDS: Mapping[str, Look] = {
    "sky": sky,
    "shadows": tones.shadows,
    "highlights": tones.highlights,
    "foreground": depth.foreground,
    "background": depth.background,
    "skin": tones.skin,
    "faces": faces,
    "text": lettering,
    **{word: partial(damage.damaged, word=word) for word in damage.KINDS},
    "dark": damage.dark,
    "bright": tones.highlights,
    **{name: partial(_side, name=name) for name in geometry.SIDES},
}


class Vocabulary:
    """Finds what the built-in words name."""

    name = "vocabulary"
    weights: Mapping[str, str] = MappingProxyType({})

    def knows(self, prompt: Prompt) -> bool:
        """True for the words alone: points and boxes take a network."""
        return prompt.word in WORDS and not prompt.points and prompt.box is None

    def find(self, scene: Scene, prompt: Prompt) -> tuple[Found, ...]:
        """One mask of everything that the word means, or nothing."""
        mask, confidence = WORDS[str(prompt.word)](scene)
        if confidence == 0 or not (mask >= 0.5).any():
            return ()
        return (Found(np.asarray(mask, np.float32), confidence),)


VOCABULARY = Vocabulary()
