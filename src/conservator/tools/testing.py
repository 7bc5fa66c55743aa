"""Test doubles: a tool whose effect is known by heart, and which breaks when told to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from conservator.degradations import NOISE, Stage
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Card, Kind, Survey, Tiles, Tool

Fault = Literal["raise", "nan", "shape"]


class FakeTool(Tool):
    """Moves each pixel towards `gain` times the mean around it, in proportion to its severity.

    name         on the card
    treats       degradations whose summed severity, at most 1, decides how far a pixel moves
    gain         1 keeps the brightness
    radius       of the square mean in pixels; the halo is as large, so 0 looks at the pixel alone
    scale        output pixels per input pixel along a side
    fault        raise ValueError, return NaN, or return a wrong shape
    fault_at     number of the call that breaks, from 0; earlier ones succeed
    calls        shapes (H, W) of what it was given, in order

    The result is pixels + s · (gain · mean − pixels), plus s times the first survey map when there is one; where it
    enlarges, each pixel of that `scale` times in both directions.
    """

    calls: list[tuple[int, int]]

    def __init__(
        self,
        name: str = "fake",
        *,
        treats: Iterable[str] = (NOISE.name,),
        gain: float = 2.0,
        radius: int = 0,
        multiple_of: int = 1,
        scale: int = 1,
        tiles: Tiles = Tiles.FREE,
        stage: Stage = Stage.IMAGING,
        survey: Survey | None = None,
        fault: Fault | None = None,
        fault_at: int = 0,
    ) -> None:
        calls: list[tuple[int, int]] = []

        def treat(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
            calls.append((pixels.shape[0], pixels.shape[1]))
            share = np.minimum(severity.sum(axis=0), 1)[..., None]
            result = pixels + share * (np.float32(gain) * _mean(pixels, radius) - pixels)
            if len(survey):
                result = result + share * survey[0][..., None]
            result = result.repeat(scale, axis=0).repeat(scale, axis=1)
            return result if len(calls) <= fault_at else _broken(result, fault)

        card = Card(
            name=name,
            treats=tuple(treats),
            stage=stage,
            source="conservator.tools.testing",
            summary="test double",
            halo=radius,
            multiple_of=multiple_of,
            scale=scale,
            tiles=tiles,
            kind=Kind.PHYSICAL,
        )
        super().__init__(card, treat, survey)
        object.__setattr__(self, "calls", calls)


def _mean(pixels: Pixels, radius: int) -> Pixels:
    """Mean of (2 · radius + 1)² pixels, in an order of summation that does not depend on the tile."""
    padded = np.pad(pixels, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    width = 2 * radius + 1
    tall = sum((padded[i : i + len(pixels)] for i in range(1, width)), padded[: len(pixels)])
    total = sum((tall[:, i : i + pixels.shape[1]] for i in range(1, width)), tall[:, : pixels.shape[1]])
    return total / np.float32(width**2)


def _broken(result: Pixels, fault: Fault | None) -> Pixels:
    if fault == "raise":
        raise ValueError("told to break")
    if fault == "nan":
        return np.full_like(result, np.nan)
    return result[1:] if fault == "shape" else result
