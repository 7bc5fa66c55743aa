"""Recipe: the frame perceiver. Haze and exposure on the whole frame, shrunk to at most 192 px.

CONSERVATOR_DATA=../shared/data python training/perceiver_frame.py
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import perception
from conservator.degradations import FRAME, INDEX, LOCAL, LOW_LIGHT, OVER_EXPOSURE
from conservator.synthesis import degrade, draw_global, draw_preset, draw_spatial
from conservator.synthesis.masks import partition
from conservator.synthesis.sensor import stops_between
from data import DATA, Bytes, Photographs, plain
from loop import Recipe, main
from networks import frame_perceiver

KINDS = tuple(d.name for d in FRAME)
OTHERS = tuple(d.name for d in LOCAL)
CHANNELS = [INDEX[k] for k in KINDS]
PROMPTS = [INDEX[k] for k in OTHERS]
NOTICE = np.array([d.threshold for d in LOCAL], np.float32)[:, None, None]
SIZE = (128, 192)  # what the network sees in training
WORK = (192, 288)  # where damage is inflicted before shrinking
CLOSEST = 96  # width in pixels of the tightest windows
GRID = (SIZE[0] // 4, SIZE[1] // 4)


def landscape(photographs: Photographs, rng: np.random.Generator) -> NDArray[np.float32]:
    """A landscape window of a photograph at WORK size, mirrored half of the time.

    A third of the windows are tight: a close-up of something dark or pale is not a photograph gone wrong.
    """
    image = photographs.images[rng.integers(len(photographs.images))]
    height, width = image.shape[:2]
    tightest = max(0.1, CLOSEST / width)
    share = float(rng.uniform(tightest, 0.65) if rng.random() < 0.33 else rng.uniform(0.65, 1.0))
    w = int(width * share)
    h = min(height, int(w / rng.uniform(1.2, 1.7)))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    window = cv2.resize(image[y : y + h, x : x + w], WORK[::-1], interpolation=cv2.INTER_AREA)
    window = window[:, ::-1] if rng.random() < 0.5 else window
    return np.ascontiguousarray(window, np.float32) / np.float32(255)


MISMATCHED = {"007", "008", "011", "021"}
"""Bracket folders whose exposures show another picture than their reference."""


def brackets(held_out: bool) -> list[tuple[Bytes, list[Bytes]]]:
    """Real exposure series: (reference, other exposures) per scene, at WORK size."""
    scenes = []
    for i, folder in enumerate(sorted((DATA / "train/exposure_brackets").iterdir())):
        if (i % 12 == 0) == held_out and folder.name not in MISMATCHED:
            pictures = [
                cv2.resize(cv2.imread(str(f))[..., ::-1], WORK[::-1], interpolation=cv2.INTER_AREA)
                for f in (folder / "reference.jpg", *sorted(folder.glob("luma*.jpg")))
            ]
            scenes.append((pictures[0], pictures[1:]))
    return scenes


class Frames(Photographs):
    """Photographs and real exposure brackets."""

    def __init__(self, held_out: bool = False) -> None:
        super().__init__(held_out)
        self.images = [im if max(im.shape) < 700 else cv2.resize(im, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                       for im in self.images]  # fmt: skip
        self.brackets = brackets(held_out)


def draw(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    """One frame: a real bracket (8 %), clean or only locally damaged (18 %), damaged all over (23 %) or in places."""
    return _shown(_scene(frames, rng), rng)


def twins(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    """The same scene twice, damaged differently: what the two share cannot explain why their labels differ."""
    if rng.random() < 0.2:
        return outlines(frames, rng)
    scene = _scene(frames, rng)
    one, other = _shown(scene, rng), _shown(scene, rng)
    return {key: np.stack([one[key], other[key]]) for key in one}


def outlines(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    """The same scene twice with a single veil or shadow each, mostly cut out with scissors, and nothing else wrong.

    Outlines are learned several times faster from these than from the mixture, where so much else pays sooner.
    """
    clean = _varied(landscape(frames, rng), rng)
    one, other = (_cut_out(clean, rng) for _ in range(2))
    return {key: np.stack([one[key], other[key]]) for key in one}


def _cut_out(clean: NDArray[np.float32], rng: np.random.Generator) -> dict[str, Any]:
    mask = partition(clean, rng, int(rng.integers(2, 4)))[0]
    if rng.random() < 0.7:
        mask = (mask > 0.5).astype(np.float32)
    sample = degrade(clean, draw_preset(rng, [str(rng.choice(KINDS))], mask))
    return pack(sample.degraded, sample.truth[CHANNELS], np.zeros((len(OTHERS), 1, 1), np.float32))


Scene = NDArray[np.float32] | tuple[Bytes, list[Bytes]]
"""A clean photograph, or a reference and other exposures of it."""


def _scene(frames: Frames, rng: np.random.Generator) -> Scene:
    style = rng.random()
    if style < 0.08:
        return frames.brackets[rng.integers(len(frames.brackets))]
    return plain(rng, *WORK) if style < 0.10 else _varied(landscape(frames, rng), rng)


def _shown(scene: Scene, rng: np.random.Generator) -> dict[str, Any]:
    if isinstance(scene, tuple):
        return _bracket(*scene, rng)
    style = rng.random()
    local = [str(k) for k in rng.permutation(OTHERS)[: int(rng.integers(0, 3))]] if rng.random() < 0.5 else []
    if style < 0.20:
        damages = draw_global(rng, local)
    elif style < 0.45:
        damages = draw_global(rng, [str(rng.choice(KINDS)), *local])
    else:
        damages = draw_spatial(scene, rng, (*KINDS, *KINDS, *OTHERS), most=2, preset=bool(rng.random() < 0.4))[0]
        if rng.random() < 0.35:  # hard outlines are the easiest to learn from, and soft ones are like them
            damages = [replace(d, mask=(np.asarray(d.mask) > 0.5).astype(np.float32)) for d in damages]
    sample = degrade(scene, damages)
    return pack(sample.degraded, sample.truth[CHANNELS], found(sample.truth[PROMPTS], rng))


def _varied(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The same scene under a slightly other light: too little to be damage, enough not to be known by heart."""
    if rng.random() < 0.5:
        return image
    gains, gamma = rng.uniform(0.93, 1.07, 3), rng.uniform(0.87, 1.15)
    return np.clip(image**gamma * gains, 0, 1).astype(np.float32)


