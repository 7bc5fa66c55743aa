"""What handling and age do to a print or a negative: marks that lie on the picture and hide what is below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask, Pixels

Floats: TypeAlias = NDArray[np.floating[Any]]

FINE = 2
"""Canvas pixels per pixel along a side: marks are thinner than a pixel, too."""

BITS = 4
"""Binary places of a coordinate on the canvas."""


@dataclass(frozen=True, eq=False)
class _Canvas:
    """Two layers FINE times the picture's size: how much is hidden, uint8 (h, w), by which colour, uint8 (h, w, 3)."""

    hidden: NDArray[np.uint8]
    colour: NDArray[np.uint8]

    def stroke(self, points: Floats, widths: Floats, opacities: Floats, colour: Floats) -> None:
        """A line through points (n, 2), x and y in px; each of its pieces with a width in px and an opacity."""
        placed = _placed(points)
        for start, end, width, opacity in zip(placed[:-1], placed[1:], widths, opacities, strict=True):
            thickness = max(1, round(width * FINE))
            level = 255 * opacity * min(1.0, width * FINE)
            cv2.line(self.hidden, start, end, (level,), thickness, cv2.LINE_AA, BITS)
            cv2.line(self.colour, start, end, _levels(colour), thickness + 2, cv2.LINE_8, BITS)

    def patch(self, outline: Floats, opacity: float, colour: Floats) -> None:
        """A filled polygon (n, 2), x and y in px."""
        placed = [np.array(_placed(outline), np.int32)]
        cv2.polylines(self.colour, placed, True, _levels(colour), 4, cv2.LINE_8, BITS)
        cv2.fillPoly(self.colour, placed, _levels(colour), cv2.LINE_8, BITS)
        cv2.fillPoly(self.hidden, placed, (255 * opacity,), cv2.LINE_AA, BITS)


def _placed(points: Floats) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in np.rint(points * FINE * 2**BITS)]


def _levels(colour: Floats) -> tuple[float, ...]:
    return tuple(255 * float(c) for c in colour)


@dataclass(frozen=True)
class Style:
    """How the marks of one picture look.

    width    typical width of a line in px
    opacity  of the densest marks, in [0, 1]
    light    share of the marks that are lighter than the picture, in [0, 1]
    heading  direction in radians that most scratches follow
    paper    colour (3,) below the emulsion
    ink      colour (3,) of dirt
    """

    width: float
    opacity: float
    light: float
    heading: float
    paper: Floats
    ink: Floats

    @classmethod
    def of(cls, image: Pixels, rng: np.random.Generator, width: float, opacity: float, light: float) -> Style:
        """A style for a picture: paper at least as pale as its palest colour, dirt at least as dark as its darkest."""
        palest, darkest = np.quantile(image[::4, ::4].reshape(-1, 3), (0.99, 0.01), axis=0)
        paper, ink = 1 - rng.random() * (1 - palest), rng.random() * darkest
        return cls(width, opacity, light, float(rng.uniform(0, 2 * np.pi)), paper, ink)

    def colour(self, rng: np.random.Generator) -> Floats:
        """Colour (3,) of one mark; now and then one layer of a colour film alone is scratched."""
        if rng.random() < 0.06:
            return np.asarray(rng.random(3).round())
        return np.asarray(np.clip((self.paper if rng.random() < self.light else self.ink) + rng.normal(0, 0.04), 0, 1))


def _walk(rng: np.random.Generator, start: Floats, heading: float, length: float, bend: float, jitter: float) -> Floats:
    """Points (n, 2) of a path: `bend` is how far it turns in all, `jitter` how far at every step, in radians."""
    count = int(np.clip(length / 6, 4, 60))
    turns = heading + bend * np.linspace(-0.5, 0.5, count) + jitter * rng.standard_normal(count)
    steps = np.stack([np.cos(turns), np.sin(turns)], 1) * (length / count)
    return np.asarray(start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)]) - steps.sum(0) / 2)


def _uneven(rng: np.random.Generator, count: int, least: float) -> Floats:
    """Factors (count,) in [least, 1] that wander along a line."""
    wander = np.cumsum(rng.normal(0, 0.25, count)) + rng.random()
    return np.asarray(least + (1 - least) * (0.5 + 0.5 * np.cos(np.pi * wander)))


def _scratch(canvas: _Canvas, rng: np.random.Generator, at: Floats, style: Style) -> None:
    """Straight or slightly bent, thin, fading in and out."""
    heading = style.heading + rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
    length = float(np.exp(rng.uniform(np.log(12), np.log(400))))
    points = _walk(rng, at, heading, length, rng.normal(0, 0.25), 0.03)
    count = len(points) - 1
    ends = np.minimum(1, 4 * np.minimum(np.arange(count) + 0.5, count - np.arange(count) - 0.5) / count)
    widths = style.width * rng.uniform(0.4, 1.3) * _uneven(rng, count, 0.6)
    canvas.stroke(points, widths, style.opacity * ends * _uneven(rng, count, rng.uniform(0.2, 1)), style.colour(rng))


