"""Small views of a whole photograph: exact averages, partial cells included, for any shape."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.errors import UsageError
from conservator.pixels.reduce import cell_means, mask_cells, resample, resample_cells, thumbnail

SIDES = st.integers(1, 40)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 65536, (height, width, 3), dtype=np.uint16)


def cell_by_cell(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slow, obvious average."""
    rows, columns = (range(0, side, CELL) for side in values.shape[:2])
    return np.array([[values[y : y + CELL, x : x + CELL].mean(axis=(0, 1)) for x in columns] for y in rows])


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES)
def test_a_cell_is_the_mean_of_the_pixels_it_has(height: int, width: int) -> None:
    samples = noise(height, width)
    np.testing.assert_allclose(cell_means(samples), cell_by_cell(samples / 65535), atol=1e-6)
    mask = samples[..., 0] / 65535
    np.testing.assert_allclose(mask_cells(mask), cell_by_cell(mask), atol=1e-6)


def test_one_faint_pixel_keeps_its_cell_of_a_mask_alive() -> None:
    mask = np.zeros((20, 20))
    mask[17, 3] = 1e-300
    assert (mask_cells(mask) > 0).tolist() == [[False] * 3, [False] * 3, [True, False, False]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (256, 100), (1, 200)])
def test_a_small_photo_is_its_own_thumbnail(shape: tuple[int, int]) -> None:
    samples = noise(*shape)
    np.testing.assert_allclose(thumbnail(samples, 256), samples / 65535, atol=1e-7)


def test_a_thumbnail_averages_areas() -> None:
    samples = noise(512, 256)
    expected = (samples / 65535).reshape(64, 8, 32, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(thumbnail(samples, 64), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "small"),
    [((1, 5000), (1, 256)), ((40000, 1), (256, 1)), ((700, 301), (256, 110)), ((257, 256), (256, 255))],
)
def test_a_thumbnail_keeps_shape_and_mean(shape: tuple[int, int], small: tuple[int, int]) -> None:
    samples = np.broadcast_to(np.uint16(12345), (*shape, 3)).copy()
    shrunk = thumbnail(samples, 256)
    assert shrunk.shape == (*small, 3) and shrunk.dtype == np.float32
    np.testing.assert_allclose(shrunk, 12345 / 65535, atol=1e-5)


def test_a_thumbnail_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="longest=0"):
        thumbnail(noise(4, 4), 0)


def test_no_float_copy_of_the_frame_is_made() -> None:
    samples = noise(1000, 1500)
    for reduce in (cell_means, lambda s: thumbnail(s, 256)):
        tracemalloc.start()
        reduce(samples)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < samples.nbytes / 3


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, SIDES, SIDES)
def test_resampling_keeps_the_mean_and_the_range(h: int, w: int, height: int, width: int) -> None:
    maps = np.random.default_rng(0).random((2, h, w), np.float32)
    fine = resample(maps, (height, width))
    assert fine.shape == (2, height, width)
    np.testing.assert_allclose(fine.mean(axis=(1, 2)), maps.mean(axis=(1, 2)), atol=1e-5)
    assert fine.min() >= maps.min() - 1e-6 and fine.max() <= maps.max() + 1e-6


def test_cells_land_on_their_own_pixels_even_when_the_last_is_partial() -> None:
    cells = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    fine = resample_cells(cells, (9, 20), (9, 20))[0]
    expected = np.repeat(np.repeat(cells[0], CELL, axis=0), CELL, axis=1)[:9, :20]
    np.testing.assert_allclose(fine, expected, atol=1e-5)