def found(truth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What the local perceiver would have found: strong damage, now and then a kind overlooked, or everything."""
    if rng.random() < 0.2:
        return np.zeros_like(truth)
    found = np.where(truth >= NOTICE, truth * rng.uniform(0.9, 1.1, (len(truth), 1, 1)), 0)
    found[rng.random(len(found)) < 0.1] = 0
    return found.clip(0, 1).astype(np.float32)


def _bracket(reference: Bytes, exposures: list[Bytes], rng: np.random.Generator) -> dict[str, Any]:
    chosen = exposures[rng.integers(len(exposures))] if rng.random() < 0.8 else reference
    flip = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
    truth_picture, picture = (np.ascontiguousarray(p[:, flip], np.float32) / 255 for p in (reference, chosen))
    return pack(picture, exposure_truth(truth_picture, picture), np.zeros((len(OTHERS), 1, 1), np.float32))


def exposure_truth(reference: NDArray[np.float32], picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Severities (K, H, W) of an exposure against the reference of its scene."""
    stops = cv2.blur(stops_between(reference, picture), (15, 15))
    truth = np.zeros((len(KINDS), *stops.shape), np.float32)
    truth[KINDS.index("low_light")] = LOW_LIGHT.severity(np.maximum(stops, 0))
    truth[KINDS.index("over_exposure")] = OVER_EXPOSURE.severity(np.maximum(-stops, 0))
    truth[truth < 0.2] = 0.0  # a sixth of a stop is taste, not damage
    return truth


def pack(picture: NDArray[np.float32], truth: NDArray[np.float32], local: NDArray[np.float32]) -> dict[str, Any]:
    """A frame as the network reads it, with the truth on its cells."""
    image = cv2.resize(picture, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return {"image": np.ascontiguousarray(image.transpose(2, 0, 1)), "local": _gridded(local), "truth": _gridded(truth)}


def _gridded(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (K, h, w) resized to the network's cells."""
    resized = [cv2.resize(np.ascontiguousarray(m), GRID[::-1], interpolation=cv2.INTER_AREA) for m in maps]
    return np.stack(resized).astype(np.float32)


def recipe() -> Recipe:
    network = frame_perceiver(len(KINDS), len(OTHERS))
    held_out = Frames(held_out=True)
    network.fit_features(
        torch.as_tensor(np.stack([draw(held_out, np.random.default_rng((7, i)))["image"] for i in range(64)]))
    )
    samples: list[dict[str, Any]] = []

    def validate(net: torch.nn.Module) -> dict[str, Any]:
        if not samples:
            samples.extend(draw(held_out, np.random.default_rng((99, i))) for i in range(300))
        return perception.measure(net, samples, KINDS)

    return Recipe(
        name="perceiver_frame",
        network=network,
        draw=twins,  # type: ignore[arg-type]
        loss=partial(perception.loss, kinds=KINDS),
        example={"image": torch.rand(1, 3, 64, 96), "local": torch.rand(1, len(OTHERS), 16, 24)},
        outputs=("cells",),
        describe={
            "summary": "per 4×4 cell of the shrunk frame: presence, severity and log deviation of haze and exposure",
            "kinds": list(KINDS),
            "data": "train/*, degraded by conservator.synthesis; train/exposure_brackets as they are",
            "inputs": {
                "image": "float32 (N, 3, H, W), the whole frame, RGB in [0, 1], longer side 192, multiples of 8",
                "local": "float32 (N, 6, H/4, W/4), severities of local damage as decided, in [0, 1]",
            },
            "outputs": {"cells": "float32 (N, 9, H/4, W/4): 3 presence logits, 3 severities, 3 log deviations"},
        },
        validate=validate,
        batch=8,
        steps=11000,
        rate=1.5e-3,
        source=Frames,
    )


if __name__ == "__main__":
    main(recipe())
