"""Clean photographs for training, held in memory; every draw is a pure function of (seed, index)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

DATA = Path(os.environ.get("CONSERVATOR_DATA", "../shared/data"))
FOLDERS = ("bsd432", "wallpapers", "imagenet300")
HELD_OUT = 12  # every 12th photograph validates and calibrates; dev/ is never read here

Bytes = NDArray[np.uint8]
Draw = Callable[["Photographs", np.random.Generator], dict[str, Any]]


class Photographs:
    """The training photographs as uint8 RGB arrays.

    held_out   False for the training part, True for the part that validates
    smallest   photographs with a shorter side are left out
    """

    def __init__(self, held_out: bool = False, smallest: int = 128, folders: tuple[str, ...] = FOLDERS) -> None:
        files = [f for folder in folders for f in sorted((DATA / "train" / folder).glob("*.*"))]
        if not files:
            raise SystemExit(f"no photographs in {DATA}/train; set CONSERVATOR_DATA")
        chosen = [f for i, f in enumerate(files) if (i % HELD_OUT == 0) == held_out]
        read = (cv2.imread(str(f), cv2.IMREAD_COLOR) for f in chosen)
        self.images: list[Bytes] = [
            im[..., ::-1].copy() for im in read if im is not None and min(im.shape[:2]) >= smallest
        ]

    def crop(self, rng: np.random.Generator, side: int) -> NDArray[np.float32]:
        """A random square of `side` px at a random zoom ≤ 1, flipped and turned; float32 RGB in [0, 1]."""
        image = self.images[rng.integers(len(self.images))]
        least = side / min(image.shape[:2])
        if least < 0.95 and rng.random() < 0.5:  # shrinking also washes out what JPEG did to the original
            zoom = float(rng.uniform(max(least, 0.35), 1.0))
            image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        image = fill(image, side)
        y, x = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
        return turn(image[y : y + side, x : x + side], rng)

    def frame(self, rng: np.random.Generator, longest: int) -> NDArray[np.float32]:
        """A whole photograph (at least 60 % of it) shrunk to `longest` px; float32 RGB in [0, 1]."""
        image = self.images[rng.integers(len(self.images))]
        height, width = image.shape[:2]
        if rng.random() < 0.5:
            h, w = (int(n * rng.uniform(0.6, 1.0)) for n in (height, width))
            y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            image = image[y : y + h, x : x + w]
        image = shrink(image, longest)
        image = image[:, ::-1] if rng.random() < 0.5 else image
        return np.ascontiguousarray(image, np.float32) / np.float32(255)


def plain(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """A clean picture of next to nothing: one colour or a soft gradient, as walls and skies are."""
    y, x = np.linspace(-0.5, 0.5, height)[:, None, None], np.linspace(-0.5, 0.5, width)[None, :, None]
    slope = rng.normal(0, 0.25, (2, 3)) * rng.integers(2)
    image = rng.random(3) + slope[0] * y + slope[1] * x
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.float32) / np.float32(255)


def fill(image: Bytes, side: int) -> Bytes:
    """Mirror a photograph out to at least `side` px."""
    down, right = (max(0, side - n) for n in image.shape[:2])
    return cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REFLECT) if down or right else image


def shrink(image: NDArray[Any], longest: int) -> NDArray[Any]:
    """Resize so that the longer side is `longest` px."""
    scale = longest / max(image.shape[:2])
    size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def turn(image: Bytes, rng: np.random.Generator) -> NDArray[np.float32]:
    """One of the eight flips and quarter turns (of a square), as float32."""
    image = np.rot90(image, int(rng.integers(4)))
    image = image[:, ::-1] if rng.random() < 0.5 else image
    return np.ascontiguousarray(image, np.float32) / np.float32(255)


class Stream(torch.utils.data.IterableDataset):
    """Endless samples: the i-th one depends on (seed, i) alone, so a resumed run sees what it would have seen."""

    def __init__(self, draw: Draw, seed: int, start: int, source: Callable[[], Photographs]) -> None:
        self.draw, self.seed, self.start, self.source = draw, seed, start, source

    def __iter__(self) -> Iterator[dict[str, Any]]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        index = self.start + worker
        photographs = self.source()
        while True:
            yield self.draw(photographs, np.random.default_rng((self.seed, index)))
            index += workers