def _hair(canvas: _Canvas, rng: np.random.Generator, at: Floats, style: Style) -> None:
    """Curled, of one width."""
    length, count = rng.uniform(15, 120), 24
    bends = np.cumsum(np.cumsum(rng.normal(0, 0.08, count))) + rng.uniform(0, 2 * np.pi)
    points = at + np.cumsum(np.stack([np.cos(bends), np.sin(bends)], 1), 0) * (length / count)
    widths = np.full(count - 1, style.width * rng.uniform(0.5, 0.9))
    canvas.stroke(points, widths, np.full(count - 1, style.opacity), style.colour(rng))


def _outline(rng: np.random.Generator, radius: float) -> Floats:
    """An irregular closed outline (n, 2) around the origin."""
    angles = np.linspace(0, 2 * np.pi, 5 + int(radius), endpoint=False)
    away = radius * rng.uniform(0.6, 1.3, len(angles))
    flat, turn = rng.uniform(0.4, 1), rng.uniform(0, np.pi)
    shape = np.stack([away * np.cos(angles), flat * away * np.sin(angles)], 1)
    return np.asarray(shape @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]))


def _speck(canvas: _Canvas, rng: np.random.Generator, at: Floats, style: Style) -> None:
    """Dust: a dot, or a few of them."""
    colour, opacity = style.colour(rng), style.opacity * rng.uniform(0.6, 1)
    for _ in range(int(rng.integers(1, 3))):
        radius = style.width * float(np.exp(rng.uniform(np.log(0.4), np.log(1.8))))
        canvas.patch(at + _outline(rng, radius) + rng.normal(0, 3, 2) * style.width, opacity, colour)


def _blotch(canvas: _Canvas, rng: np.random.Generator, at: Floats, style: Style) -> None:
    """A flake that came off, or a stain that still lets the picture through."""
    colour, opacity, radius = style.colour(rng), style.opacity, style.width * rng.uniform(2, 5)
    if rng.random() < 0.3:
        colour, opacity = np.array([0.5, 0.38, 0.22]) * rng.uniform(0.4, 1.6), opacity * rng.uniform(0.4, 0.8)
    canvas.patch(at + _outline(rng, radius), opacity, np.clip(colour, 0, 1))


def _fold(canvas: _Canvas, rng: np.random.Generator, at: Floats, style: Style) -> None:
    """A crack through much of the picture: jagged, broken, of changing width, with flakes along it."""
    points = _walk(rng, at, rng.uniform(0, 2 * np.pi), rng.uniform(60, 600), rng.normal(0, 0.3), 0.25)
    count, colour = len(points) - 1, style.colour(rng)
    broken = _uneven(rng, count, 0.0) > rng.uniform(0, 0.4)
    canvas.stroke(points, style.width * _uneven(rng, count, 0.3) * 1.6, style.opacity * broken, colour)
    for place in points[rng.random(len(points)) < 0.15]:
        canvas.patch(place + _outline(rng, style.width * rng.uniform(0.8, 2.5)), style.opacity, colour)


MARKS: dict[str, tuple[float, Callable[[_Canvas, np.random.Generator, Floats, Style], None]]] = {
    "scratch": (0.40, _scratch),
    "hair": (0.10, _hair),
    "speck": (0.40, _speck),
    "blotch": (0.05, _blotch),
    "fold": (0.05, _fold),
}
"""Kinds of marks, how many of all marks they are, and what draws one."""


def marks(
    shape: tuple[int, int],
    rng: np.random.Generator,
    style: Style,
    density: float,
    softness: float,
    kinds: Sequence[str] = tuple(MARKS),
) -> tuple[Mask, Pixels]:
    """How much of each pixel is hidden, float32 (H, W) in [0, 1], and by which colour, float32 (H, W, 3).

    density   marks per megapixel
    softness  blur of the marks in px, as scanning blurs them
    kinds     some of MARKS
    """
    height, width = shape
    fine = height * FINE, width * FINE
    canvas = _Canvas(np.zeros(fine, np.uint8), np.zeros((*fine, 3), np.uint8))
    shares = np.array([MARKS[kind][0] for kind in kinds])
    for _ in range(max(1, int(rng.poisson(density * height * width / 1e6)))):
        draw = MARKS[str(rng.choice(kinds, p=shares / shares.sum()))][1]
        draw(canvas, rng, rng.random(2) * (width, height), style)
    hidden, colour = (_shrunk(layer, (width, height)) for layer in (canvas.hidden, canvas.colour))
    return np.asarray(cv2.GaussianBlur(hidden, (0, 0), softness)) if softness else hidden, colour


def _shrunk(layer: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
