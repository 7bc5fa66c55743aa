"""What a denoiser took away is noise when nothing in it comes again."""

from __future__ import annotations

import numpy as np
import pytest

from conservator.degradations import INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Samples, to_samples
from conservator.quality.critic import View, severity_fall
from conservator.quality.residue import patterned
from conservator.synthesis.sensor import noise_field

SIZE = (192, 256)
GRID = (24, 32)


def grey() -> Samples:
    return to_samples(np.full((*SIZE, 3), 0.5, np.float32))


def with_grain(grain: float) -> Samples:
    return to_samples(0.5 + 0.1 * noise_field(SIZE, np.random.default_rng(1), grain))


def with_mesh(pitch: int) -> Samples:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    holes = 0.1 * (((x + y) % pitch < 2) | ((x - y) % pitch < 2))
    return to_samples(np.repeat(0.5 + holes[..., None], 3, axis=2).astype(np.float32))


def view(samples: Samples, severity: float) -> View:
    maps = np.zeros((len(NAMES), *GRID), np.float32)
    maps[INDEX["noise"]] = severity
    return View(samples, Diagnosis(SIZE, maps, maps, maps, np.ones_like(maps), np.zeros((*GRID, 3), np.float32)))


@pytest.mark.parametrize("grain", [0.0, 0.6, 1.3])
def test_noise_has_no_pattern(grain: float) -> None:
    assert patterned(with_grain(grain), grey(), np.ones(GRID, np.bool_)) == 0


def test_an_even_change_has_no_pattern() -> None:
    darker = (grey() * 0.9).astype(np.uint16)
    assert patterned(grey(), darker, np.ones(GRID, np.bool_)) == 0


@pytest.mark.parametrize("pitch", [6, 10, 14])
def test_a_mesh_has_one_in_every_window_that_was_treated(pitch: int) -> None:
    cells = np.zeros(GRID, np.bool_)
    assert patterned(with_mesh(pitch), grey(), cells) == 0
    cells[:, :16] = True
    assert patterned(with_mesh(pitch), grey(), cells) == 1


def test_the_critic_sees_no_gain_where_a_mesh_was_taken_for_noise() -> None:
    asked = view(grey(), 0.8).diagnosis.maps
    mesh = severity_fall(view(with_mesh(10), 0.8), view(grey(), 0.0), asked)
    assert not mesh.sure and "pattern" in mesh.says
    assert severity_fall(view(with_grain(0.6), 0.8), view(grey(), 0.0), asked).sure
    asked = asked.copy()
    asked[INDEX["jpeg"]] = 0.3
    assert not severity_fall(view(with_mesh(10), 0.8), view(grey(), 0.0), asked).sure, "compressed, it still repeats"
    asked[INDEX["rain"]] = 0.5
    assert severity_fall(view(with_mesh(10), 0.8), view(grey(), 0.0), asked).sure, "rain repeats, too"
