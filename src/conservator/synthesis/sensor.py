"""Noise, compression and exposure: what happens to the light after the lens."""

from __future__ import annotations

import cv2
import numpy as np

from conservator.pixels.types import Mask, Pixels


def white(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Unit Gaussian noise."""
    return rng.standard_normal(shape, dtype=np.float32)


def noise_field(
    shape: tuple[int, int], rng: np.random.Generator, grain: float = 0.0, grey: float = 0.0, luma: float = 1.0
) -> Pixels:
    """Unit-variance noise (H, W, 3).

    grain   blur of the grain in px; 0 is white, demosaicked sensors show about 0.6
    grey    share of the variance common to the three channels, in [0, 1]
    luma    what is left of the channels' mean, in [0, 1]: cameras smooth brightness first, and colour speckles stay
    """
    field = white((*shape, 3), rng)
    if grey > 0:
        field = np.sqrt(1 - grey) * field + np.sqrt(grey) * white((*shape, 1), rng)
    if grain > 0:
        field = np.asarray(cv2.GaussianBlur(field, (0, 0), grain, borderType=cv2.BORDER_REFLECT))
    if luma < 1:
        field = field - np.float32(1 - luma) * field.mean(axis=2, keepdims=True)
    return field / max(float(field.std()), 1e-6) if grain > 0 or luma < 1 else field


def noise_deviation(image: Pixels, sigma: float, shot: float) -> Mask:
    """Deviation per pixel in 8-bit levels: Poisson-Gaussian, `sigma` at mid-grey, a share `shot` of it photon noise."""
    light = cv2.blur(image.mean(axis=2), (5, 5))
    return np.asarray(sigma * np.sqrt((1 - shot) + shot * np.maximum(light, 0.0) * 2.0), np.float32)


def jpeg(image: Pixels, quality: int, offset: tuple[int, int] = (0, 0), chroma_halved: bool = True) -> Pixels:
    """Encode and decode as JPEG.

    quality   libjpeg's 1…100
    offset    where the 8 × 8 grid starts, px; other than (0, 0) is a picture cropped after compression
    """
    dy, dx = offset
    padded = cv2.copyMakeBorder(image, dy, 0, dx, 0, cv2.BORDER_REFLECT) if (dy or dx) else image
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if chroma_halved else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    flags = [cv2.IMWRITE_JPEG_QUALITY, int(quality), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    eight = np.rint(np.clip(padded, 0, 1) * 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", eight[..., ::-1], flags)
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[dy:, dx:, ::-1]
    return decoded.astype(np.float32) / np.float32(255)


def expose(image: Pixels, model: str, amount: float) -> Pixels:
    """Change the exposure.

    model    "ev": `amount` stops in linear light (power 2.2); "gamma": value ** amount;
             "shift": value + amount; "compress": value × amount. The last three act on HSV's value.
    """
    if model == "ev":
        return np.asarray(np.minimum(image * np.float32(2.0 ** (amount / 2.2)), 1.0), np.float32)
    value = np.maximum(image.max(axis=2, keepdims=True), 0.0)
    target = value**amount if model == "gamma" else value + amount if model == "shift" else value * amount
    ratio = np.clip(target, 0.0, 1.0) / np.maximum(value, 1 / 255)
    return np.asarray(np.clip(image * ratio, 0.0, 1.0), np.float32)


def stops_between(clean: Pixels, exposed: Pixels) -> Mask:
    """log2 of the ratio of linear luminances (clean over exposed), locally averaged; EV lost when positive."""
    floor = 0.003  # about 1 % of mid-grey: keeps black from asking for infinite gain
    a, b = (
        cv2.blur(np.maximum(x.max(axis=2), 0.0) ** 2.2, (15, 15), borderType=cv2.BORDER_REFLECT)
        for x in (clean, exposed)
    )
    return np.asarray(np.log2((a + floor) / (b + floor)), np.float32)
