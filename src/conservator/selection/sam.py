"""Things that a SAM-class network outlines: what points and boxes show it, or everything there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from conservator.models.foreign.segmenter import BATCH, BESIDE, CORNER, MEAN, ON, OPPOSITE, Floats, Segmenter
from conservator.models.runtime import probabilities
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Mask, Pixels
from conservator.selection.scene import Scene
from conservator.selection.source import Found, Prompt

GRID = 16
"""Points along the long side when everything is looked for: a quarter of what Segment Anything asks, for processors."""

OFFSET = 1.0  # of these thresholds, in logits
SAME = 0.7  # IoU from which two masks are one thing
LEAST_AREA, MOST_AREA = 0.002, 0.95  # of the frame
LEVELS = 16  # per logit: masks wait as bytes


@dataclass(frozen=True, eq=False)
class Sam:
    """A mask source over a promptable network.

    name     that it is asked for by, such as "sam:models/mobile_sam"
    network  see `models.foreign.segmenter`
    grid     points along the long side when everything is looked for
    quality, stability   that a mask then needs, in [0, 1], where it is not what the network's kind asks for
    """

    name: str
    network: Segmenter
    grid: int = GRID
    quality: float | None = None
    stability: float | None = None
    _seen: WeakKeyDictionary[Scene, Any] = field(default_factory=WeakKeyDictionary, repr=False)

    @property
    def weights(self) -> Mapping[str, str]:
        """SHA-256 of the network's files, by name."""
        return self.network.weights

    def knows(self, prompt: Prompt) -> bool:
        """False for words: it knows what a thing looks like, not what it is called."""
        return prompt.word is None

    def find(self, scene: Scene, prompt: Prompt) -> Sequence[Found]:
        """What the prompt shows, the likeliest of its readings first; for an empty prompt everything, each thing once.

        Raises ToolFailed when the network breaks or returns NaN, UsageError for a box that its file cannot take.
        """
        if prompt.points or prompt.box is not None:
            return sorted(self._shown(scene, prompt), key=lambda found: -found.confidence)
        return self._everything(scene)

    def _shown(self, scene: Scene, prompt: Prompt) -> Iterator[Found]:
        fit = _Fit.of(self.network, scene)
        corners = np.reshape(prompt.box or (), (-1, 2))
        points = np.concatenate([np.reshape([p[:2] for p in prompt.points], (-1, 2)), corners])
        labels = [ON if inside else BESIDE for *_, inside in prompt.points] + [CORNER, OPPOSITE][: len(corners)]
        logits, quality = self._decide(scene, fit, points[None], np.array([labels]))
        for one, sure in zip(logits[0], quality[0], strict=True):
            mask = fit.mask(one, scene.size)
            if (mask > 0).any():
                yield Found(_soft(mask), float(np.clip(sure, 0, 1)))

    def _everything(self, scene: Scene) -> list[Found]:
        """Good and stable masks around a grid of points; of those that are nearly the same only the best."""
        good = sorted(self._around(scene), key=lambda pair: -pair[0])
        kept: list[tuple[float, NDArray[np.int8], NDArray[np.uint8]]] = []
        for sure, levels in good:
            inside = np.packbits(levels > 0)
            if all(_iou(inside, other) < SAME for _, _, other in kept):
                kept.append((sure, levels, inside))
        return [Found(_soft((levels / LEVELS).astype(np.float32)), sure) for sure, levels, _ in kept]

    def _around(self, scene: Scene) -> Iterator[tuple[float, NDArray[np.int8]]]:
        """(confidence, logits as bytes at the scene's size) of every mask that counts."""
        fit = _Fit.of(self.network, scene)
        floors = zip((self.quality, self.stability), self.network.least, strict=True)
        least, stablest = (own if own is not None else usual for own, usual in floors)
        for logits, quality in self._candidates(scene, fit):
            if quality < least:
                continue
            mask = fit.mask(logits, scene.size)
            stable = float((mask > OFFSET).sum() / max((mask > -OFFSET).sum(), 1))
            if stable >= stablest and LEAST_AREA <= (mask > 0).mean() <= MOST_AREA:
                sure = float(np.clip(quality, 0, 1)) * stable
                yield sure, np.rint(np.clip(mask * LEVELS, -127, 127)).astype(np.int8)

    def _candidates(self, scene: Scene, fit: _Fit) -> Iterator[tuple[Floats, float]]:
        """(logits, quality) of what the network found by itself, or of all its readings of a grid of points."""
        if self.network.found is not None:
            yield from zip(*self.network.found(self._look(scene, fit)), strict=True)
            return
        height, width = scene.samples.shape[:2]
        counts = (max(1, round(self.grid * side / max(height, width))) for side in (height, width))
        rows, columns = ((np.arange(n) + 0.5) * side / n for n, side in zip(counts, (height, width), strict=True))
        points = np.array([(x, y) for y, x in product(rows, columns)])
        for some in np.array_split(points, -(-len(points) // BATCH)):
            logits, quality = self._decide(scene, fit, some[:, None], np.full((len(some), 1), ON))
            yield from ((logits[i, j], float(quality[i, j])) for i, j in np.ndindex(quality.shape))

    def _decide(
        self, scene: Scene, fit: _Fit, points: NDArray[Any], labels: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        return self.network.decide(self._look(scene, fit), fit.points(points), labels)

    def _look(self, scene: Scene, fit: _Fit) -> Any:
        if scene not in self._seen:
            self._seen[scene] = self.network.look(fit.picture(scene))
        return self._seen[scene]


@dataclass(frozen=True)
class _Fit:
    """How a photograph lies in the picture that a network takes; sizes are (height, width) in pixels.

    photo    of the photograph
    picture_size   of the picture
    inside   of what the photograph takes of it, from the upper left corner
    frame    of what masks span
    """

    photo: tuple[int, int]
    picture_size: tuple[int, int]
    inside: tuple[int, int]
    frame: tuple[int, int]

    @classmethod
    def of(cls, network: Segmenter, scene: Scene) -> _Fit:
        height, width = photo = scene.samples.shape[0], scene.samples.shape[1]
        inside = network.size
        if not network.stretched:
            scale = min(network.size[0] / height, network.size[1] / width)
            inside = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(photo, network.size, inside, network.frame)

    def picture(self, scene: Scene) -> Pixels:
        """What the network sees, float32 (h, w, 3): beside the photograph there is mean grey, which it takes for 0."""
        import cv2

        small = thumbnail(scene.samples, max(self.inside))
        picture = np.tile(MEAN, (*self.picture_size, 1))
        shrinks = small.shape[0] * small.shape[1] > self.inside[0] * self.inside[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture[: self.inside[0], : self.inside[1]] = cv2.resize(small, self.inside[::-1], interpolation=method)
        return np.asarray(picture, np.float32)

    def points(self, points: NDArray[Any]) -> Floats:
        """From pixels of the photograph to pixels of the picture; (…, 2) as x and y."""
        (height, width), (tall, wide) = self.photo, self.inside
        return np.asarray(points * (wide / width, tall / height), np.float32)

    def mask(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """Logits over the frame as logits over the photograph, float32 of a size."""
        import cv2

        y, x = (n * i / f for n, i, f in zip(logits.shape, self.inside, self.frame, strict=True))  # what it takes
        down, across = y / size[0], x / size[1]
        place = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(logits, place, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _soft(logits: Floats) -> Mask:
    """Probabilities: what the network is sure of counts in full, its doubts are the feather."""
    return np.asarray(probabilities(logits), np.float32)


def _iou(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Of packed masks."""
    return float(np.bitwise_count(one & other).sum() / max(np.bitwise_count(one | other).sum(), 1))
