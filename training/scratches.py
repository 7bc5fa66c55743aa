"""Recipe: the network that finds scratches, dust and folds, per native pixel.

    CONSERVATOR_DATA=../shared/data python training/scratches.py

A third of the crops has no damage at all, a tenth bears letters, wires or a border: whoever takes those for scratches
loses more by it than by a scratch that stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from conservator.synthesis import degrade, draw_preset
from conservator.synthesis.sensor import jpeg, noise_field
from data import Photographs
from loop import Recipe, half, main
from tool_networks import ScratchFinder

SIDE = 128
DENSER = 2.5
"""Times as many marks as a photograph would have: most crops are too small for more than two."""

SEEN = (0.03, 0.12)
"""Largest change of a channel that nobody sees, and the one from which a mark must be found; between lies doubt."""

Array = NDArray[np.float32]


def draw(
    photographs: Photographs, rng: np.random.Generator, side: int = SIDE, denser: float = DENSER
) -> dict[str, Any]:
    """A crop as an old print may show it, and where marks lie on it: 1, 0, or -1 where it is hard to tell."""
    clean, grain = _aged(photographs.crop(rng, side), rng)
    (damage,) = draw_preset(rng, ["scratches"])
    dense = replace(damage, parameters={**damage.parameters, "density": denser * damage.parameters["density"]})
    marred = degrade(clean, [dense]).degraded if rng.random() < 0.65 else clean
    change = np.abs(marred - clean).max(axis=2)
    low, high = (limit + grain for limit in SEEN)
    truth = np.where(change >= high, 1.0, np.where(change > low, -1.0, 0.0))
    scan = np.ascontiguousarray(_scanned(marred, rng).transpose(2, 0, 1))
    return {"image": scan, "truth": truth[None].astype(np.float32)}


def _aged(image: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """The crop as a print, and the deviation of its grain."""
    style = rng.random()
    if style < 0.5:
        grey = image @ rng.dirichlet((6, 12, 3)).astype(np.float32)
        tint = np.array([1, rng.uniform(0.8, 1), rng.uniform(0.5, 1)]) if style < 0.3 else np.ones(3)
        image = grey[..., None] ** (1 / tint).astype(np.float32)
    if rng.random() < 0.3:  # faded
        black, white = rng.uniform(0, 0.25), rng.uniform(0.7, 1)
        image = black + (white - black) * image
    if rng.random() < 0.1:
        image = _with_lines(image, rng)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    grain = rng.uniform(0, 0.04) if rng.random() < 0.5 else 0.0
    if grain:
        field = noise_field(image.shape[:2], rng, rng.uniform(0, 1.2), rng.choice([0.3, 1.0]))
        image = image + np.float32(grain) * field
    return np.clip(image, 0, 1).astype(np.float32), grain


def _with_lines(image: Array, rng: np.random.Generator) -> Array:
    """Letters, wires or a border: thin, too, and must stay."""
    picture = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    height, width = picture.shape[:2]
    level = rng.uniform(0, 80) if rng.random() < 0.6 else rng.uniform(80, 255)
    colour, thickness = [float(c) for c in level + rng.normal(0, 15, 3)], int(rng.integers(1, 4))
    style = rng.integers(3)
    if style == 0:
        letters = "".join(rng.choice(list("ABCDEFGHIJKLMNOPRSTUVWXYabcdefghiklmnoprstuvwxyz0123456789.,/ "), 14))
        for line in range(int(rng.integers(1, 4))):
            at = int(rng.integers(-40, width // 2)), int(rng.integers(height))
            face, size = int(rng.integers(8)), rng.uniform(0.3, 1.0)
            cv2.putText(picture, letters[line:], at, face, size, colour, min(thickness, 2), cv2.LINE_AA)
    elif style == 1:
        x, ends, sag = np.linspace(-5, width + 5, 24), rng.uniform(0, height, 2), rng.uniform(0, 0.15) * height
        for line in range(int(rng.integers(1, 4))):
            y = np.linspace(*ends, 24) + sag * (1 - (2 * x / width - 1) ** 2) + line * rng.uniform(5, 40)
            path = np.rint(np.stack([x, y], 1) * 16).astype(np.int32)[None]
            cv2.polylines(picture, path, False, colour, thickness, cv2.LINE_AA, 4)
    else:
        inset = int(rng.integers(0, 24))
        cv2.rectangle(picture, (-9, -9), (width - inset, height - inset), colour, thickness)
        if rng.random() < 0.7:
            picture[height - inset :], picture[:, width - inset :] = (255 - level), (255 - level)
    return np.rot90(picture, int(rng.integers(4))).astype(np.float32) / np.float32(255)


def _scanned(image: Array, rng: np.random.Generator) -> Array:
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.7))
    if rng.random() < 0.5:
        image = jpeg(image, int(rng.integers(50, 98)))
    return np.asarray(image, np.float32)


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy per pixel, and the Dice loss of the batch, which keeps thin marks from being outvoted."""
    with half(batch["image"].device.type):
        logits = network(batch["image"]).float()
    sure = (batch["truth"] >= 0).float()
    truth = batch["truth"].clamp_min(0)
    cross = (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * sure).sum() / sure.sum()
    share = torch.sigmoid(logits) * sure
    overlap = 2 * (share * truth).sum() / (share.sum() + truth.sum() + 1)
    return cross + 0.2 * (1 - overlap), {"cross": float(cross.detach()), "dice": float(overlap.detach())}


