"""Linear light: where lenses, water and lamps add and multiply; the pixels of a file are encoded for the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conservator.pixels.types import Pixels

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of linear RGB in luminance (ITU-R BT.709)."""

WATER = np.array([0.83, 0.95, 0.97], np.float32)
"""Share of red, green and blue light that a metre of clear water lets through (ULAP: Song et al., PCM 2018)."""


def to_light(pixels: Pixels) -> Pixels:
    """sRGB-encoded values in [0, 1] to linear light, float32 of the same shape (IEC 61966-2-1)."""
    curve = ((pixels + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(pixels <= 0.04045, pixels / np.float32(12.92), curve)


def from_light(light: Pixels) -> Pixels:
    """Linear light to sRGB-encoded values, both float32; what lies outside [0, 1] is clipped."""
    light = np.clip(light, 0.0, 1.0)
    curve = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= 0.0031308, light * np.float32(12.92), curve)


def as_bright(light: ArrayLike) -> NDArray[np.float32]:
    """A colour of light (3,), scaled so that white under it is as bright as under grey light."""
    colour = np.asarray(light, np.float32)
    return colour / max(float(colour @ LUMINANCE), 1e-6)


def cast_degrees(light: ArrayLike) -> float:
    """Angle in degrees between a colour of linear light (3,) and grey: the field's angular error of taking it for grey.

    0 is no cast, 54.7 a pure primary (Hordley & Finlayson, JOSA A 2006).
    """
    colour = np.asarray(light, np.float64)
    cosine = colour.sum() / max(float(np.linalg.norm(colour)) * np.sqrt(3.0), 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
