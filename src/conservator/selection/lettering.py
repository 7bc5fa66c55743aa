"""Text in the picture: letters as areas of one tone and one stroke width that stand in lines; or by a network.

Letters are extremal regions (Neumann and Matas, CVPR 2012) whose strokes are equally wide (after Epshtein et al., CVPR
2010). Four of a size, side by side, that are not all the same (as in a fence) are a line. Whoever needs more sets
CONSERVATOR_TEXT to the path of a DB network (Liao et al., AAAI 2020) as ONNX, such as the detectors of PaddleOCR.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError, ModelMissing, ToolFailed
from conservator.models.foreign.segmenter import MEAN, SPREAD
from conservator.models.runtime import ports, run
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Mask
from conservator.selection.scene import Scene

VARIABLE = "CONSERVATOR_TEXT"
LONGEST = 960  # pixels of the long side of what is looked at
LETTERS = 4  # that make a line
SMALLEST, LARGEST = 7, 0.4  # height of a letter: pixels, and share of the short side
UNEVEN = 0.45  # standard deviation of a stroke's width over its mean, up to which it is one
CONTRAST = 25.0  # levels between a letter and nearly all that surrounds it
EVEN = 0.35  # standard deviation of a letter's tones, as a share of that
STEP = 12  # levels between the thresholds at which areas are looked for
KERNEL, WIDE = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
MULTIPLE = 32  # of which a DB network's sides are
SEEN, SURE = 0.3, 0.6  # probability from which a pixel is text for the network, and mean from which an area is
MARGIN = 1.6  # how much farther than its core a line reaches, by area over perimeter (as in the paper)
Box: TypeAlias = NDArray[np.float32]
"""Corners (4, 2) as x and y, as shares of the frame's sides, and what is between them is text."""


@dataclass(frozen=True)
class _Letter:
    """What may be one, in pixels: its box, the width of its stroke, its tone in [0, 255], and how far it stands out."""

    left: int
    top: int
    width: int
    height: int
    stroke: float
    tone: float
    sharp: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2


