"""The sky without a network: what is smooth, reaches the upper border and has a sky's colours; then all that looks so.

After the idea of Shen and Wang (Int. J. Adv. Robotic Systems 10, 2013) that a sky is what lies above the first edges;
connected smooth areas stand here for their columns, and a colour model that may change over the frame for their energy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask
from conservator.selection.scene import Scene, guided, ramp

SMOOTH = 3.5  # standard deviation of L* up to which a place is smooth
SURE = 0.4  # confidence from which a smooth area is a sky
ALIKE = 3.0  # standard deviations from the colour model up to which a place looks like sky
LEAST = 0.01  # share of the frame


def sky(scene: Scene) -> tuple[Mask, float]:
    """Mask (h, w) and confidence."""
    seeds, confidence = _seeds(scene)
    if confidence < SURE:
        return np.zeros(scene.size, np.float32), 0.0
    mask = _alike(scene, seeds)
    return guided(mask, scene.lightness / np.float32(100), 4, 1e-3), confidence


def _seeds(scene: Scene) -> tuple[NDArray[np.bool_], float]:
    """Smooth areas at the upper border that have a sky's colours, and how sure that is."""
    from scipy import ndimage

    labels, count = ndimage.label(scene.texture < SMOOTH)
    seeds, confidence = np.zeros(scene.size, np.bool_), 0.0
    prior = _colour_prior(scene)
    rows = max(2, scene.size[0] // 40)
    for label in range(1, count + 1):
        area = labels == label
        wide = float(area[:rows].any(axis=0).mean())
        if area.mean() < LEAST or wide < 0.1:
            continue
        sure = _likelihood(scene, area, float(prior[area].mean()), wide)
        if sure >= SURE:
            seeds |= area
            confidence = max(confidence, sure)
    return seeds, confidence


def _likelihood(scene: Scene, area: NDArray[np.bool_], prior: float, wide: float) -> float:
    """How likely a smooth area is sky: its colour, that it is lighter than the rest, and that it lies above."""
    height = scene.size[0]
    rest = scene.lightness[~area]
    lighter = float(scene.lightness[area].mean()) - (float(rest.mean()) if rest.size else 50.0)
    centre = float(np.argwhere(area)[:, 0].mean()) / height
    light = 1 / (1 + np.exp(-(lighter - 5) / 8))
    above = float(np.clip((0.62 - centre) / 0.25, 0, 1))
    return prior * (0.35 + 0.65 * float(light)) * above * min(1.0, 0.5 + wide)


def _colour_prior(scene: Scene) -> Mask:
    """How well a colour suits a sky by day: blue, or grey to white, or the warm light of evening; never green."""
    light, a, b = np.moveaxis(scene.lab, -1, 0)
    chroma = np.hypot(a, b)
    blue = ramp(-b, 4, 14) * ramp(light, 18, 38) * ramp(a, 30, 12)
    grey = ramp(chroma, 16, 7) * ramp(light, 48, 68)
    warm = ramp(light, 50, 68) * ramp(b, 5, 15) * ramp(a, -6, 2) * ramp(chroma, 70, 50) * np.float32(0.7)
    return np.asarray(np.maximum(np.maximum(blue, grey), warm), np.float32)


def _alike(scene: Scene, seeds: NDArray[np.bool_]) -> Mask:
    """All that has the colour the seeds lead one to expect there, above their lower rim."""
    import cv2

    height, width = scene.size
    y, x = (plane / np.float32(max(height, width)) for plane in np.mgrid[:height, :width].astype(np.float32))
    terms = np.stack([np.ones_like(x), x, y, y * y], axis=-1)
    fit, *_ = np.linalg.lstsq(terms[seeds], scene.lab[seeds], rcond=None)
    residual = scene.lab - terms @ fit.astype(np.float32)
    spread = residual[seeds].T @ residual[seeds] / seeds.sum() + np.diag([4.0, 2.0, 2.0])
    distance = np.sqrt(np.einsum("...i,ij,...j", residual, np.linalg.inv(spread), residual))
    like = ramp(distance.astype(np.float32), ALIKE + 1.5, ALIKE)
    rim = np.where(seeds.any(axis=0), height - 1 - seeds[::-1].argmax(axis=0), 0)
    rim = np.maximum(cv2.blur(rim.astype(np.float32)[None], (width // 8 * 2 + 1, 1))[0], rim)
    above = np.arange(height)[:, None] <= rim
    found = np.where(seeds, 1, like * above).astype(np.float32)
    return np.asarray(cv2.medianBlur(found, 5), np.float32)
