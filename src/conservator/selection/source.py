"""Where a mask may come from: the built-in words here; networks that segment or ground phrases implement the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from conservator.errors import UsageError
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

    def __str__(self) -> str:
        """In plain words."""
        shown = [f"{'at' if inside else 'not at'} {x:g},{y:g}" for x, y, inside in self.points]
        shown += ["in " + ",".join(f"{side:g}" for side in self.box)] if self.box is not None else []
        return repr(self.word) if self.word is not None else " ".join(shown) or "everything"

    def check(self, size: Sequence[int]) -> None:
        """UsageError unless points and box lie in a photo of this size, (H, W)."""
        height, width = size[:2]
        sides = [(x, y) for x, y, _ in self.points]
        if self.box is not None:
            left, top, right, bottom = self.box
            sides += [(left, top), (right, bottom)]
            if not (left < right and top < bottom):
                raise UsageError(f"a box {self}", "left, top, right, bottom", "swap its corners")
        if not all(0 <= x <= width and 0 <= y <= height for x, y in sides):
            raise UsageError(f"{self} in a photo of {width}×{height} px", "points inside it", "correct them")


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
        """For records: "vocabulary", "sam:models/mobile_sam"."""

    @property
    def weights(self) -> Mapping[str, str]:
        """For records: SHA-256 of the files it reads, by name."""

    def knows(self, prompt: Prompt) -> bool:
        """Whether it can look for such a thing at all; what it does not know it never guesses."""

    def find(self, scene: Scene, prompt: Prompt) -> Sequence[Found]:
        """Everything found, the surest first; empty when it is not there. Raises ModelMissing, ToolFailed."""
