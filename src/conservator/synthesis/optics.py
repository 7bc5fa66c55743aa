"""Blur kernels and resolution loss."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Pixels

Kernel = NDArray[np.float32]


def convolve(image: Pixels, kernel: Kernel, linear_light: bool = False) -> Pixels:
    """Filter with a normalised kernel, mirrored at the border; optionally in (approximately) linear light."""
    source = np.maximum(image, 0.0) ** 2.2 if linear_light else image
    out = cv2.filter2D(source, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.maximum(out, 0.0) ** (1 / 2.2) if linear_light else out, np.float32)


def disc(radius: float, blades: int = 0, angle: float = 0.0) -> Kernel:
    """Aperture image: a disc, or a polygon of `blades` sides; radius in px, anti-aliased by 4× supersampling."""
    half = max(1, math.ceil(radius + 0.5))
    side = (2 * half + 1) * 4
    y, x = (np.mgrid[:side, :side] + 0.5) / 4 - half - 0.5
    reach = np.hypot(x, y)
    if blades:
        theta = np.arctan2(y, x) - angle
        sector = 2 * np.pi / blades
        reach = reach * np.cos((theta % sector) - sector / 2)
        radius = radius * math.cos(math.pi / blades) ** 0.5
    fine = (reach <= radius).astype(np.float32)
    kernel = fine.reshape(2 * half + 1, 4, 2 * half + 1, 4).mean(axis=(1, 3))
    return np.asarray(kernel / max(float(kernel.sum()), 1e-8), np.float32)


def path(xs: NDArray[np.float64], ys: NDArray[np.float64], weights: NDArray[np.float64]) -> Kernel:
    """Kernel of a camera path: points in px splatted bilinearly with their dwell time, centred on their mean."""
    weights = weights / weights.sum()
    xs, ys = xs - (xs * weights).sum(), ys - (ys * weights).sum()
    half = math.ceil(max(np.abs(xs).max(), np.abs(ys).max())) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float64)
    x0, y0 = np.floor(xs).astype(int), np.floor(ys).astype(int)
    fx, fy = xs - x0, ys - y0
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            np.add.at(kernel, (y0 + dy + half, x0 + dx + half), weights * wx * wy)
    return kernel.astype(np.float32)


def line(extent: float, angle: float) -> Kernel:
    """Uniform straight motion over `extent` px."""
    t = np.linspace(-extent / 2, extent / 2, max(3, int(extent * 4)))
    return path(t * math.cos(angle), t * math.sin(angle), np.ones_like(t))


def one_sided(radius: int, sigma: float, angle: float) -> Kernel:
    """Motion that fades out: half a Gaussian of deviation `sigma` px cut at `radius` px (AgenticIR's kernels)."""
    t = np.linspace(0.0, radius, radius * 4)
    return path(t * math.cos(angle), t * math.sin(angle), np.exp(-0.5 * (t / sigma) ** 2))


def curve(extent: float, rng: np.random.Generator) -> Kernel:
    """Hand shake: a smooth random walk rescaled to an equivalent length of `extent` px."""
    steps = rng.standard_normal((48, 2))
    velocity = np.cumsum(steps, axis=0) * 0.25 + rng.standard_normal(2) * 1.5
    points = np.cumsum(velocity, axis=0)
    points -= points.mean(axis=0)
    points *= extent / max(math.sqrt(12.0) * float(np.sqrt((points**2).sum(axis=1).mean())), 1e-6)
    fine = np.linspace(0, 47, 48 * 4)
    xs, ys = (np.interp(fine, np.arange(48), points[:, i]) for i in (0, 1))
    return path(xs, ys, np.ones_like(fine))


def extent_of(kernel: Kernel) -> float:
    """Equivalent length in px: √12 standard deviations along the longest axis; L for a uniform line of L px."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]].astype(np.float64)
    weight = kernel / kernel.sum()
    x, y = x - (x * weight).sum(), y - (y * weight).sum()
    covariance = np.array([[(x * x * weight).sum(), (x * y * weight).sum()], [0.0, (y * y * weight).sum()]])
    covariance[1, 0] = covariance[0, 1]
    return float(math.sqrt(12.0 * max(np.linalg.eigvalsh(covariance)[-1], 0.0)))


def shrink_and_enlarge(image: Pixels, factor: float, down: int, up: int) -> Pixels:
    """Resolution loss: shrink by `factor` ≥ 1 and enlarge back, with OpenCV interpolation flags."""
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    return np.asarray(cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up))