def lettering(scene: Scene) -> tuple[Mask, float]:
    """Boxes around lines of text, (h, w), and the confidence of the surest."""
    import cv2

    file = os.environ.get(VARIABLE)
    found = list(_by_network(scene, Path(file)) if file else _by_strokes(scene))
    mask = np.zeros(scene.size, np.float32)
    for box, _ in found:
        corners = np.rint((box * scene.size[::-1] - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 1.0, cv2.LINE_AA, 4)
    return mask, max((sure for _, sure in found), default=0.0)


def _by_strokes(scene: Scene) -> Iterator[tuple[Box, float]]:
    import cv2

    small = np.rint(thumbnail(scene.samples, LONGEST) * np.float32(255)).astype(np.uint8)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if min(height, width) < 2 * SMALLEST:
        return
    for line in _lines(_letters(grey)):
        corners = np.concatenate([_corners(letter) for letter in line])
        # A sixth of a letter around them is theirs: what a tool changes there changes their edges.
        centre, size, angle = cv2.minAreaRect(corners)
        margin = float(np.median([letter.height for letter in line])) / 3
        box = cv2.boxPoints((centre, (size[0] + margin, size[1] + margin), angle))
        yield np.asarray(box / (width, height), np.float32), min(0.9, 0.4 + 0.05 * len(line))


def _letters(grey: NDArray[np.uint8]) -> list[_Letter]:
    """Areas that could be letters, each place once, lighter and darker than what surrounds them."""
    tallest = int(min(grey.shape) * LARGEST)
    found: list[_Letter] = []
    for level in range(STEP, 256, STEP):
        for inside in (grey >= level, grey < level):
            found += _at_level(grey, inside.astype(np.uint8), tallest)
    return _once(found)


def _at_level(grey: NDArray[np.uint8], inside: NDArray[np.uint8], tallest: int) -> Iterator[_Letter]:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    left, top, width, height, area = stats.T
    fits = (height >= SMALLEST) & (height <= tallest) & (width <= 2 * height) & (area <= 0.8 * width * height)
    fits &= (12 * width >= height) & (area >= 0.15 * width * height) | (width * 3 < height) & (area >= SMALLEST)
    for label in np.flatnonzero(fits[1:]) + 1:
        x, y, w, h = (int(side[label]) for side in (left, top, width, height))
        around = slice(max(y - 2, 0), y + h + 2), slice(max(x - 2, 0), x + w + 2)
        letter = _letter(grey[around], (labels[around] == label).astype(np.uint8), (x, y, w, h))
        if letter is not None:
            yield letter


def _letter(grey: NDArray[np.uint8], inside: NDArray[np.uint8], box: tuple[int, int, int, int]) -> _Letter | None:
    """The letter that an area may be, both with two pixels around its box; None when strokes or tones are no pen's."""
    import cv2

    away = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    core = away[(away >= cv2.dilate(away, KERNEL)) & (inside > 0)]
    stroke = 2 * float(core.mean())
    if core.std() > UNEVEN * core.mean() or stroke > 0.5 * box[3]:
        return None
    rim = (cv2.dilate(inside, WIDE) > 0) & (cv2.dilate(inside, KERNEL) == 0)
    own, beside = grey[inside > 0], grey[rim]
    if beside.size < 8:
        return None
    tone, apart = float(own.mean()), float(np.median(own)) - beside
    # All around it is lighter, or all around it is darker: a letter is written on something.
    sharp = float(np.quantile(apart, 0.15)) if np.median(apart) > 0 else -float(np.quantile(apart, 0.85))
    return _Letter(*box, stroke, tone, sharp) if sharp >= CONTRAST and own.std() <= EVEN * sharp else None


def _once(letters: list[_Letter]) -> list[_Letter]:
    """Of those that lie on the same place the one that stands out most: areas are found at several levels.

    What lies inside another, such as the hole of an "o", stays: it is of another tone and joins no line.
    """
    left = sorted(letters, key=lambda one: -one.sharp)
    boxes = np.array([(one.left, one.top, one.left + one.width, one.top + one.height) for one in left], np.float32)
    open_, kept = np.ones(len(left), np.bool_), list[_Letter]()
    for i, letter in enumerate(left):
        if open_[i]:
            kept.append(letter)
            open_ &= _iou(boxes[i], boxes) < 0.5
    return kept


def _iou(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a box with others, (N,)."""
    both = (np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])).clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(both / (areas + (one[2:] - one[:2]).prod() - both), np.float32)


def _lines(letters: list[_Letter]) -> list[list[_Letter]]:
    """Letters that neighbours join, LETTERS or more, in one direction."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(letters) < LETTERS:
        return []
    pairs = [(i, j) for i, one in enumerate(letters) for j in range(i) if _neighbours(one, letters[j])]
    index = np.array(pairs, np.intp).reshape(-1, 2).T
    joined = coo_array((np.ones(len(pairs)), (index[0], index[1])), (len(letters), len(letters)))
    count, labels = connected_components(joined, directed=False)
    groups = [[letters[i] for i in np.flatnonzero(labels == label)] for label in range(count)]
    return [group for group in groups if len(group) >= LETTERS and _straight(group) and _written(group)]


def _neighbours(one: _Letter, other: _Letter) -> bool:
    """Whether two are of a size, a stroke and a tone, and stand beside each other."""
    tall, low = max(one.height, other.height), min(one.height, other.height)
    across = max(one.left, other.left) - min(one.left + one.width, other.left + other.width)
    across_middle, down_middle = (abs(a - b) for a, b in zip(one.middle, other.middle, strict=True))
    strokes = max(one.stroke, other.stroke) / max(min(one.stroke, other.stroke), 0.5)
    return (tall <= 2 * low and -0.2 * tall <= across <= 0.9 * tall and down_middle <= 0.6 * tall
            and across_middle >= 0.2 * low and strokes <= 1.6 and abs(one.tone - other.tone) <= 25)  # fmt: skip


def _straight(group: list[_Letter]) -> bool:
    """Whether letters stand in a line, not in a heap: theirs is much longer than they leave it."""
    middles = np.array([letter.middle for letter in group])
    spread = np.linalg.svd(middles - middles.mean(axis=0), compute_uv=False) / np.sqrt(len(group))
    height = float(np.median([letter.height for letter in group]))
    return bool(spread[1] <= 0.3 * height and spread[0] >= 0.5 * height)


def _written(group: list[_Letter]) -> bool:
    """Whether letters are of one pen and one ink, and not all of one width."""
    stroke, tone, width = np.array([(one.stroke, one.tone, one.width / one.height) for one in group]).T
    return bool(stroke.std() <= 0.25 * stroke.mean() and tone.std() <= 15 and width.std() >= 0.08)


def _corners(letter: _Letter) -> NDArray[np.float32]:
    right, bottom = letter.left + letter.width, letter.top + letter.height
    return np.array([(x, y) for x in (letter.left, right) for y in (letter.top, bottom)], np.float32)


def _by_network(scene: Scene, file: Path) -> Iterator[tuple[Box, float]]:
    import cv2

    if not file.is_file():
        raise ModelMissing(f"{VARIABLE}={file}: no such file", "a DB text detector", "correct the path, or unset it")
    inputs, _ = ports(file)
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise InputError(f"{file} takes {len(inputs)} inputs", "one picture, as DB text detectors", "use such a file")
    small = thumbnail(scene.samples, LONGEST)
    height, width = (max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in small.shape[:2])
    # They were trained on OpenCV's order of colours, and with the means in that of ImageNet all the same.
    given = (cv2.resize(small, (width, height))[..., ::-1] - MEAN) / SPREAD
    (likely,) = run(file, {inputs[0].name: np.ascontiguousarray(np.moveaxis(given, -1, 0)[None], np.float32)})
    if likely.shape != (1, 1, height, width) or not np.isfinite(likely).all():
        raise ToolFailed(f"{file.name} returned {likely.shape}", f"probabilities (1, 1, {height}, {width})")
    outlines, _ = cv2.findContours((likely[0, 0] >= SEEN).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for outline in outlines:
        core = np.zeros((height, width), np.uint8)
        cv2.drawContours(core, [outline], 0, 1, -1)
        sure = float(likely[0, 0][core > 0].mean())
        centre, size, angle = cv2.minAreaRect(outline)
        if sure >= SURE and min(size) >= 3:
            grown = 2 * MARGIN * size[0] * size[1] / (2 * (size[0] + size[1]))
            box = cv2.boxPoints((centre, (size[0] + grown, size[1] + grown), angle))
            yield np.asarray(box / (width, height), np.float32), sure
