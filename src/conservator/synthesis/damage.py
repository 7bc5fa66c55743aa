"""One piece of damage: a kind, its parameters, a seed and the mask where it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from conservator.degradations import BY_NAME, CELL, INDEX, NAMES
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.synthesis import ageing, colours, optics, sensor, weather

Inflicted = tuple[Pixels, Mask | float]
"""The damaged picture and the physical value per pixel (or for all pixels)."""


@dataclass(frozen=True, eq=False)
class Damage:
    """A degradation with everything needed to inflict it again.

    kind         name from the vocabulary
    parameters   of the function of the same name below
    seed         of its own random numbers
    mask         float32 (H, W) in [0, 1]; None is everywhere
    """

    kind: str
    parameters: Mapping[str, Any]
    seed: int = 0
    mask: Mask | None = None

    def inflict(self, image: Pixels) -> tuple[Pixels, Mask]:
        """(damaged picture, severity map), both (H, W, …). Pixels with mask 0 come back unchanged."""
        damaged, value = _INFLICT[self.kind](image, np.random.default_rng(self.seed), **self.parameters)
        severity = np.broadcast_to(BY_NAME[self.kind].severity(value), image.shape[:2])
        if self.mask is None:
            return damaged, np.asarray(severity, np.float32)
        return image + self.mask[..., None] * (damaged - image), severity * self.mask


def apply(image: Pixels, damages: Iterable[Damage], skip: frozenset[str] = frozenset()) -> tuple[Pixels, Maps]:
    """Inflict damages in order, except kinds in `skip`; returns the 8-bit-rounded picture and truth on the cell grid.

    image     float32 (H, W, 3) in [0, 1]
    returns   float32 (H, W, 3), float32 (D, ceil(H/8), ceil(W/8)) severities
    """
    height, width = image.shape[:2]
    grid = (-(-height // CELL), -(-width // CELL))
    truth = np.zeros((len(NAMES), *grid), np.float32)
    for damage in damages:
        if damage.kind in skip:
            continue
        image, severity = damage.inflict(image)
        channel = truth[INDEX[damage.kind]]
        np.maximum(channel, cell_mean(severity), out=channel)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.float32) / np.float32(255), truth


def cell_mean(plane: Mask) -> Mask:
    """Mean of each CELL × CELL cell of a (H, W) plane; partial cells at the border are mirrored out."""
    height, width = plane.shape
    padded = cv2.copyMakeBorder(np.ascontiguousarray(plane), 0, -height % CELL, 0, -width % CELL, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // CELL, padded.shape[0] // CELL)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32).reshape(size[::-1])


def _noise(
    image: Pixels,
    rng: np.random.Generator,
    sigma: float,
    shot: float = 0.0,
    grain: float = 0.0,
    grey: float = 0.0,
    luma: float = 1.0,
    camera_quality: int = 0,
) -> Inflicted:
    deviation = sensor.noise_deviation(image, sigma, shot)
    field = sensor.noise_field(image.shape[:2], rng, grain, grey, luma)
    noisy = image + field * deviation[..., None] / np.float32(255)
    return (sensor.jpeg(noisy, camera_quality) if camera_quality else noisy), deviation


def _jpeg(
    image: Pixels,
    rng: np.random.Generator,
    quality: int,
    first: int = 0,
    offset: tuple[int, int] = (0, 0),
    chroma_halved: bool = True,
) -> Inflicted:
    if first:  # an earlier compression on another grid
        image = sensor.jpeg(image, first, (int(rng.integers(8)), int(rng.integers(8))), chroma_halved)
    return sensor.jpeg(image, quality, offset, chroma_halved), float(min(quality, first or 100))


def _motion_blur(
    image: Pixels,
    rng: np.random.Generator,
    path: str,
    extent: float = 0.0,
    angle: float = 0.0,
    radius: int = 0,
    linear_light: bool = False,
) -> Inflicted:
    if path == "line":
        kernel = optics.line(extent, angle)
    elif path == "one_sided":
        kernel = optics.one_sided(radius, extent, angle)
    else:
        kernel = optics.curve(extent, rng)
    return optics.convolve(image, kernel, linear_light), optics.extent_of(kernel)


def _defocus_blur(
    image: Pixels, rng: np.random.Generator, radius: float, blades: int = 0, linear_light: bool = False
) -> Inflicted:
    return optics.convolve(image, optics.disc(radius, blades, float(rng.random())), linear_light), radius


def _low_resolution(
    image: Pixels, rng: np.random.Generator, factor: float, down: int = cv2.INTER_AREA, up: int = cv2.INTER_CUBIC
) -> Inflicted:
    return optics.shrink_and_enlarge(image, factor, down, up), factor


def _rain(
    image: Pixels,
    rng: np.random.Generator,
    length: float,
    angle: float,
    width: float,
    density: float,
    model: str,
    brightness: float,
    storm: bool = False,
) -> Inflicted:
    layer = (weather.storm if storm else weather.streaks)(image.shape[:2], rng, length, angle, width, density)
    added = cv2.blur(layer, (33, 33), borderType=cv2.BORDER_REFLECT) * (brightness * 255)
    return weather.rain(image, layer, model, brightness), np.asarray(added, np.float32)


def _haze(image: Pixels, rng: np.random.Generator, beta: float, airlight: float, tint: float = 0.0) -> Inflicted:
    transmission = np.exp(-beta * weather.depth(image, rng))
    colour = np.clip(airlight + tint * rng.standard_normal(3), 0, 1).astype(np.float32)
    return weather.haze(image, transmission, colour), 1 - transmission


def _low_light(image: Pixels, rng: np.random.Generator, model: str, amount: float) -> Inflicted:
    dark = sensor.expose(image, model, amount)
    return dark, np.maximum(sensor.stops_between(image, dark), 0.0)


def _over_exposure(image: Pixels, rng: np.random.Generator, model: str, amount: float) -> Inflicted:
    bright = sensor.expose(image, model, amount)
    return bright, np.maximum(-sensor.stops_between(image, bright), 0.0)


def _underwater(
    image: Pixels, rng: np.random.Generator, metres: float, water: tuple[float, float, float] = (0.02, 0.25, 0.3)
) -> Inflicted:
    distance = metres * weather.depth(image, rng)
    return colours.under_water(image, distance, np.asarray(water, np.float32)), distance


def _colour_cast(image: Pixels, rng: np.random.Generator, degrees: float, hue: float) -> Inflicted:
    return colours.cast(image, colours.light_at(degrees, hue)), degrees


def _scratches(
    image: Pixels,
    rng: np.random.Generator,
    density: float,
    width: float,
    opacity: float,
    light: float = 0.7,
    softness: float = 0.4,
    kinds: tuple[str, ...] = tuple(ageing.MARKS),
) -> Inflicted:
    style = ageing.Style.of(image, rng, width, opacity, light)
    hidden, colour = ageing.marks(image.shape[:2], rng, style, density, softness, kinds)
    return image + hidden[..., None] * (colour - image), hidden


_INFLICT: dict[str, Callable[..., Inflicted]] = {
    "noise": _noise,
    "jpeg": _jpeg,
    "motion_blur": _motion_blur,
    "defocus_blur": _defocus_blur,
    "low_resolution": _low_resolution,
    "rain": _rain,
    "haze": _haze,
    "low_light": _low_light,
    "over_exposure": _over_exposure,
    "underwater": _underwater,
    "colour_cast": _colour_cast,
    "scratches": _scratches,
}