PRECISIONS = (0.5, 0.8, 0.9)
ALARMS = (1e-3, 3e-4, 1e-4)


def validate(network: nn.Module) -> dict[str, Any]:
    """Recall at several precisions over 160 crops of held-out photographs; as calibration, the logits that so small a
    share of the pixels of held-out photographs without marks passes."""
    held_out = Photographs(held_out=True)
    samples = [draw(held_out, np.random.default_rng((99, i)), 192, 1.0) for i in range(160)]
    score = np.concatenate([_score(network, s["image"])[s["truth"][0] >= 0] for s in samples])
    label = np.concatenate([s["truth"][s["truth"] >= 0] for s in samples])
    order = np.argsort(-score)
    hits = np.cumsum(label[order])
    precise = hits / np.arange(1, len(order) + 1)
    last = {p: np.flatnonzero(precise >= p)[-1] if (precise >= p).any() else 0 for p in PRECISIONS}
    report = {f"recall_{round(100 * p)}": round(float(hits[i] / hits[-1]), 4) for p, i in last.items()}
    clean = np.sort(np.concatenate([_score(network, _whole(image)).ravel() for image in held_out.images]))
    table = {f"alarm_{share:.0e}": round(float(clean[-1 - int(share * len(clean))]), 3) for share in ALARMS}
    return report | {"calibration": {"scratches": table}}


def _score(network: nn.Module, image: Array) -> Array:
    """Logits (H, W) of an image (3, H, W)."""
    with torch.no_grad():
        return network(torch.from_numpy(image)[None])[0, 0].numpy()


def _whole(image: NDArray[np.uint8]) -> Array:
    """Most of a photograph, sides multiples of 8, at most 640 px."""
    height, width = (min(side, 640) // 8 * 8 for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width].transpose(2, 0, 1), np.float32) / np.float32(255)


def recipe() -> Recipe:
    return Recipe(
        name="scratches",
        network=ScratchFinder(),
        draw=draw,
        loss=loss,
        example={"image": torch.rand(1, 3, 64, 96)},
        outputs=("logits",),
        describe={
            "summary": "per pixel: logit of lying under a scratch, hair, speck, blotch or fold",
            "kinds": ["scratches"],
            "data": "train/bsd432, train/wallpapers, train/imagenet300, marred by conservator.synthesis",
            "inputs": {"image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8"},
            "outputs": {"logits": "float32 (N, 1, H, W)"},
        },
        validate=validate,
        batch=8,
        steps=2100,
        rate=1.5e-3,
    )


if __name__ == "__main__":
    main(recipe())
