"""Where a mask may come from: the built-in words here; networks that segment or ground phrases implement the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from conservator.pixels.types import Mask
from conservator.selection.scene import Scene

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; in pixels of the photo."""


@dataclass(frozen=True)
class Prompt:
    """What to look for; an empty prompt is everything there is.

    word     what it is called: "sky", "faces"
    points   (x, y, inside) in pixels of the photo: on the thing, or beside it
    box      that the thing lies in
    """

    word: str | None = None
    points: tuple[tuple[float, float, bool], ...] = ()
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """One thing that a source found.

    mask        float32 in [0, 1], spans the frame at whatever size the source works at
    confidence  that this is the thing, in [0, 1]
    """

    mask: Mask
    confidence: float


@runtime_checkable
class MaskSource(Protocol):
    """Finds things in a scene."""

    @property
    def name(self) -> str:
        """For records: "vocabulary", "sam"."""

    def knows(self, prompt: Prompt) -> bool:
        """Whether it can look for such a thing at all; what it does not know it never guesses."""

    def find(self, scene: Scene, prompt: Prompt) -> Sequence[Found]:
        """Everything found, the surest first; empty when it is not there. Raises ModelMissing."""
