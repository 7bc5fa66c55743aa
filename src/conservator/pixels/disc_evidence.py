"""How large the disc was that blurred a block, read from its spectrum.

A disc's transfer function has rings of zeros; no photograph has them by itself. The mean log power over rings of
frequency is compared with that of a scene whose power falls as f^−2γ, seen through a disc of radius r, with white noise
on top. Averaging logarithms over the ring keeps a few strong edges from deciding (the cepstrum does the same: Rom,
"On the cepstrum of two-dimensional functions", IEEE Trans. Information Theory 1975).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from conservator.pixels.disc import transfer

Floats = NDArray[np.float32]

SIDE = 128
"""Side of a block in pixels: zeros of a disc of 8 px are ten frequencies apart."""

RADII = np.geomspace(0.8, 8.5, 70)
"""Candidates in px, 3.5 % apart."""

FALLS = (0.8, 1.0, 1.2, 1.4)
"""Exponents γ: photographs have 0.8 to 1.4."""

FLOORS = np.geomspace(1e-6, 1e-1, 16)
"""Noise over scene, in power, at a tenth of the sampling frequency."""

RINGS = 48
LOWEST = 0.03
"""Lowest frequency looked at in cycles / px; below it a block of 128 px has too few waves."""

PRIOR = 3.0
"""What doubling or halving the radius expected costs: log(2)² times this, in log misfit."""

REACH = 2.0
"""The radius is looked for within this factor of the one expected."""

RESOLUTION = 0.01
"""Misfit in log power² that means nothing: a flat block fits everything perfectly."""

LEAST_POWER = 1e-12
"""Added to every power, far below the rounding of 16 bits: a flat block has none."""

EULER = 0.5772
"""A noise spectrum's mean log lies this much below its log mean."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What n blocks show; all float64 (n,).

    radius    of the best disc in px
    noise     deviation of the white noise, in the unit of the plane
    misfit    mean squared difference from the best model, in log power
    contrast  misfit without any disc over misfit with the best; 1 says nothing, clear cases have 10 to 200
    """

    radius: NDArray[np.float64]
    noise: NDArray[np.float64]
    misfit: NDArray[np.float64]
    contrast: NDArray[np.float64]


def ring_powers(blocks: Floats, shares: Floats) -> NDArray[np.float64]:
    """Mean log power of each ring, (n, RINGS), as noise of that variance would have it in every pixel.

    blocks   (n, SIDE, SIDE), a plane of the picture
    shares   (n, SIDE, SIDE) in [0, 1], how far a pixel counts, nowhere steep: a Hann window comes on top
    """
    window = shares * _window()
    total = np.maximum(window.sum(axis=(1, 2), keepdims=True), 1e-6)
    mean = (blocks * window).sum(axis=(1, 2), keepdims=True) / total
    power = np.square(np.abs(fft.rfft2((blocks - mean) * window)))
    energy = np.square(window).sum(axis=(1, 2), keepdims=True)
    return _rings(np.log(power / np.maximum(energy, 1e-6) + LEAST_POWER))


def find(powers: NDArray[np.float64], expected: NDArray[np.float64]) -> Evidence:
    """What `powers` (n, RINGS) say about the radius, near the one expected (n,) in px."""
    models, blocks = _models(), np.arange(len(powers))
    misfit = _misfit(powers, models.reshape(-1, RINGS)).reshape(len(powers), *models.shape[:3])
    apart = np.abs(np.log(RADII / np.clip(expected, RADII[0], RADII[-1])[:, None]))
    unlikely = np.where(apart > math.log(REACH), np.inf, PRIOR * apart**2)
    score = np.log(misfit[:, 1:]) + unlikely[..., None, None]
    radius, fall, floor = np.unravel_index(score.reshape(len(powers), -1).argmin(axis=1), score.shape[1:])
    least = misfit[blocks, radius + 1, fall, floor]
    # The best level of the model is what makes it as high as the block, on the mean.
    level = powers.mean(axis=1) - models[radius + 1, fall, floor].mean(axis=1)
    noise = np.sqrt(FLOORS[floor] * np.exp(level + EULER))
    return Evidence(RADII[radius], noise, least, misfit[:, 0].min(axis=(1, 2)) / least)


def _misfit(powers: NDArray[np.float64], models: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of the difference of every two rows, (n, m); their level is free."""
    shared = powers @ (models - models.mean(axis=1, keepdims=True)).T / RINGS
    apart = powers.var(axis=1)[:, None] + models.var(axis=1) - 2 * shared
    return np.asarray(np.maximum(apart, 0) + RESOLUTION)


@lru_cache(maxsize=1)
def _models() -> NDArray[np.float64]:
    """Mean log power of every model, (1 + radii, γ, noise, RINGS); the first has no disc."""
    discs = [transfer(float(radius), (SIDE, SIDE)).astype(np.float64) ** 2 for radius in RADII]
    seen = [np.ones((SIDE, SIDE // 2 + 1)), *discs]
    scenes = np.stack([(_frequency() / 0.1) ** (-2 * fall) for fall in FALLS])
    shown = np.stack([_leaked(power * scenes) for power in seen])
    return np.stack([_rings(np.log(shown + floor)) for floor in FLOORS], axis=2)


def _leaked(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power (…, SIDE, SIDE // 2 + 1) as the Hann window smears it over neighbouring frequencies."""
    whole = fft.irfft2(power, (SIDE, SIDE))
    reach = fft.irfft2(np.square(np.abs(fft.rfft2(_window(), (2 * SIDE, 2 * SIDE)))))
    # The expected periodogram is the scene's autocorrelation times the window's.
    lags = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE))
    return np.asarray(np.abs(fft.rfft2(whole * (reach[lags[:, None], lags] / reach[0, 0]))))


@lru_cache(maxsize=1)
def _window() -> Floats:
    hann = np.hanning(SIDE + 1)[:-1]
    return np.asarray(hann[:, None] * hann, np.float32)


@lru_cache(maxsize=1)
def _frequency() -> NDArray[np.float64]:
    reach = np.hypot(fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE))
    reach[0, 0] = reach[0, 1]
    return np.asarray(reach)


@lru_cache(maxsize=1)
def _sorting() -> NDArray[np.float64]:
    """Matrix (frequencies, RINGS) that averages over each ring."""
    ring = np.floor((_frequency().ravel() - LOWEST) / (0.5 - LOWEST) * RINGS)
    matrix = (ring[:, None] == np.arange(RINGS)).astype(np.float64)
    return np.asarray(matrix / matrix.sum(axis=0))


def _rings(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over each ring, (…, RINGS), of half-planes of frequencies (…, SIDE, SIDE // 2 + 1)."""
    return np.asarray(planes.reshape(*planes.shape[:-2], -1) @ _sorting())
