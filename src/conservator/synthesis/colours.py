"""What coloured light and water do to a photograph, in linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conservator.pixels.light import WATER, as_bright, from_light, to_light
from conservator.pixels.types import Mask, Pixels


def light_at(degrees: float, hue: float) -> NDArray[np.float32]:
    """Colour (3,) of a light `degrees` away from grey, below 35; `hue` in radians turns it around the grey axis."""
    axes = np.array([[1, 1, 1], [2, -1, -1], [0, 1, -1]]) / np.sqrt([[3], [6], [2]])
    angle = np.radians(degrees)
    place = np.array([np.cos(angle), np.sin(angle) * np.cos(hue), np.sin(angle) * np.sin(hue)])
    return as_bright(place @ axes)


def cast(image: Pixels, light: NDArray[np.float32]) -> Pixels:
    """The scene under a light of this colour (von Kries, 1902): channels scaled, brightness kept, highlights cut."""
    return from_light(to_light(image) * light)


def under_water(image: Pixels, metres: Mask, water: NDArray[np.float32]) -> Pixels:
    """The scene seen through water: each channel fades with distance and the water's own light takes its place.

    metres  float32 (H, W), distance of every place
    water   float32 (3,), colour in linear light of water without end
    Jaffe (1990), McGlamery (1980), with one transmission per channel.
    """
    through = WATER ** metres[..., None]
    return from_light(to_light(image) * through + water * (1 - through))
