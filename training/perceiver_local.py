"""Recipe: the local perceiver. Noise, JPEG, motion and defocus blur, resolution and rain per 8 × 8 native px.

CONSERVATOR_DATA=../shared/data python training/perceiver_local.py
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

import perception
from conservator.degradations import INDEX, LOCAL, PERCEIVED
from conservator.synthesis import degrade, draw_global, draw_spatial
from data import Photographs, plain
from loop import Recipe, main
from networks import local_perceiver

KINDS = tuple(d.name for d in LOCAL)
CHANNELS = [INDEX[k] for k in KINDS]
SIDE = 192


def draw(photographs: Photographs, rng: np.random.Generator, side: int = SIDE) -> dict[str, Any]:
    """One crop: clean (15 %), one mixture everywhere (25 %), or different mixtures in different places (60 %)."""
    style = rng.random()
    clean = plain(rng, side, side) if style < 0.03 else photographs.crop(rng, side)
    if style < 0.15:
        damages, regions = [], []
    elif style < 0.40:
        kinds = rng.permutation(PERCEIVED)[: int(rng.integers(1, 4))]
        damages, regions = draw_global(rng, [str(k) for k in kinds]), []
    else:
        damages, regions = draw_spatial(clean, rng, (*PERCEIVED, *KINDS), most=2, preset=bool(rng.random() < 0.3))
    sample = degrade(clean, damages, regions)
    return {"image": np.ascontiguousarray(sample.degraded.transpose(2, 0, 1)), "truth": sample.truth[CHANNELS]}


def validation() -> list[dict[str, Any]]:
    """200 crops of held-out photographs."""
    held_out = Photographs(held_out=True)
    return [draw(held_out, np.random.default_rng((99, i)), 256) for i in range(200)]


def recipe() -> Recipe:
    network = local_perceiver(len(KINDS))
    photographs = Photographs(held_out=True)
    images = [draw(photographs, np.random.default_rng((7, i)))["image"] for i in range(64)]
    network.fit_features(torch.as_tensor(np.stack(images)))
    samples: list[dict[str, Any]] = []

    def validate(net: torch.nn.Module) -> dict[str, Any]:
        if not samples:
            samples.extend(validation())
        return perception.measure(net, samples, KINDS)

    return Recipe(
        name="perceiver_local",
        network=network,
        draw=draw,
        loss=partial(perception.loss, kinds=KINDS),
        example={"image": torch.rand(1, 3, 64, 96)},
        outputs=("cells",),
        describe={
            "summary": "per 8×8 cell: presence logit, severity and log deviation of each local degradation",
            "kinds": list(KINDS),
            "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis",
            "inputs": {"image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8"},
            "outputs": {"cells": "float32 (N, 18, H/8, W/8): 6 presence logits, 6 severities, 6 log deviations"},
        },
        validate=validate,
        batch=12,
        steps=10000,
        rate=1.5e-3,
    )


if __name__ == "__main__":
    main(recipe())
