"""Regions follow what ails the photo: right outlines, right severities, at most eight, the clean one untouched."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conservator.degradations import INDEX, NAMES
from conservator.errors import UsageError
from conservator.perception.segment import MATTERS, segment
from conservator.regions import Region

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def nothing(height: int, width: int) -> tuple[Floats, Floats]:
    guide = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    return np.zeros((len(NAMES), height, width), np.float32), guide


def disc(height: int, width: int, y: float, x: float, radius: float) -> Bools:
    rows, columns = np.mgrid[:height, :width]
    return np.asarray((rows - y * height) ** 2 + (columns - x * width) ** 2 < (radius * min(height, width)) ** 2)


def patient(height: int = 60, width: int = 40) -> tuple[Floats, Floats, dict[str, Bools]]:
    """Noise in one disc, haze and JPEG in another, the rest clean; severities jitter as a perceiver's do."""
    maps, guide = nothing(height, width)
    places = {"noise": disc(height, width, 0.3, 0.4, 0.3), "haze": disc(height, width, 0.75, 0.6, 0.25)}
    places["haze"] &= ~places["noise"]
    rng = np.random.default_rng(1)
    for kind, where, level in (("noise", "noise", 0.6), ("haze", "haze", 0.5), ("jpeg", "haze", 0.3)):
        jitter = level + 0.05 * rng.standard_normal((height, width))
        maps[INDEX[kind]] = np.where(places[where], np.clip(jitter, 0.05, 1), 0)
    places["clean"] = ~(places["noise"] | places["haze"])
    return maps, guide, places


def overlap(mask: Floats, truth: Bools) -> float:
    return float(np.minimum(mask, truth).sum() / np.maximum(mask, truth).sum())


def check_partition(regions: tuple[Region, ...], maps: Floats) -> None:
    assert [r.id for r in regions] == [f"r{i + 1}" for i in range(len(regions))]
    assert all(r.mask.dtype == np.float32 and r.mask.shape == maps.shape[1:] for r in regions)
    assert all(r.mask.min() >= 0 and r.mask.max() <= 1 for r in regions)
    np.testing.assert_allclose(np.sum([r.mask for r in regions], axis=0), 1, atol=1e-6)
    assert all(MATTERS <= s <= 1 for r in regions for s in r.severities.values())
    assert [r.clean for r in regions] == sorted(r.clean for r in regions)
    assert sum(r.clean for r in regions) <= 1


@pytest.mark.parametrize("size", [(60, 40), (400, 300)])
def test_each_region_is_where_its_damage_is(size: tuple[int, int]) -> None:
    maps, guide, places = patient(*size)
    regions = segment(maps, guide)
    check_partition(regions, maps)
    by_kinds = {frozenset(r.severities): r for r in regions}
    assert set(by_kinds) == {frozenset({"noise"}), frozenset({"haze", "jpeg"}), frozenset()}
    noisy, hazy, clean = by_kinds[frozenset({"noise"})], by_kinds[frozenset({"haze", "jpeg"})], regions[-1]
    for region, place in ((noisy, "noise"), (hazy, "haze"), (clean, "clean")):
        assert overlap(region.mask, places[place]) > 0.95
    assert noisy.severities["noise"] == pytest.approx(0.6, abs=0.03)
    assert hazy.severities["haze"] == pytest.approx(0.5, abs=0.03)
    assert hazy.severities["jpeg"] == pytest.approx(0.3, abs=0.03)


def test_the_worst_comes_first_and_the_clean_one_last() -> None:
    maps, guide, _ = patient()
    burden = [sum(r.severities.values()) * r.area for r in segment(maps, guide)]
    assert burden == sorted(burden, reverse=True)
    assert burden[-1] == 0


def test_clean_and_damaged_cells_are_not_blended() -> None:
    """A half mask at the border would leave a strip half treated, or drag clean cells into a treatment."""
    maps, guide, places = patient()
    clean = segment(maps, guide)[-1]
    assert set(np.unique(clean.mask)) == {0.0, 1.0}
    assert (clean.mask[places["clean"]] == 1).mean() > 0.99


