"""The kernel that smeared a picture, read from the picture itself: whatever path the camera took.

From coarse to fine, two guesses improve each other: the picture as it would be with few edges, yet sharp (the L0 norm
of its gradient: Xu, Zheng & Jia, CVPR 2013; the form of Pan, Hu, Su & Yang, CVPR 2014), and the kernel that takes its
gradients to those seen (Cho & Lee, SIGGRAPH Asia 2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from conservator.pixels.deconvolution import divergence, gradient, response_of, slope_power

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

ROUNDS = 5
"""Guesses of picture and kernel at each size."""

FINER = math.sqrt(2)
"""From one size to the next."""

SMALLEST = 5
"""Kernel in px with which the coarsest size begins."""

EDGE = 4e-3
"""Squared gradient that is worth an edge at first; what it costs falls by EASING with every round."""

EASING = 1.1
SETTLED = (3, 1.5e-3)
"""Rounds with the finest edges at the end, and what an edge is worth there."""

TIGHTENING = (3.0, 1e3)
"""Factor and end of the splitting's weight, which begins at twice the price of an edge."""

RIDGE = 2.0
FINAL_RIDGE = 0.5
"""What a squared kernel costs, in squared gradients: little detail asks for a smooth kernel."""

FAINT = 1 / 20
"""Share of the kernel's peak below which a value is noise."""

SPECK = 0.1
"""Least weight of a piece of the path that hangs on nothing."""

DESCENTS = 21


def reach_of(extent: float) -> int:
    """Side in px, odd, of a kernel of so many px extent: half as much again, for the centre may lie off the middle."""
    return 2 * math.ceil(0.75 * extent) + 5


def find_kernel(plane: Floats, weight: Floats, extent: float) -> Floats:
    """Kernel (n, n), n = reach_of(extent): sums to 1, ≥ 0, its centroid in the middle.

    plane    (H, W), sides good for FFTs; luma, say
    weight   (H, W) in [0, 1], how far a pixel counts; falls to 0 towards the border and the region's rim, not steeply
    extent   expected length in px; the true one may be a third longer or as short as it likes
    """
    side, price = reach_of(extent), EDGE
    steps = max(0, math.floor(math.log(side / SMALLEST) / math.log(FINER)))
    kernel = _two_pixels()
    for step in range(steps, -1, -1):
        kernel = _resized(kernel, math.ceil(side / FINER**step) | 1)
        seen = faded(*(_shrunk(one, FINER**step) for one in (plane, weight)))
        for _ in range(ROUNDS):
            kernel = _improved(seen, kernel, price, RIDGE)
            price /= EASING
    return balanced(kernel)


def settled(plane: Floats, weight: Floats, kernel: Floats) -> Floats:
    """The kernel after a few more rounds with finer edges; same arguments and result as `find_kernel`."""
    seen = faded(plane, weight)
    for _ in range(SETTLED[0]):
        kernel = _improved(seen, kernel, SETTLED[1], FINAL_RIDGE)
    return balanced(kernel)


