"""Recipe: the frame perceiver. Haze and exposure on the whole frame, shrunk to at most 256 px.

CONSERVATOR_DATA=../shared/data python training/perceiver_frame.py
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import perception
from conservator.degradations import FRAME, INDEX, LOCAL, LOW_LIGHT, OVER_EXPOSURE
from conservator.synthesis import degrade, draw_global, draw_spatial
from conservator.synthesis.sensor import stops_between
from data import DATA, Bytes, Photographs, plain
from loop import Recipe, main
from networks import frame_perceiver

KINDS = tuple(d.name for d in FRAME)
OTHERS = tuple(d.name for d in LOCAL)
CHANNELS = [INDEX[k] for k in KINDS]
SIZE = (176, 256)  # what the network sees in training
WORK = (220, 320)  # where damage is inflicted before shrinking
GRID = (SIZE[0] // 4, SIZE[1] // 4)


def landscape(photographs: Photographs, rng: np.random.Generator) -> NDArray[np.float32]:
    """A landscape window of a photograph at WORK size, mirrored half of the time.

    A third of the windows are tight: a close-up of something dark or pale is not a photograph gone wrong.
    """
    image = photographs.images[rng.integers(len(photographs.images))]
    height, width = image.shape[:2]
    share = float(rng.uniform(0.25, 0.65) if rng.random() < 0.33 else rng.uniform(0.65, 1.0))
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
    """One frame: a real bracket (10 %), clean or only locally damaged (26 %), damaged all over (9 %) or in places."""
    style = rng.random()
    if style < 0.10:
        return _bracket(frames, rng)
    clean = plain(rng, *WORK) if style < 0.12 else landscape(frames, rng)
    local = [str(k) for k in rng.permutation(OTHERS)[: int(rng.integers(0, 3))]] if rng.random() < 0.5 else []
    if style < 0.36:
        damages = draw_global(rng, local)
    elif style < 0.45:
        damages = draw_global(rng, [str(rng.choice(KINDS)), *local])
    else:
        damages = draw_spatial(clean, rng, (*KINDS, *KINDS, *OTHERS), most=2, preset=bool(rng.random() < 0.3))[0]
    sample = degrade(clean, damages)
    return _pack(sample.degraded, sample.truth[CHANNELS])


def _bracket(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    reference, exposures = frames.brackets[rng.integers(len(frames.brackets))]
    chosen = exposures[rng.integers(len(exposures))] if rng.random() < 0.8 else reference
    flip = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
    truth_picture, picture = (np.ascontiguousarray(p[:, flip], np.float32) / 255 for p in (reference, chosen))
    return _pack(picture, exposure_truth(truth_picture, picture))


def exposure_truth(reference: NDArray[np.float32], picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Severities (K, H, W) of an exposure against the reference of its scene."""
    stops = cv2.blur(stops_between(reference, picture), (15, 15))
    truth = np.zeros((len(KINDS), *stops.shape), np.float32)
    truth[KINDS.index("low_light")] = LOW_LIGHT.severity(np.maximum(stops, 0))
    truth[KINDS.index("over_exposure")] = OVER_EXPOSURE.severity(np.maximum(-stops, 0))
    truth[truth < 0.2] = 0.0  # a sixth of a stop is taste, not damage
    return truth


def _pack(picture: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, Any]:
    image = cv2.resize(picture, SIZE[::-1], interpolation=cv2.INTER_AREA)
    maps = [cv2.resize(np.ascontiguousarray(t), GRID[::-1], interpolation=cv2.INTER_AREA) for t in truth]
    return {"image": np.ascontiguousarray(image.transpose(2, 0, 1)), "truth": np.stack(maps).astype(np.float32)}


def recipe() -> Recipe:
    network = frame_perceiver(len(KINDS))
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
        draw=draw,  # type: ignore[arg-type]
        loss=partial(perception.loss, kinds=KINDS),
        example={"image": torch.rand(1, 3, 64, 96)},
        outputs=("cells",),
        describe={
            "summary": "per 4×4 cell of the shrunk frame: presence, severity and log deviation of haze and exposure",
            "kinds": list(KINDS),
            "data": "train/*, degraded by conservator.synthesis; train/exposure_brackets as they are",
            "inputs": {
                "image": "float32 (N, 3, H, W), the whole frame, RGB in [0, 1], longer side 256, multiples of 8"
            },
            "outputs": {"cells": "float32 (N, 9, H/4, W/4): 3 presence logits, 3 severities, 3 log deviations"},
        },
        validate=validate,
        batch=12,
        steps=12000,
        rate=1.5e-3,
        source=Frames,
    )


if __name__ == "__main__":
    main(recipe())