def test_two_ailing_neighbours_blend_over_a_cell() -> None:
    maps, guide = nothing(40, 40)
    maps[INDEX["noise"], :, :20] = 0.8
    maps[INDEX["haze"], :, 20:] = 0.8
    regions = segment(maps, guide)
    check_partition(regions, maps)
    noisy = next(r for r in regions if "noise" in r.severities)
    assert list(noisy.mask[20, 17:23]) == [1, 1, 0.75, 0.25, 0, 0]


def test_specks_are_removed_and_holes_filled() -> None:
    maps, guide, _ = patient()
    spotted = maps.copy()
    spotted[INDEX["rain"], 50, 3] = 0.9
    spotted[:, 18, 16] = 0
    for before, after in zip(segment(maps, guide), segment(spotted, guide), strict=True):
        assert set(before.severities) == set(after.severities)
        assert np.abs(before.mask - after.mask).max() == 0


def test_a_clean_photo_is_one_clean_region() -> None:
    (region,) = segment(*nothing(30, 20))
    assert region.id == "r1"
    assert region.clean
    assert (region.mask == 1).all()


def test_the_same_damage_everywhere_is_one_region() -> None:
    maps, guide = nothing(30, 20)
    maps[INDEX["jpeg"]] = 0.4
    (region,) = segment(maps, guide)
    assert region.severities == {"jpeg": pytest.approx(0.4)}
    assert (region.mask == 1).all()


def test_faint_damage_over_the_whole_frame_is_not_called_clean() -> None:
    maps, guide = nothing(30, 20)
    maps[INDEX["jpeg"]] = 0.055
    assert not segment(maps, guide)[0].clean


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_no_more_regions_than_asked_for_and_none_of_the_damage_lost(most: int) -> None:
    maps, guide = nothing(7 * len(NAMES) + 1, 48)
    for i in range(len(NAMES)):
        maps[i, 7 * i : 7 * i + 7, 4:] = 0.3 + 0.05 * i
    regions = segment(maps, guide, most=most)
    check_partition(regions, maps)
    assert len(regions) <= most
    assert {kind for r in regions for kind in r.severities} == set(NAMES)
    assert regions[-1].clean == (most > 1)


def test_the_same_input_gives_the_same_regions() -> None:
    maps, guide, _ = patient(120, 90)
    for one, other in zip(segment(maps, guide), segment(maps, guide), strict=True):
        assert one.severities == other.severities
        assert np.array_equal(one.mask, other.mask)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 9))
def test_any_small_grid_is_partitioned(height: int, width: int, seed: int, share: float, most: int) -> None:
    maps, guide = nothing(height, width)
    rng = np.random.default_rng(seed)
    maps[:] = rng.random(maps.shape) * (rng.random(maps.shape) < share)
    regions = segment(maps, guide, most=most)
    check_partition(regions, maps)
    assert len(regions) <= most


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 300)])
def test_thin_grids(size: tuple[int, int]) -> None:
    maps, guide = nothing(*size)
    maps[INDEX["noise"]] = 0.5
    check_partition(regions := segment(maps, guide), maps)
    assert len(regions) == 1
    maps[:, : size[0] // 2, : size[1] // 2] = 0
    check_partition(segment(maps, guide), maps)


def test_a_large_photo_takes_bounded_time() -> None:
    maps, guide, _ = patient(500, 375)
    segment(maps, guide)
    start = time.perf_counter()
    segment(maps, guide)
    assert time.perf_counter() - start < 2.0  # measured: 0.1 s on one idle core


def test_wrong_arguments_are_named() -> None:
    maps, guide = nothing(6, 5)
    with pytest.raises(UsageError, match="guide"):
        segment(maps, guide[:5])
    with pytest.raises(UsageError, match="most=0"):
        segment(maps, guide, most=0)
    with pytest.raises(UsageError, match="not finite"):
        segment(np.full_like(maps, np.nan), guide)
