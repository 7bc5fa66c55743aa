"""The damage that benchmarks inflict: a pure function of seed, photograph and kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import cv2
import numpy as np

from conservator.degradations import CELL, INDEX, PERCEIVED
from conservator.pixels.reduce import resample_cells
from conservator.pixels.types import Pixels
from conservator.synthesis import COMBINATIONS, Sample, degrade, draw_preset, draw_spatial

TRACKS = MappingProxyType({"treatable": ("noise", "jpeg", "rain", "haze", "low_light"), "all": PERCEIVED})
"""SpatialBench's tracks. "treatable" are AgenticIR's kinds without blur and lost resolution; "all" has these too, and
over-exposure, for which nobody published ranges."""

LAST, SHRUNK = "low_resolution", 4
"""Resolution is what AgenticIR's combinations take last, and by this factor."""

REGIONS = (2, 4)
MOST = 2
"""Most kinds of damage in one region."""


def spatial_sample(clean: Pixels, seed: int, index: int, kinds: Sequence[str] = PERCEIVED) -> Sample:
    """Photograph `index`, damaged differently in 2 to 4 regions, the first of them clean; AgenticIR's ranges.

    clean   float32 (H, W, 3) in [0, 1]
    The partition depends on seed and index alone, so that tracks share it.
    """
    damages, masks = draw_spatial(clean, np.random.default_rng((seed, index)), kinds, REGIONS, MOST, preset=True)
    return degrade(clean, damages, masks)


def global_sample(clean: Pixels, seed: int, index: int, kinds: Sequence[str] = PERCEIVED) -> Sample:
    """The same photograph, damaged by one or two kinds all over."""
    rng = np.random.default_rng((seed, index, 1))
    # Of two regions one is clean; what the other one got, everybody gets.
    damages, _ = draw_spatial(clean, rng, kinds, (2, 2), MOST, preset=True)
    return degrade(clean, [replace(damage, mask=None) for damage in damages])


def mixed_sample(clean: Pixels, seed: int, index: int, combination: tuple[str, int]) -> Sample:
    """Photograph `index`, damaged all over by one of AgenticIR's combinations, in its ranges.

    combination   group and number in it, see `synthesis.COMBINATIONS`

    Where that takes resolution the photograph is cut to sides that are multiples of SHRUNK.
    """
    group, number = combination
    rng = np.random.default_rng((seed, index, ord(group), number))
    kinds = COMBINATIONS[group][number]
    if LAST in kinds:
        height, width = (side // SHRUNK * SHRUNK for side in clean.shape[:2])
        clean = clean[:height, :width]
    return degrade(clean, draw_preset(rng, kinds))


def before_enlarging(sample: Sample) -> Sample | None:
    """The small photograph that was enlarged to make this one, None where resolution was not lost last.

    Its severities are those of the sample, lost resolution aside: what is small is not blurred.
    """
    if not sample.damages or sample.damages[-1].kind != LAST:
        return None
    frame = sample.clean.shape[0], sample.clean.shape[1]
    size = frame[0] // SHRUNK, frame[1] // SHRUNK
    clean, degraded = (
        _shrunk(pixels, size, sample.damages[-1].parameters["down"])
        for pixels in (sample.clean, sample.without([LAST]))
    )
    truth = resample_cells(sample.truth, frame, (-(-size[0] // CELL), -(-size[1] // CELL)))
    truth[INDEX[LAST]] = 0
    return Sample(clean, degraded, truth, sample.damages[:-1])


def _shrunk(pixels: Pixels, size: tuple[int, int], method: int) -> Pixels:
    return np.asarray(np.clip(cv2.resize(pixels, size[::-1], interpolation=method), 0, 1), np.float32)
