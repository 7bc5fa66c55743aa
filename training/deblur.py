"""Recipe: the network that finishes deblurring. It sees the blurred picture and what deconvolution made of it.

    CONSERVATOR_DATA=../shared/data python training/blurred.py         (makes what it learns from)
    python training/deblur.py

Where a kernel was found it takes away ripples and grain and what a wrong kernel left; where none was, both pictures are
the same, and it sharpens as far as the blurred one allows. The tool for motion asks it where a kernel was believed. It
has learned defocus, too, but is not asked: where the disc was read well it takes more away from fine texture than it
gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blurred import BLURS, FOLDER
from loop import Recipe, half, main
from tool_networks import Restorer

SIDE = 128
IN_PART = 0.2
"""Share of the crops in a part of which alone something is asked for."""

FINE = 3e-4
"""Squared error, 35 dB, below which little is to be gained: else the loss is all about what was sharp anyway."""

Array = NDArray[np.float32]


class Shelves:
    """The windows on disk, in memory."""

    def __init__(self, prefix: str = "shelf") -> None:
        files = sorted(FOLDER.glob(f"{prefix}_???.npz"))
        if not files:
            raise SystemExit(f"no windows in {FOLDER}; run training/blurred.py first")
        shelves = [np.load(file) for file in files]
        self.windows = np.concatenate([shelf["windows"] for shelf in shelves])
        self.severities = np.concatenate([shelf["severities"] for shelf in shelves])


def draw(shelves: Shelves, rng: np.random.Generator) -> dict[str, Any]:
    """A crop as it is, deconvolved and as it should be, turned; the severity is found in all of it, or in a part."""
    chosen = int(rng.integers(len(shelves.windows)))
    window = shelves.windows[chosen]
    y, x = (int(rng.integers(n - SIDE + 1)) for n in window.shape[1:3])
    crop = np.rot90(window[:, y : y + SIDE, x : x + SIDE], int(rng.integers(4)), axes=(1, 2))
    crop = crop[:, :, ::-1] if rng.random() < 0.5 else crop
    clean, blurred, sharp = (crop.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    severity = np.broadcast_to(shelves.severities[chosen][:, None, None], (len(BLURS), SIDE, SIDE)).copy()
    if rng.random() < IN_PART:
        severity *= _part(rng)
    return {"image": np.concatenate([blurred, sharp]), "severity": severity, "target": clean.copy()}


def _part(rng: np.random.Generator) -> Array:
    mask = np.zeros((SIDE, SIDE), np.float32)
    y, x = (int(rng.integers(SIDE // 2)) for _ in range(2))
    mask[y : y + SIDE // 2, x : x + SIDE // 2] = 1
    return mask


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Mean PSNR where something is asked for; gains over the blurred picture and over the deconvolved one."""
    image, severity, target = batch["image"], batch["severity"], batch["target"]
    with half(image.device.type):
        out = network(image, severity)
    asked = (severity.amax(1, keepdim=True) > 0).float()
    errors = [_error(one, target, asked) for one in (out.float(), image[:, 3:], image[:, :3])]
    value = torch.log10(errors[0] + FINE).mean()
    with torch.no_grad():
        found, sharp, blurred = (-10 * torch.log10(error + FINE) for error in errors)
    return value, {"gain": float((found - blurred).mean()), "over_physics": float((found - sharp).mean())}


def _error(one: Tensor, target: Tensor, asked: Tensor) -> Tensor:
    return (asked * torch.square(one - target)).mean((1, 2, 3)) / asked.mean((1, 2, 3))


def validate(network: nn.Module) -> dict[str, Any]:
    """Gains in dB on whole held-out windows, by blur and by whether deconvolution did anything."""
    shelves, found = Shelves("held_out"), {}
    for window, severity in zip(shelves.windows, shelves.severities, strict=True):
        clean, blurred, sharp = (torch.from_numpy(window).float() / 255).permute(0, 3, 1, 2)
        asked = torch.from_numpy(severity)[None, :, None, None].expand(1, -1, *clean.shape[1:]).contiguous()
        with torch.no_grad():
            out = network(torch.cat([blurred, sharp])[None], asked)[0].clamp(0, 1)
        before, physics, after = (_decibel(one, clean) for one in (blurred, sharp, out))
        blind = bool((blurred == sharp).all())
        name = "sharp" if before > 33 else BLURS[int(severity.argmax())] + (", no kernel" if blind else "")
        found.setdefault(name, []).append((physics - before, after - before, float(after < before - 0.1)))
    return {
        name: {k: round(float(v), 3) for k, v in zip(("physics", "finished", "worse"), np.mean(rows, 0), strict=True)}
        for name, rows in sorted(found.items())
    }


def _decibel(one: Tensor, clean: Tensor) -> float:
    return float(-10 * torch.log10(torch.square(one - clean).mean() + 1e-6))


def recipe() -> Recipe:
    kinds = len(BLURS)
    return Recipe(
        name="deblur",
        network=Restorer(kinds, widths=(36, 56, 80), depth=(2, 2, 2), pictures=2),
        draw=draw,
        loss=loss,
        source=Shelves,
        example={"image": torch.rand(1, 6, 64, 96), "severity": torch.rand(1, kinds, 64, 96)},
        outputs=("restored",),
        describe={
            "summary": "finishes what deconvolution made of blurred pixels; zero severity returns what it made",
            "kinds": list(BLURS),
            "data": "train/bsd432, train/wallpapers, train/imagenet300, blurred by conservator.synthesis, deconvolved "
            "by the tools or with kernels that are nearly right",
            "inputs": {
                "image": "float32 (N, 6, H, W), RGB in [0, 1] blurred and then deconvolved, H and W multiples of 8",
                "severity": f"float32 (N, {kinds}, H, W), severity in [0, 1] per kind",
            },
            "outputs": {"restored": "float32 (N, 3, H, W)"},
        },
        validate=validate,
        batch=12,
        steps=5000,
        rate=1e-3,
    )


if __name__ == "__main__":
    main(recipe())
