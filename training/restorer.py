"""Recipe: the spatially prompted restorer. Noise, JPEG and rain by severity map: any subset, any place, one pass.

    CONSERVATOR_DATA=../shared/data python training/restorer.py        (after perceiver_local.py)

Half of the crops get the true maps, half those of the shipped local perceiver; both are spoiled now and then, and some
kinds are left out of the prompt and then stay in the target. So does blur, which is not this network's business.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conservator.degradations import BY_NAME, FRAME, INDEX, LOCAL
from conservator.synthesis import degrade, draw_global, draw_spatial
from conservator.synthesis.mixtures import Sample
from data import Photographs
from loop import Recipe, half, main
from networks import Restorer
from perception import Shipped

KINDS = ("noise", "jpeg", "rain")
CHANNELS = [INDEX[k] for k in KINDS]
SEEN = [tuple(d.name for d in LOCAL).index(k) for k in KINDS]  # channels of the local perceiver
OFTEN = ("noise", "noise", "jpeg", "jpeg", "rain")
OTHERS = ("motion_blur", "defocus_blur", "low_resolution", *(d.name for d in FRAME))
"""What a crop may suffer from besides."""

SIDE = 112
Array = NDArray[np.float32]
PERCEIVER = Shipped("perceiver_local")


def draw(photographs: Photographs, rng: np.random.Generator, side: int = SIDE) -> dict[str, Any]:
    """A damaged crop, its prompt and what should be left of it."""
    sample = _sample(photographs.crop(rng, side), rng)
    truth = sample.truth[CHANNELS]
    prompt = _perceived(sample.degraded) if rng.random() < 0.5 else _spoiled(truth, rng)
    dropped = [k for i, k in enumerate(KINDS) if truth[i].any() and rng.random() < 0.12]
    for kind in dropped:
        prompt[KINDS.index(kind)] = 0.0
    target = sample.without([k for k in KINDS if k not in dropped])
    size = sample.degraded.shape[1::-1]
    pixels = [cv2.resize(np.ascontiguousarray(p), size, interpolation=cv2.INTER_LINEAR) for p in prompt]
    return {
        "image": np.ascontiguousarray(sample.degraded.transpose(2, 0, 1)),
        "severity": np.stack(pixels).astype(np.float32),
        "target": np.ascontiguousarray(target.transpose(2, 0, 1)),
    }


def _sample(clean: Array, rng: np.random.Generator) -> Sample:
    others = [str(rng.choice(OTHERS))] if rng.random() < 0.25 else []
    if rng.random() < 0.5:
        kinds = {str(k) for k in rng.choice(OFTEN, int(rng.integers(1, 3)))}
        return degrade(clean, draw_global(rng, [*kinds, *others]))
    damages, regions = draw_spatial(clean, rng, (*OFTEN, *others), most=2, preset=bool(rng.random() < 0.3))
    return degrade(clean, damages, regions)


def _spoiled(truth: Array, rng: np.random.Generator) -> Array:
    """True maps, mostly a little wrong: scaled, widened, shrunk, or with a false patch."""
    maps = truth.copy()
    if rng.random() < 0.3:
        return maps
    for channel in maps:
        channel *= rng.uniform(0.85, 1.15)
        kernel = np.ones((3, 3), np.uint8)
        change = rng.random()
        if change < 0.2:
            channel[:] = cv2.dilate(channel, kernel)
        elif change < 0.4:
            channel[:] = cv2.erode(channel, kernel)
    if rng.random() < 0.15:
        y, x = (int(rng.integers(n)) for n in maps.shape[1:])
        maps[rng.integers(len(maps)), y : y + 6, x : x + 6] = rng.uniform(0.1, 0.6)
    return np.clip(maps, 0, 1)


def _perceived(image: Array) -> Array:
    """Maps of the shipped perceiver, gated at a presence of one half."""
    presence, severity = PERCEIVER(image=np.ascontiguousarray(image.transpose(2, 0, 1)))
    notice = np.array([BY_NAME[k].threshold for k in KINDS], np.float32)[:, None, None]
    presence, severity = presence[SEEN], severity[SEEN]
    return np.where((presence > 0.5) & (severity > 0.5 * notice), severity, 0.0).astype(np.float32)


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Mean PSNR, as NAFNet's (Chen et al., ECCV 2022): a faint damage counts as much as a strong one, in decibels."""
    with half(batch["image"].device.type):
        out = network(batch["image"], batch["severity"])
    error = out.float() - batch["target"]
    value = torch.log10((error * error).mean((1, 2, 3)) + 1e-5).mean()
    with torch.no_grad():
        before = _psnr(batch["image"] - batch["target"])
        gain = _psnr(error) - before
    return value, {"gain": float(gain.mean())}


def _psnr(error: Tensor) -> Tensor:
    return -10 * torch.log10((error * error).mean((1, 2, 3)).clamp_min(1e-6))


def validate(network: nn.Module) -> dict[str, Any]:
    """Mean PSNR gain in dB on 120 held-out crops with true and with perceived maps."""
    held_out = Photographs(held_out=True)
    gains: dict[str, list[float]] = {"true_maps": [], "perceived_maps": [], "worse_perceived": []}
    for i in range(120):
        sample = _sample(held_out.crop(np.random.default_rng((98, i)), 160), np.random.default_rng((99, i)))
        target = torch.from_numpy(sample.without(KINDS).transpose(2, 0, 1).copy())[None]
        image = torch.from_numpy(sample.degraded.transpose(2, 0, 1).copy())[None]
        for name, maps in (("true_maps", sample.truth[CHANNELS]), ("perceived_maps", _perceived(sample.degraded))):
            severity = torch.nn.functional.interpolate(torch.from_numpy(maps)[None], image.shape[2:], mode="bilinear")
            with torch.no_grad():
                gain = float(_psnr(network(image, severity).clamp(0, 1) - target) - _psnr(image - target))
            gains[name].append(gain)
            if name == "perceived_maps":
                gains["worse_perceived"].append(float(gain < 0))
    return {name: round(float(np.mean(values)), 3) for name, values in gains.items()}


def recipe() -> Recipe:
    return Recipe(
        name="restorer",
        network=Restorer(len(KINDS)),
        draw=draw,
        loss=loss,
        example={"image": torch.rand(1, 3, 64, 96), "severity": torch.rand(1, len(KINDS), 64, 96)},
        outputs=("restored",),
        describe={
            "summary": "removes noise, compression and rain where their maps say so; zero severity returns the pixel",
            "kinds": list(KINDS),
            "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis",
            "inputs": {
                "image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8",
                "severity": "float32 (N, 3, H, W), severity in [0, 1] per kind",
            },
            "outputs": {"restored": "float32 (N, 3, H, W)"},
        },
        validate=validate,
        batch=12,
        steps=5200,
        rate=2e-3,
    )


if __name__ == "__main__":
    main(recipe())
