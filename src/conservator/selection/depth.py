"""Foreground and background without a notion of depth: what stands out from the frame's rim, is sharp, and is no sky.

Colours that reach the rim belong to what lies behind (boundary connectivity, Zhu et al., CVPR 2014); a lens that blurs
the background says the same. Neither holds for every picture: the confidence never passes 0.6.
"""

from __future__ import annotations

import numpy as np

from conservator.pixels.types import Mask
from conservator.selection.scene import Scene, guided
from conservator.selection.sky import sky

MOST = 0.6
SEGMENTS = 220


def foreground(scene: Scene) -> tuple[Mask, float]:
    """Mask (h, w) and confidence."""
    import cv2
    from skimage.filters import threshold_otsu
    from skimage.segmentation import slic

    labels = slic(scene.lab, SEGMENTS, 12.0, convert2lab=False, start_label=0, channel_axis=-1)
    stands_out = _normal(_unlike_rim(scene, labels))
    sharp = _normal(_means(labels, cv2.GaussianBlur(scene.texture, (0, 0), 6)))
    y, x = (2 * p / n - 1 for p, n in zip(np.mgrid[: scene.size[0], : scene.size[1]], scene.size, strict=True))
    central = _means(labels, np.exp(-(x**2) * 1.2 - (y - 0.25) ** 2 * 1.2))
    score = (0.6 * stands_out + 0.4 * sharp) * (0.4 + 0.6 * central)
    above, _ = sky(scene)
    score = score * (1 - _means(labels, above))
    cut = float(threshold_otsu(score))  # type: ignore[no-untyped-call]
    apart = float(score[score > cut].mean() - score[score <= cut].mean()) if (score > cut).any() else 0.0
    mask = (score > cut).astype(np.float32)[labels]
    smooth = guided(np.asarray(cv2.medianBlur(mask, 5), np.float32), scene.lightness / np.float32(100), 6)
    return smooth, MOST * min(1.0, apart / 0.4)


def background(scene: Scene) -> tuple[Mask, float]:
    """What is not foreground."""
    mask, confidence = foreground(scene)
    return 1 - mask, confidence


def _unlike_rim(scene: Scene, labels: np.ndarray) -> Mask:
    """How far each segment's colour is from all that its like reach at the rim: contrast weighted by background."""
    colours = np.stack([_means(labels, plane) for plane in np.moveaxis(scene.lab, -1, 0)], axis=1)
    distance = np.linalg.norm(colours[:, None] - colours, axis=-1)
    alike = np.exp(-((distance / 12) ** 2))
    areas = np.bincount(labels.ravel()).astype(np.float64)
    rim = np.concatenate([labels[0], labels[:, 0], labels[:, -1]])  # what stands in front may well reach the bottom
    on_rim = np.bincount(rim, minlength=areas.size)
    connected = (alike @ on_rim) / np.sqrt(np.maximum(alike @ areas, 1))
    behind = 1 - np.exp(-((connected / 1.5) ** 2))
    places = np.stack([_means(labels, p / max(scene.size)) for p in np.mgrid[: scene.size[0], : scene.size[1]]], axis=1)
    near = np.exp(-np.square(np.linalg.norm(places[:, None] - places, axis=-1) / 0.4))
    return np.asarray((distance * near * behind * areas).sum(axis=1) * (1 - behind), np.float32)


def _means(labels: np.ndarray, plane: np.ndarray) -> Mask:
    counts = np.bincount(labels.ravel())
    return np.asarray(np.bincount(labels.ravel(), plane.ravel(), counts.size) / counts, np.float32)


def _normal(values: Mask) -> Mask:
    low, high = np.quantile(values, [0.02, 0.98])
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1), np.float32)
