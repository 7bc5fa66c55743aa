"""What our own tools made of damaged training photographs, well used and badly, for the critic to learn from.

    CONSERVATOR_DATA=../shared/data python training/outcomes.py [SHELVES]

Made once, by the shipped networks, and kept in CHECKPOINTS/outcomes as shelves of 100 crops. Shelf and place are the
seed; a run that was stopped goes on with the shelf that is missing.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import FRAME, INDEX
from conservator.perception import observe
from conservator.pixels.types import Maps, Pixels, to_samples
from conservator.synthesis import degrade, draw_global, draw_spatial
from conservator.synthesis.mixtures import Sample
from conservator.tools.card import Tool
from conservator.tools.registry import TOOLS
from data import Photographs, shrink
from loop import CHECKPOINTS

FOLDER = CHECKPOINTS / "outcomes"
SHELF, SIDE = 100, 160
TREATED = 5
"""Outcomes per crop; behind the truth and the damaged crop, a shelf is uint8 (SHELF, 2 + TREATED, H, W, 3)."""

SHELVES, HELD_OUT = 11, 3
"""As many as the shipped critic has learned from; it was still learning, and more would be better."""

LOCALS = ("noise", "noise", "jpeg", "jpeg", "rain", "rain", "defocus_blur", "motion_blur", "low_resolution")
FRAMES = tuple(d.name for d in FRAME)
TREATABLE = ("noise", "jpeg", "rain")
Bytes = NDArray[np.uint8]


def main(shelves: int) -> None:
    """Fill what is missing, the held-out shelves first."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for held_out, count in ((True, HELD_OUT), (False, shelves)):
        photographs = Photographs(held_out)
        for number in range(count):
            path = FOLDER / f"{'held_out' if held_out else 'shelf'}_{number:03d}.npy"
            if path.exists():
                continue
            seeds = ((41 + held_out, number, place) for place in range(SHELF))
            filled = np.stack([outcomes(photographs, np.random.default_rng(seed)) for seed in seeds])
            np.save(path.with_suffix(".tmp.npy"), filled)
            path.with_suffix(".tmp.npy").replace(path)
            print(path, flush=True)


def outcomes(photographs: Photographs, rng: np.random.Generator) -> Bytes:
    """Truth, damaged crop and what became of it, uint8 (2 + TREATED, SIDE, SIDE, 3)."""
    sample = damaged(photographs, rng)
    found, seen = [sample.clean, sample.degraded], None
    for _ in range(TREATED):
        if rng.random() < 0.35:  # what will be asked most: our own tools on what is really perceived
            seen = seen or observe(to_samples(sample.degraded, 8))
            maps = seen.maps if rng.random() < 0.6 else np.where(seen.presence > 0.3, seen.raw, 0).astype(np.float32)
        else:
            maps = sample.truth
        found.append(treated(sample.degraded, misused(maps.copy(), rng), rng))
    return np.stack([np.rint(one * 255).astype(np.uint8) for one in found])


def damaged(photographs: Photographs, rng: np.random.Generator) -> Sample:
    """A native crop, or most of a frame that was shrunk; one in eight is clean, half are damaged in places."""
    framed = rng.random() < 0.35
    clean = frame(photographs, rng) if framed else photographs.crop(rng, SIDE)
    if rng.random() < 0.12:
        return degrade(clean, [])
    kinds = (*FRAMES, *FRAMES, *TREATABLE) if framed else (*LOCALS, str(rng.choice(FRAMES)))
    if rng.random() < 0.5:
        return degrade(clean, draw_global(rng, list({str(k) for k in rng.choice(kinds, int(rng.integers(1, 3)))})))
    return degrade(clean, *draw_spatial(clean, rng, kinds, most=2, preset=bool(rng.random() < 0.4)))


def frame(photographs: Photographs, rng: np.random.Generator) -> Pixels:
    """The middle of a photograph, its shorter side shrunk to SIDE; float32 in [0, 1]."""
    image = photographs.images[rng.integers(len(photographs.images))]
    image = shrink(image, -(-SIDE * max(image.shape[:2]) // min(image.shape[:2])))
    y, x = (int(rng.integers(n - SIDE + 1)) for n in image.shape[:2])
    image = image[y : y + SIDE, x : x + SIDE]
    image = image[:, ::-1] if rng.random() < 0.5 else image
    return np.ascontiguousarray(image, np.float32) / np.float32(255)


def misused(maps: Maps, rng: np.random.Generator) -> Maps:
    """Half of the time as they are; else too weak, too strong, for the wrong kind, or where nothing is."""
    way = rng.random()
    if way < 0.5:
        return maps
    if way < 0.7:
        return np.minimum(maps * rng.choice([0.3, 0.5, 0.7, 1.5, 2.0, 3.0]), 1).astype(np.float32)
    if way < 0.8:
        given = [INDEX[kind] for kind in (*TREATABLE, *FRAMES)]
        maps[given] = maps[rng.permutation(given)]
        return maps
    kind = INDEX[str(rng.choice((*TREATABLE, *TREATABLE, *FRAMES)))]
    if way < 0.9:
        maps[kind] = rng.uniform(0.15, 0.9)
        return maps
    maps[:] = 0
    y, x = (int(rng.integers(n // 2)) for n in maps.shape[1:])
    maps[kind, y : y + int(rng.integers(4, 16)), x : x + int(rng.integers(4, 16))] = rng.uniform(0.15, 0.9)
    return maps


def treated(pixels: Pixels, maps: Maps, rng: np.random.Generator) -> Pixels:
    """Everything our tools have against what the maps name, in the right order or not, some of it left out."""
    chosen = ["joint", "tone", *(["defocus_deblur"] if maps[INDEX["defocus_blur"]].any() else [])]
    if rng.random() < 0.3:
        chosen = [str(rng.choice(chosen))]
    if rng.random() < 0.2:
        chosen = chosen[::-1]
    if rng.random() < 0.05:
        chosen.append("white_balance")
        maps[INDEX["colour_cast"]] = rng.uniform(0.2, 1)
    for name in chosen:
        pixels = applied(TOOLS.get(name), pixels, maps)
    return pixels


def applied(tool: Tool, pixels: Pixels, maps: Maps) -> Pixels:
    """The tool on a crop by itself: the engine would widen it by the halo, at thrice the cost."""
    given = np.zeros_like(maps)
    treats = [INDEX[kind] for kind in tool.card.treats]
    given[treats] = maps[treats]
    if not given.any():
        return pixels
    severity = widened(given)
    survey = widened(tool.survey(pixels, severity)) if tool.survey else np.zeros((0, SIDE, SIDE), np.float32)
    result = np.clip(tool.treat(pixels, severity, survey), 0, 1)
    return np.where(severity.any(axis=0)[..., None], result, pixels)


def widened(maps: Maps) -> Maps:
    """Maps on the crop's pixels."""
    return np.stack([cv2.resize(np.ascontiguousarray(m), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for m in maps])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SHELVES)
