"""Small photographs and stand-ins for the tests of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conservator.benchmarks.controls import true_diagnosis
from conservator.benchmarks.photos import to_bytes
from conservator.degradations import NAMES
from conservator.diagnosis import Diagnosis
from conservator.photo import open_photo, save
from conservator.pixels.types import Maps, Samples
from conservator.treatment import Treatment, restore

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def picture(seed: int = 0, size: tuple[int, int] = (96, 128)) -> Bytes:
    """Something with gradients, edges and texture, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / np.array(size)[:, None, None]
    smooth = np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.5 + 0.3 * np.sin(7 * x + seed)], axis=-1)
    edges = 0.15 * ((8 * x).astype(int) % 2)[..., None]
    return to_bytes((smooth + edges + 0.03 * rng.standard_normal((*size, 3))).astype(np.float32))


def clean_pictures(folder: Path, count: int) -> Path:
    """A new folder with the first `count` pictures as PNG."""
    folder.mkdir()
    for seed in range(count):
        save(open_photo(picture(seed)), folder / f"{seed}.png")
    return folder


def found(maps: Maps, samples: Samples) -> Diagnosis:
    return replace(true_diagnosis(np.zeros_like(maps), samples), maps=maps, raw=maps, presence=maps)


def nothing_found(samples: Samples) -> Diagnosis:
    height, width = samples.shape[:2]
    return true_diagnosis(np.zeros((len(NAMES), -(-height // 8), -(-width // 8)), np.float32), samples)


def giving(result: Callable[[Bytes], Bytes]) -> Callable[[Any], Treatment]:
    """A stand-in for `restore` whose result is a function of the 8-bit input."""

    def treat(photo: Any) -> Treatment:
        idle = restore(photo, perceiver=nothing_found)
        before = np.asarray(idle.original.samples // 257, np.uint8)
        return replace(idle, photo=open_photo(result(before)))

    return treat


def write_noise_pairs(folder: Path) -> Path:
    """Three pairs in clean/ and noisy/."""
    for side in ("clean", "noisy"):
        (folder / side).mkdir()
    rng = np.random.default_rng(0)
    for seed in range(3):
        clean = picture(seed)
        noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        save(open_photo(clean), folder / "clean" / f"{seed}.png")
        save(open_photo(noisy), folder / "noisy" / f"{seed}.png")
    return folder
