"""Haze and rain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask, Pixels
from conservator.synthesis.optics import convolve, line, path


def smooth_field(shape: tuple[int, int], rng: np.random.Generator, cells: int) -> Mask:
    """Low-frequency random field in [0, 1] with about `cells` bumps a side."""
    coarse = rng.random((cells + 1, cells + 1), dtype=np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(field, 0.0, 1.0)


def depth(image: Pixels, rng: np.random.Generator) -> Mask:
    """A plausible depth map in [0, 1]: a tilted ramp (far at the top), or flat segments, or layers behind edges."""
    height, width = image.shape[:2]
    y = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    ramp = y + rng.uniform(-0.6, 0.6) * x
    style = rng.integers(4)
    if style == 1:  # layers: the ramp in steps, like hills behind hills
        levels = int(rng.integers(2, 5))
        ramp = np.floor((ramp + 0.3 * smooth_field((height, width), rng, 4)) * levels) / levels
        ramp = cv2.GaussianBlur(ramp.astype(np.float32), (0, 0), 1.0)
    elif style == 2:  # segments: brighter and bluer surfaces lie farther away
        tone = image.mean(axis=2) + 0.3 * (image[..., 2] - image[..., 0])
        ramp = 0.6 * ramp + cv2.bilateralFilter(tone.astype(np.float32), 9, 0.15, 7)
    elif style == 3:  # a veil of nearly constant thickness
        ramp = np.full((height, width), 0.8, np.float32) + 0.2 * ramp
    field = ramp + rng.uniform(0.0, 0.4) * smooth_field((height, width), rng, 3)
    low, high = float(field.min()), float(field.max())
    floor = 0.6 if style == 3 else rng.uniform(0.0, 0.35)
    return np.asarray(floor + (1 - floor) * (field - low) / max(high - low, 1e-6), np.float32)


def haze(image: Pixels, transmission: Mask, airlight: NDArray[np.float32]) -> Pixels:
    """Koschmieder's law: t·J + (1 − t)·A."""
    t = transmission[..., None]
    return np.asarray(image * t + (1 - t) * airlight, np.float32)


def streaks(
    shape: tuple[int, int], rng: np.random.Generator, length: float, angle: float, width: float, density: float
) -> Mask:
    """Rain layer in [0, 1]: sparse drops drawn out along `angle` (radians from vertical) to `length` px.

    density   drops per pixel
    """
    seeds = rng.random(shape, dtype=np.float32)
    drops = np.where(seeds < density, rng.random(shape, dtype=np.float32) * 0.6 + 0.4, 0.0).astype(np.float32)
    if width > 1.0:
        drops = cv2.GaussianBlur(drops, (0, 0), width / 2.35) * (width * 1.2)
    kernel = line(length, np.pi / 2 + angle)
    layer = cv2.filter2D(drops, -1, kernel * length, borderType=cv2.BORDER_REFLECT)
    return np.clip(layer, 0.0, 1.0)


def storm(
    shape: tuple[int, int], rng: np.random.Generator, length: float, angle: float, width: float, density: float
) -> Mask:
    """Rain layer in [0, 1] as cameras see a downpour: few long drops near by, ever more, shorter and finer ones behind.

    Drops differ in brightness, most are faint; they end softly, fall a little askew, and in some places more than in
    others. length, width and density are about those of the nearest, see `streaks`.
    """
    total = np.zeros(shape, np.float32)
    length, density = length * rng.uniform(0.4, 1), density * float(np.exp(rng.uniform(-1, 1)))
    for far in range(int(rng.integers(2, 5))):
        scale = 0.6**far
        chance = rng.random(shape, dtype=np.float32)
        drops = np.where(chance < density / scale**2, rng.exponential(0.45, shape), 0.0).astype(np.float32)
        broad = width * scale
        if broad > 1.0:
            drops = cv2.GaussianBlur(drops, (0, 0), broad / 2.35) * (broad * 1.2)
        extent, heading = max(3.0, length * scale), np.pi / 2 + angle + float(rng.normal(0, 0.06))
        t = np.linspace(-extent / 2, extent / 2, max(3, int(extent * 4)))
        kernel = path(t * np.cos(heading), t * np.sin(heading), np.cos(np.pi * t / (extent + 1)))
        total += cv2.filter2D(drops, -1, kernel * (extent / 2) * min(1.0, broad), borderType=cv2.BORDER_REFLECT)
    thick = rng.uniform(0, 0.8) * smooth_field(shape, rng, 4)
    return np.clip(total * (1 - thick), 0.0, 1.0)


def rain(image: Pixels, layer: Mask, model: str, brightness: float) -> Pixels:
    """Streaks on a picture: "add" (additive), "screen", or "cover" (streaks hide what is behind them)."""
    s = layer[..., None]
    if model == "add":
        return np.asarray(np.minimum(image + s * brightness, 1.0), np.float32)
    if model == "screen":
        return np.asarray(1 - (1 - image) * (1 - s * brightness), np.float32)
    behind = convolve(image, np.full((7, 7), 1 / 49, np.float32))
    return np.asarray(image * (1 - s * 0.8) + s * 0.8 * np.minimum(behind + brightness * 0.8, 1.0), np.float32)
