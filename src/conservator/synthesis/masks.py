"""Partitions of a frame into soft regions: gradients, Voronoi cells, superpixels, shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask, Pixels
from conservator.synthesis.weather import smooth_field

Labels = NDArray[np.int64]


def partition(image: Pixels, rng: np.random.Generator, count: int) -> list[Mask]:
    """`count` soft masks, float32 (H, W), that sum to 1; each is exactly 0 outside its feathered outline."""
    draw = (_gradient, _voronoi, _superpixels, _shapes)[int(rng.integers(4))]
    labels = draw(image, rng, count)
    widest = max(1, min(image.shape[:2]) // 16) * 2 + 1  # a region must keep a core
    feather = min(int(rng.choice([1, 5, 9, 17, 33])), widest)
    masks = [(labels == i).astype(np.float32) for i in range(count)]
    if feather == 1:
        return masks
    # A box twice is a smooth ramp of bounded reach, unlike a Gaussian: what is outside stays exactly zero.
    soft = [cv2.blur(cv2.blur(m, (feather, feather)), (feather, feather)) for m in masks]
    soft = [np.where(s < 1e-4, 0.0, s).astype(np.float32) for s in soft]
    total = np.maximum(sum(soft), 1e-6)
    return [np.asarray(s / total, np.float32) for s in soft]


def _by_quantile(field: Mask, count: int, rng: np.random.Generator) -> Labels:
    """Cut a field into `count` bands of random shares, in random order."""
    cuts = np.cumsum(rng.dirichlet(np.full(count, 4.0)))[:-1]
    bands = np.digitize(field, np.quantile(field, cuts))
    return np.asarray(rng.permutation(count)[bands])


def _gradient(image: Pixels, rng: np.random.Generator, count: int) -> Labels:
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = x / width * np.cos(angle) + y / height * np.sin(angle)
    return _by_quantile(ramp + 0.5 * smooth_field((height, width), rng, 3), count, rng)


def _voronoi(image: Pixels, rng: np.random.Generator, count: int) -> Labels:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    sites = int(rng.integers(count, 3 * count + 1))
    owner = np.concatenate([np.arange(count), rng.integers(0, count, sites - count)])
    points = rng.random((sites, 2)) * (height, width)
    distance = np.stack([(y - a) ** 2 + (x - b) ** 2 for a, b in points])
    return np.asarray(owner[distance.argmin(axis=0)])


def _superpixels(image: Pixels, rng: np.random.Generator, count: int) -> Labels:
    """Bands of smoothed colour: outlines follow the picture's own edges, as a sky or a face does."""
    direction = rng.standard_normal(3).astype(np.float32)
    tone = cv2.bilateralFilter(np.ascontiguousarray(image @ direction), 7, 0.2, 5)
    shade = cv2.blur(tone, (9, 9))
    return _by_quantile(shade + rng.uniform(0, 0.3) * smooth_field(image.shape[:2], rng, 4), count, rng)


def _shapes(image: Pixels, rng: np.random.Generator, count: int) -> Labels:
    height, width = image.shape[:2]
    labels = np.zeros((height, width), np.int32)
    order = rng.permutation(count)
    labels[:] = order[0]
    for label in order[1:]:
        centre = (int(rng.uniform(0.15, 0.85) * width), int(rng.uniform(0.15, 0.85) * height))
        axes = (int(rng.uniform(0.15, 0.45) * width), int(rng.uniform(0.15, 0.45) * height))
        if rng.random() < 0.5:
            cv2.ellipse(labels, centre, axes, float(rng.uniform(0, 180)), 0, 360, int(label), -1)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            corners = np.stack([centre[0] + axes[0] * np.cos(angles), centre[1] + axes[1] * np.sin(angles)], 1)
            cv2.fillPoly(labels, [corners.astype(np.int32)], int(label))
    return labels.astype(np.int64)
