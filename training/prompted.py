"""What the recipes of networks prompted by severity maps share: crops with their prompts, loss, validation, card."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from loop import Recipe, half
from perception import Shipped

OTHERS = ("motion_blur", "defocus_blur", "low_resolution", *(d.name for d in FRAME))
"""What a crop may suffer from besides."""

PLAIN: dict[str, dict[str, Any]] = {
    "noise": {"shot": 0.0, "grain": 0.0, "grey": 0.0, "luma": 1.0, "camera_quality": 0},
    "jpeg": {"first": 0, "offset": (0, 0), "chroma_halved": True},
}
"""Damage as benchmarks have it. Most that is drawn is of many makes; left at that, this one is rare."""

Array = NDArray[np.float32]
PERCEIVER = Shipped("perceiver_local")
SEEN = [d.name for d in LOCAL]  # channels of the local perceiver


@dataclass(frozen=True)
class Prompted:
    """Crops for a network that removes some kinds of damage where their maps say so.

    Half of the crops get the true maps, half those of the shipped local perceiver; both are spoiled now and then, and
    some kinds are left out of the prompt and then stay in the target. So does what the network is not asked about.

    kinds  what it removes
    often  what a crop suffers from, as often as it is named
    alone  share of the crops with the first of the kinds in its plain form and nothing else
    side   of a crop, px
    """

    kinds: tuple[str, ...]
    often: tuple[str, ...]
    alone: float
    side: int = 112

    def draw(self, photographs: Photographs, rng: np.random.Generator) -> dict[str, Any]:
        """A damaged crop, its prompt and what should be left of it."""
        sample = self.sample(photographs.crop(rng, self.side), rng)
        truth = self.truth(sample)
        prompt = self.perceived(sample.degraded) if rng.random() < 0.5 else _spoiled(truth, rng)
        dropped = [k for i, k in enumerate(self.kinds) if truth[i].any() and rng.random() < 0.12]
        for kind in dropped:
            prompt[self.kinds.index(kind)] = 0.0
        target = sample.without([k for k in self.kinds if k not in dropped])
        size = sample.degraded.shape[1::-1]
        pixels = [cv2.resize(np.ascontiguousarray(p), size, interpolation=cv2.INTER_LINEAR) for p in prompt]
        return {
            "image": np.ascontiguousarray(sample.degraded.transpose(2, 0, 1)),
            "severity": np.stack(pixels).astype(np.float32),
            "target": np.ascontiguousarray(target.transpose(2, 0, 1)),
        }

    def sample(self, clean: Array, rng: np.random.Generator) -> Sample:
        """A crop with damage all over or in places."""
        if rng.random() < self.alone:
            (damage,) = draw_global(rng, [self.kinds[0]])
            return degrade(clean, [replace(damage, parameters=damage.parameters | PLAIN[self.kinds[0]])])
        others = [str(rng.choice(OTHERS))] if rng.random() < 0.25 else []
        if rng.random() < 0.5:
            kinds = {str(k) for k in rng.choice(self.often, int(rng.integers(1, 3)))}
            return degrade(clean, draw_global(rng, [*kinds, *others]))
        damages, regions = draw_spatial(clean, rng, (*self.often, *others), most=2, preset=bool(rng.random() < 0.3))
        return degrade(clean, damages, regions)

    def truth(self, sample: Sample) -> Array:
        """True severities (K, h, w) of the kinds."""
        return np.asarray(sample.truth[[INDEX[k] for k in self.kinds]], np.float32)

    def perceived(self, image: Array) -> Array:
        """Maps of the shipped perceiver, gated at a presence of one half."""
        presence, severity = PERCEIVER(image=np.ascontiguousarray(image.transpose(2, 0, 1)))
        notice = np.array([BY_NAME[k].threshold for k in self.kinds], np.float32)[:, None, None]
        channels = [SEEN.index(k) for k in self.kinds]
        presence, severity = presence[channels], severity[channels]
        return np.where((presence > 0.5) & (severity > 0.5 * notice), severity, 0.0).astype(np.float32)

    def validate(self, network: nn.Module) -> dict[str, Any]:
        """Mean PSNR gain in dB on 120 held-out crops with true and with perceived maps."""
        held_out = Photographs(held_out=True)
        gains: dict[str, list[float]] = {"true_maps": [], "perceived_maps": [], "worse_perceived": []}
        for i in range(120):
            sample = self.sample(held_out.crop(np.random.default_rng((98, i)), 160), np.random.default_rng((99, i)))
            for name, maps in (("true_maps", self.truth(sample)), ("perceived_maps", self.perceived(sample.degraded))):
                gains[name].append(_gain(network, sample.degraded, sample.without(self.kinds), maps))
            gains["worse_perceived"].append(float(gains["perceived_maps"][-1] < 0))
        return {name: round(float(np.mean(values)), 3) for name, values in gains.items()}

    def recipe(self, name: str, network: nn.Module, summary: str, *, steps: int, rate: float) -> Recipe:
        """How such a network is trained, exported and described."""
        count = len(self.kinds)
        return Recipe(
            name=name,
            network=network,
            draw=self.draw,
            loss=loss,
            example={"image": torch.rand(1, 3, 64, 96), "severity": torch.rand(1, count, 64, 96)},
            outputs=("restored",),
            describe={
                "summary": f"removes {summary}; zero severity returns the pixel",
                "kinds": list(self.kinds),
                "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis",
                "inputs": {
                    "image": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8",
                    "severity": f"float32 (N, {count}, H, W), severity in [0, 1] per kind",
                },
                "outputs": {"restored": "float32 (N, 3, H, W)"},
            },
            validate=self.validate,
            batch=12,
            steps=steps,
            rate=rate,
        )


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


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Mean PSNR, as NAFNet's (Chen et al., ECCV 2022): a faint damage counts as much as a strong one, in decibels."""
    with half(batch["image"].device.type):
        out = network(batch["image"], batch["severity"])
    error = out.float() - batch["target"]
    value = torch.log10((error * error).mean((1, 2, 3)) + 1e-5).mean()
    with torch.no_grad():
        gain = _psnr(error) - _psnr(batch["image"] - batch["target"])
    return value, {"gain": float(gain.mean())}


def _gain(network: nn.Module, degraded: Array, target: Array, maps: Array) -> float:
    image, wanted = (torch.from_numpy(a.transpose(2, 0, 1).copy())[None] for a in (degraded, target))
    severity = torch.nn.functional.interpolate(torch.from_numpy(maps)[None], image.shape[2:], mode="bilinear")
    with torch.no_grad():
        return float(_psnr(network(image, severity).clamp(0, 1) - wanted) - _psnr(image - wanted))


def _psnr(error: Tensor) -> Tensor:
    return -10 * torch.log10((error * error).mean((1, 2, 3)).clamp_min(1e-6))
