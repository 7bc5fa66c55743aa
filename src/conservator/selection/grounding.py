"""Things by any name: a grounding network finds a box around them, and an outline is drawn inside it.

After Grounded SAM (Ren et al., arXiv 2401.14159). Without a network of SAM's kind the outline is GrabCut's (Rother et
al., SIGGRAPH 2004): what is inside the box and unlike what is outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conservator.models.foreign.grounding_torch import Grounder
from conservator.models.foreign.segmenter import Floats
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Mask, Pixels
from conservator.selection.scene import Scene
from conservator.selection.source import Found, MaskSource, Prompt

SURE = 0.35
"""How well a box must suit the words, as its authors have it."""

SAME = 0.8  # IoU from which two boxes are one thing
ROUNDS = 4  # of GrabCut


@dataclass(frozen=True, eq=False)
class Grounded:
    """A mask source over a grounding network.

    name      that it is asked for by, such as "dino:models/grounding_dino"
    network   see `models.foreign.grounding_torch`
    outliner  draws the thing in a box; None is GrabCut
    least     how well a box must suit the words, in [0, 1]
    """

    name: str
    network: Grounder
    outliner: MaskSource | None = None
    least: float = SURE

    @property
    def weights(self) -> Mapping[str, str]:
        """SHA-256 of the networks' files, by name."""
        return {**self.network.weights, **(self.outliner.weights if self.outliner else {})}

    def knows(self, prompt: Prompt) -> bool:
        """True for words, whatever they are; points and boxes go to who draws the outlines, if anybody does."""
        shown = bool(prompt.points) or prompt.box is not None
        return (prompt.word is not None and not shown) or (self.outliner is not None and self.outliner.knows(prompt))

    def find(self, scene: Scene, prompt: Prompt) -> Sequence[Found]:
        """Everything that the words name, as one mask: "the cups" are all of them. Raises ToolFailed."""
        if prompt.word is None:
            return self.outliner.find(scene, prompt) if self.outliner is not None else ()
        boxes, scores = self.network.find(self._picture(scene), prompt.word)
        chosen = list(_once(boxes, scores, self.least))
        if not chosen:
            return ()
        masks = [self._outlined(scene, boxes[i]) for i in chosen]
        return (Found(np.asarray(np.max(masks, axis=0), np.float32), float(scores[chosen].max())),)

    def _picture(self, scene: Scene) -> Pixels:
        import cv2

        height, width = scene.samples.shape[:2]
        scale = min(self.network.sides[0] / min(height, width), self.network.sides[1] / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = thumbnail(scene.samples, max(size))
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def _outlined(self, scene: Scene, box: Floats) -> Mask:
        if self.outliner is None:
            return _cut(scene.small, box)
        height, width = scene.samples.shape[:2]
        left, top, right, bottom = (float(side) for side in box * (width, height, width, height))
        found = self.outliner.find(scene, Prompt(box=(left, top, right, bottom)))
        return found[0].mask if found else np.zeros(scene.size, np.float32)


def _once(boxes: Floats, scores: Floats, least: float) -> Iterator[int]:
    """Boxes that suit the words, the best first, each thing once; boxes without any extent are none."""
    kept: list[int] = []
    for i in map(int, np.argsort(-scores)):
        sides = boxes[i, 2:] - boxes[i, :2]
        if scores[i] >= least and (sides > 0.005).all() and all(_iou(boxes[i], boxes[j]) < SAME for j in kept):
            kept.append(i)
            yield i


def _iou(one: Floats, other: Floats) -> float:
    both = (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).clip(0).prod()
    return float(both / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - both))


def _cut(small: Pixels, box: Floats) -> Mask:
    """What is in a box and unlike what is outside, softened by a pixel; the box itself where nothing is outside."""
    import cv2

    height, width = small.shape[:2]
    left, top, right, bottom = (round(float(side)) for side in box * (width, height, width, height))
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = cv2.GC_PR_FGD
    if (mask == cv2.GC_PR_FGD).sum() < 16:
        return np.asarray(mask > 0, np.float32)
    if (mask == cv2.GC_BGD).any():
        levels = np.rint(small * 255).astype(np.uint8)
        cv2.setRNGSeed(0)  # its clusters begin at random
        cv2.grabCut(levels, mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (3, 3), 0), np.float32)
