"""Recipe: the enlarger. Twice, three or four times the sides, from one body.

    CONSERVATOR_DATA=../shared/data python training/super_resolution.py

Most crops are shrunk as good software shrinks; some by methods that alias, and some are a little blurred, noisy or
compressed besides: what other tools leave of such damage must not be enlarged into patterns.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from data import Photographs
from loop import Recipe, half, main
from tool_networks import Enlarger

SHEET = 12  # crops that are learned from at once; all of one scale, so that they stack
SIDE = 40  # of a crop before it is enlarged
SHARES = (0.35, 0.2, 0.45)  # of the scales

Bytes = NDArray[np.uint8]
Resample = Image.Resampling
EVEN = ((Resample.BICUBIC, 0.7), (Resample.BOX, 0.15), (Resample.LANCZOS, 0.15))
JAGGED = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)


def draw(photographs: Photographs, rng: np.random.Generator) -> dict[str, Any]:
    """A sheet of crops, small and as they were."""
    scale = int(rng.choice(Enlarger.SCALES, p=SHARES))
    crops = [np.rint(photographs.crop(rng, SIDE * scale) * 255).astype(np.uint8) for _ in range(SHEET)]
    return {"image": _sheet([shrunk(crop, scale, rng) for crop in crops]), "target": _sheet(crops)}


def _sheet(crops: list[Bytes]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def shrunk(crop: Bytes, scale: int, rng: np.random.Generator) -> Bytes:
    """A crop at a `scale`-th of its sides, mostly by a method that does not alias, often a little worse than that."""
    height, width = crop.shape[0] // scale, crop.shape[1] // scale
    worse = rng.random() < 0.35
    if worse and rng.random() < 0.4:
        crop = cv2.GaussianBlur(crop, (0, 0), scale * rng.uniform(0.3, 0.8))
    if rng.random() < 0.07:
        small = cv2.resize(crop, (width, height), interpolation=JAGGED[rng.integers(len(JAGGED))])
    else:
        method = EVEN[rng.choice(len(EVEN), p=[share for _, share in EVEN])][0]
        small = np.asarray(Image.fromarray(crop).resize((width, height), method))
    if worse and rng.random() < 0.5:
        noisy = small + rng.normal(0, rng.uniform(0.5, 6.0), small.shape)
        small = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
    if worse and rng.random() < 0.5:
        coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 97))])[1]
        small = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
    return small


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Mean absolute error, and the gain over cubic interpolation in decibels."""
    image, target = batch["image"][0], batch["target"][0]
    scale = target.shape[2] // image.shape[2]
    with half(image.device.type):
        out = network.enlarged(image.contiguous(memory_format=torch.channels_last), scale)
    value = F.l1_loss(out.float(), target)
    with torch.no_grad():
        gain = _psnr(out.float(), target) - _psnr(network.interpolated(image, scale), target)
    return value, {"gain": float(gain.mean())}


def _psnr(out: Tensor, target: Tensor) -> Tensor:
    error = out.clamp(0, 1) - target
    return -10 * torch.log10((error * error).mean((1, 2, 3)).clamp_min(1e-6))


def validate(network: nn.Module) -> dict[str, Any]:
    """Mean gain in dB over cubic interpolation per scale on 60 held-out crops, cleanly shrunk and as in training."""
    held_out = Photographs(held_out=True)
    gains: dict[str, list[float]] = {}
    for scale in Enlarger.SCALES:
        for i in range(60):
            crop = np.rint(held_out.crop(np.random.default_rng((98, i)), 48 * scale) * 255).astype(np.uint8)
            clean = np.asarray(Image.fromarray(crop).resize((48, 48), Resample.BICUBIC))
            for name, small in (("clean", clean), ("mixed", shrunk(crop, scale, np.random.default_rng((99, i))))):
                image, target = (torch.from_numpy(_sheet([one])) for one in (small, crop))
                with torch.no_grad():
                    gain = _psnr(network.enlarged(image, scale), target) - _psnr(
                        network.interpolated(image, scale), target
                    )
                gains.setdefault(f"x{scale}_{name}", []).append(float(gain))
    return {name: round(float(np.mean(values)), 3) for name, values in gains.items()}


def recipe() -> Recipe:
    return Recipe(
        name="super_resolution",
        network=Enlarger(),
        draw=draw,
        loss=loss,
        example={"image": torch.rand(1, 3, 32, 48)},
        outputs=tuple(f"x{scale}" for scale in Enlarger.SCALES),
        describe={
            "summary": "enlarges two, three or four times: cubic interpolation plus what the photograph makes likely",
            "crops_per_step": SHEET,
            "kinds": ["low_resolution"],
            "data": "train/bsd432, train/wallpapers, train/imagenet300, shrunk; a third blurred, noisy or compressed",
            "inputs": {"image": "float32 (N, 3, H, W), RGB in [0, 1]"},
            "outputs": {f"x{scale}": f"float32 (N, 3, {scale}·H, {scale}·W)" for scale in Enlarger.SCALES},
        },
        validate=validate,
        batch=1,  # sheet
        steps=2000,
        rate=7e-4,
    )


if __name__ == "__main__":
    main(recipe())