def balanced(kernel: Floats) -> Floats:
    """The kernel with its centroid in the middle: what it blurred stays where it is."""
    middle = ndimage.center_of_mass(kernel)
    moved = ndimage.shift(kernel, [len(kernel) // 2 - place for place in middle], order=1)
    return np.asarray(moved / moved.sum(), np.float32)


def _improved(seen: Floats, kernel: Floats, price: float, ridge: float) -> Floats:
    edges = _edges_of(seen, kernel, price)
    return _centred(_pruned(_kernel(edges, gradient(seen), len(kernel), ridge)))


def _edges_of(seen: Floats, kernel: Floats, price: float) -> tuple[Floats, Floats]:
    """Gradient of the picture with the fewest edges that the kernel takes near `seen` (half-quadratic splitting)."""
    size = seen.shape[0], seen.shape[1]
    response = response_of(kernel, size)
    target, power, slope = fft.rfft2(seen) * response.conj(), np.square(np.abs(response)), slope_power(size)
    picture, weight = seen, 2 * price
    while weight < TIGHTENING[1]:
        across, down = gradient(picture)
        keep = across * across + down * down >= price / weight
        pull = np.float32(weight)
        told = target + pull * fft.rfft2(divergence(across * keep, down * keep))
        picture = fft.irfft2(told / (power + pull * slope), size)
        weight *= TIGHTENING[0]
    return gradient(picture)


def _kernel(edges: tuple[Floats, Floats], seen: tuple[Floats, Floats], side: int, ridge: float) -> Floats:
    """Least squares for the kernel that takes `edges` to the gradients seen, by conjugate gradients."""
    size = edges[0].shape[0], edges[0].shape[1]
    sources, targets = ([fft.rfft2(one) for one in pair] for pair in (edges, seen))
    power = sum(np.square(np.abs(one)) for one in sources)
    reach = np.arange(-(side // 2), side // 2 + 1)
    window = np.ix_(reach % size[0], reach % size[1])

    def normal(kernel: Floats) -> Floats:
        taken = fft.irfft2(power * response_of(kernel, size), size)[window]
        return np.asarray(taken + np.float32(ridge) * kernel, np.float32)

    wanted = fft.irfft2(sum(a.conj() * b for a, b in zip(sources, targets, strict=True)), size)[window]
    return _solved(normal, np.asarray(wanted, np.float32))


def _solved(normal: Callable[[Floats], Floats], wanted: Floats) -> Floats:
    """Kernel with normal(kernel) = wanted; what is negative or faint is left out."""
    kernel = np.full(wanted.shape, 1 / wanted.size, np.float32)
    rest = wanted - normal(kernel)
    along, energy = rest, float(np.vdot(rest, rest))
    for _ in range(DESCENTS):
        if energy <= 1e-10 * float(np.vdot(wanted, wanted)):
            break
        lifted = normal(along)
        pace = np.float32(energy / max(float(np.vdot(along, lifted)), 1e-20))
        kernel, rest = kernel + pace * along, rest - pace * lifted
        before, energy = energy, float(np.vdot(rest, rest))
        along = rest + np.float32(energy / before) * along
    kernel = np.where(kernel < kernel.max() * FAINT, 0, kernel)
    return kernel / kernel.sum() if kernel.max() > 0 else _dot(len(kernel))


def _pruned(kernel: Floats) -> Floats:
    """Without specks."""
    labels, count = ndimage.label(kernel > 0, np.ones((3, 3)))
    weights = np.asarray(ndimage.sum(kernel, labels, np.arange(count + 1)))
    kept = (weights >= min(SPECK, weights.max()))[labels] * kernel
    return np.asarray(kept / kept.sum(), np.float32)


def _centred(kernel: Floats) -> Floats:
    middle = ndimage.center_of_mass(kernel)
    return np.roll(kernel, [len(kernel) // 2 - round(place) for place in middle], (0, 1))


def _two_pixels() -> Floats:
    """A little movement to begin with: from none at all a guess does not get away."""
    return np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]], np.float32)


def _dot(side: int) -> Floats:
    kernel = np.zeros((side, side), np.float32)
    kernel[side // 2, side // 2] = 1
    return kernel


def _resized(kernel: Floats, side: int) -> Floats:
    larger = np.maximum(cv2.resize(kernel, (side, side), interpolation=cv2.INTER_LINEAR), 0)
    return _centred(np.asarray(larger / larger.sum(), np.float32))


def _shrunk(plane: Floats, factor: float) -> Floats:
    """So many times smaller, to sides good for FFTs."""
    if factor == 1:
        return plane
    smooth = cv2.GaussianBlur(plane, (0, 0), 0.5 * math.sqrt(factor * factor - 1))
    height, width = (fft.next_fast_len(round(side / factor), real=True) for side in plane.shape)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def faded(plane: Floats, weight: Floats) -> Floats:
    """The plane less its mean, falling to 0 where it does not count."""
    mean = float((plane * weight).sum() / max(float(weight.sum()), 1e-6))
    return np.asarray((plane - mean) * weight, np.float32)
