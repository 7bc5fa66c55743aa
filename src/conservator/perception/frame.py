"""Haze and exposure show only in the whole frame: a crop cannot tell a veil or a shadow from the scene."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.models.runtime import probabilities, run
from conservator.pixels.reduce import fitted, thumbnail
from conservator.pixels.types import Maps, Pixels, Samples
from conservator.pixels.upsample import upsample

MODEL = "perceiver_frame"
LONGEST = 192
"""Longer side of what the network sees in px; it was trained on this size."""

CELL = 4
"""Side of a cell of the network in px."""


def read(samples: Samples, guide: Pixels, local: Maps) -> Maps:
    """Raw outputs (3 · K, h, w) on the cell grid of `guide`: presence logits, severities, log deviations.

    local   severities (P, h, w) of the local damage that was decided on, in the order of the model's prompts; whoever
            knows where noise or compression ends sees sooner where a veil or a shadow does

    The frame is looked at whole, and closer in nine overlapping windows of half its sides. What is everywhere only the
    whole frame shows, for a window of it looks like a scene; of what is in places, windows see the outlines better.
    """
    close = fitted(thumbnail(samples, 2 * LONGEST), 2 * LONGEST, multiple=16)
    image, grid = close.transpose(2, 0, 1), (close.shape[0] // CELL, close.shape[1] // CELL)
    prompt, half = _resized(local, grid), (grid[0] // 2, grid[1] // 2)
    small = _resized(image, (half[0] * CELL, half[1] * CELL))
    whole = _resized(_both_ways(small[None], _resized(prompt, half)[None])[0], grid)
    found = whole + _in_places(whole) / 2 * (_from_near(image, prompt) - whole)
    colours = np.ascontiguousarray(_resized(image, grid).transpose(1, 2, 0))
    return upsample(found, (guide.shape[0], guide.shape[1]), guide=colours, pixels=guide)


def _in_places(cells: Maps) -> Maps:
    """Share of the frame that each kind leaves free, for every output of the network: (3 · K, 1, 1)."""
    share = probabilities(cells[: len(cells) // 3]).mean(axis=(1, 2))
    return np.asarray(np.tile(1 - share, 3)[:, None, None], np.float32)


def _from_near(image: Maps, prompt: Maps) -> Maps:
    """Mean answer of the windows, on the grid of `prompt`."""
    height, width = prompt.shape[1:]
    corners = [(height * y // 4, width * x // 4) for y in range(3) for x in range(3)]
    cells = [(slice(y, y + height // 2), slice(x, x + width // 2)) for y, x in corners]
    pixels = [tuple(slice(part.start * CELL, part.stop * CELL) for part in there) for there in cells]
    answers = _both_ways(np.stack([image[:, *p] for p in pixels]), np.stack([prompt[:, *c] for c in cells]))
    total, looks = np.zeros((answers.shape[1], height, width), np.float32), np.zeros((height, width), np.float32)
    for there, answer in zip(cells, answers, strict=True):
        total[:, *there] += answer
        looks[there] += 1
    return np.asarray(total / looks, np.float32)


def _both_ways(images: Maps, prompts: Maps) -> Maps:
    """Mean answers to pictures and to their mirror images: two looks err less than one."""
    straight, mirrored = (
        run(MODEL, {"image": np.ascontiguousarray(i), "local": np.ascontiguousarray(p)})[0]
        for i, p in ((images, prompts), (images[..., ::-1], prompts[..., ::-1]))
    )
    return np.asarray((straight + mirrored[..., ::-1]) / 2, np.float32)


def _resized(maps: Maps, size: tuple[int, int]) -> Maps:
    method = cv2.INTER_AREA if size[0] < maps.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(m), size[::-1], interpolation=method) for m in maps])
