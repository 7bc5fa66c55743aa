"""The engine: what is healthy comes back to the integer, tiles cannot be seen, and a broken tool breaks nothing."""

from __future__ import annotations

import tracemalloc
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from conservator.degradations import CELL, INDEX, NAMES
from conservator.errors import BudgetExceeded, ModelMissing, ToolFailed, UsageError
from conservator.models.runtime import run
from conservator.pixels.reduce import cell_means
from conservator.pixels.tiling import tiles
from conservator.pixels.types import Maps, Pixels, Samples, to_pixels, to_samples
from conservator.pixels.upsample import pixel_severity
from conservator.tools.card import Card, Tiles, Tool, tool
from conservator.tools.engine import LARGE_TILE, THUMBNAIL, TILE, apply
from conservator.tools.testing import FakeTool

NOISE, JPEG = INDEX["noise"], INDEX["jpeg"]


def picture(height: int, width: int, seed: int = 0) -> Samples:
    """Random blocks of colour under a little noise, 8-bit values."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 235, (-(-height // 13), -(-width // 11), 3))
    image = np.repeat(np.repeat(blocks, 13, axis=0), 11, axis=1)[:height, :width]
    return ((image + rng.integers(-9, 10, image.shape)) * 257).astype(np.uint16)


def severities(samples: Samples, share: float = 1.0, seed: int = 0) -> Maps:
    """Random noise severity in about `share` of the cells."""
    rng = np.random.default_rng(seed)
    grid = [-(-side // CELL) for side in samples.shape[:2]]
    maps = np.zeros((len(NAMES), *grid), np.float32)
    maps[NOISE] = rng.uniform(0.1, 1.0, grid) * (rng.random(grid) < share)
    return maps


def treat(tool: Tool, samples: Samples, maps: Maps, **options: Any) -> Samples:
    return apply(tool, samples, maps, cell_means(samples), **options)


def fine(samples: Samples, maps: Maps) -> Maps:
    """Severity of the whole frame, the slow and obvious way."""
    grid = maps.shape[1] * CELL, maps.shape[2] * CELL
    window = (0, 0, samples.shape[0], samples.shape[1])
    return pixel_severity(maps, grid, window, cell_means(samples), to_pixels(samples))


@tool(treats=("noise",), source="none", summary="nothing")
def untouched(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    return pixels


@tool(treats=("noise",), source="none", summary="black, whatever the severity")
def blackened(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    return np.zeros_like(pixels)


def custom(function: Any, **card: Any) -> Tool:
    return tool(**{"treats": ("noise",), "source": "none", "summary": "none", "name": "custom"} | card)(function)


# What is healthy


def test_a_clean_photo_comes_back_to_the_integer_without_a_single_call() -> None:
    samples, fake = picture(70, 90), FakeTool()
    progress: list[tuple[int, int]] = []
    treated = treat(fake, samples, severities(samples, 0), tile=16, on_tile=lambda *p: progress.append(p))
    np.testing.assert_array_equal(treated, samples)
    assert treated is not samples and not np.shares_memory(treated, samples)
    assert fake.calls == progress == []


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_pixels_without_severity_keep_their_integers(height: int, width: int, seed: int) -> None:
    samples = picture(height, width, seed)
    maps = severities(samples, 0.15, seed)
    touched = fine(samples, maps).any(axis=0)
    for reckless in (blackened, FakeTool(gain=0.0, radius=2)):
        treated = treat(reckless, samples, maps, tile=16)
        np.testing.assert_array_equal(treated[~touched], samples[~touched])
    assert not treat(blackened, samples, maps, tile=16)[touched].any()


def test_samples_survive_the_trip_through_float() -> None:
    samples = np.arange(256 * 256 * 3, dtype=np.uint32).reshape(256, 256, 3).astype(np.uint16)
    np.testing.assert_array_equal(treat(untouched, samples, severities(samples)), samples)


def test_steps_in_a_chain_keep_16_bits() -> None:
    samples = picture(32, 32)
    maps = severities(samples)
    treated = treat(FakeTool(gain=0.9), samples, maps)
    assert (treated[fine(samples, maps).any(axis=0)] % 257 != 0).mean() > 0.9


def test_damage_the_tool_does_not_treat_is_none_of_its_business() -> None:
    samples, fake = picture(40, 40), FakeTool(treats=("haze",))
    np.testing.assert_array_equal(treat(fake, samples, severities(samples)), samples)
    assert fake.calls == []


def test_a_tool_sees_only_the_severity_it_treats() -> None:
    seen: list[Maps] = []

    def look(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        seen.append(severity.copy())
        assert survey.shape == (0, *pixels.shape[:2])
        return pixels

    samples = picture(32, 24)
    maps = severities(samples)
    maps[JPEG] = 0.5
    treat(custom(look), samples, maps)
    assert seen[0].shape == (len(NAMES), 32, 24)
    np.testing.assert_array_equal(seen[0][NOISE], fine(samples, maps)[NOISE])
    assert not np.delete(seen[0], NOISE, axis=0).any()


# Tiles cannot be seen


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([(0, 1), (3, 1), (5, 8), (9, 12), (2, 5)]))
def test_tiles_and_the_whole_frame_give_the_same_picture(height: int, width: int, limits: tuple[int, int]) -> None:
    samples = picture(height, width)
    maps = severities(samples, 0.5)
    radius, multiple = limits
    free, whole = (FakeTool(radius=radius, multiple_of=multiple, tiles=t) for t in (Tiles.FREE, Tiles.FORBIDDEN))
    np.testing.assert_array_equal(treat(free, samples, maps, tile=16), treat(whole, samples, maps))
    assert len(whole.calls) <= 1
    assert all(side % multiple == 0 for call in free.calls + whole.calls for side in call)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 7), (2, 2), (17, 33)])
def test_any_size_is_treated_as_if_the_frame_went_on_in_a_mirror(size: tuple[int, int]) -> None:
    samples, radius = picture(*size), 4
    maps = severities(samples)
    pixels = to_pixels(samples)
    mirrored = np.pad(pixels, ((radius, radius), (radius, radius), (0, 0)), mode="reflect").astype(np.float64)
    window = np.lib.stride_tricks.sliding_window_view(mirrored, (2 * radius + 1, 2 * radius + 1), axis=(0, 1))
    share = fine(samples, maps)[NOISE][..., None]
    expected = to_samples((pixels + share * (window.mean(axis=(-1, -2)) - pixels)).astype(np.float32))
    treated = treat(FakeTool(gain=1.0, radius=radius, multiple_of=8), samples, maps, tile=64)
    assert np.abs(treated.astype(int) - expected).max() <= 1


def test_every_tile_starts_on_the_same_grid() -> None:
    """A network that shrinks its input by 12 sees the same blocks in a tile as in the frame."""

    def mosaic(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        height, width = (side // 12 for side in pixels.shape[:2])
        blocks = pixels.reshape(height, 12, width, 12, 3).mean(axis=(1, 3))
        return np.repeat(np.repeat(blocks, 12, axis=0), 12, axis=1)

    samples = picture(131, 75)
    maps = severities(samples)
    free, whole = (custom(mosaic, halo=12, multiple_of=12, tiles=t) for t in (Tiles.FREE, Tiles.FORBIDDEN))
    np.testing.assert_array_equal(treat(free, samples, maps, tile=16), treat(whole, samples, maps))


def blurring_network(path: Path) -> Path:
    """Three 3 × 3 convolutions with ReLU between them, three channels each."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.uniform(0, 0.07, (3, 3, 3, 3)).astype(np.float32), f"w{i}") for i in range(3)
    ]
    names, nodes = ["image", "a", "b", "restored"], []
    for i in range(3):
        nodes.append(helper.make_node("Conv", [names[i], f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [names[i + 1]]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, "h", "w"]) for n in ("image", "restored")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_tiles_of_a_real_network_cannot_be_told_from_the_frame(tmp_path: Path) -> None:
    model = blurring_network(tmp_path / "blur.onnx")

    def restore(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
        restored: Pixels = run(model, {"image": image}, threads=1)[0][0].transpose(1, 2, 0)
        return restored

    samples = picture(150, 203)
    maps = severities(samples)
    for beyond in (True, False):
        free, whole = (
            custom(restore, halo=3, beyond=beyond, multiple_of=4, tiles=t) for t in (Tiles.FREE, Tiles.FORBIDDEN)
        )
        difference = treat(free, samples, maps, tile=32).astype(int) - treat(whole, samples, maps)
        assert np.abs(difference).max() <= 2  # of 65535


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(1, 60),
    st.integers(0, 30),
    st.sampled_from([1, 4, 8, 12]),
    st.booleans(),
)
def test_cores_cover_the_frame_once_and_every_pad_is_a_mirror(
    size: tuple[int, int], core: int, halo: int, multiple: int, beyond: bool
) -> None:
    covered = np.zeros(size, int)
    frame = np.arange(size[0] * size[1]).reshape(*size, 1)
    for tile in tiles(size, core, halo, multiple, beyond=beyond):
        covered[tile.core.within] += 1
        padded = tile.pad_image(frame[tile.seen.within])
        np.testing.assert_array_equal(padded[tile.inset], frame[tile.core.within])
        assert padded.shape[0] % multiple == padded.shape[1] % multiple == 0
        before, after = tile.inset[0].start, padded.shape[0] - tile.inset[0].stop
        assert (tile.core.y0 - before) % CELL == 0
        if beyond:
            assert min(before, after) >= halo
        else:  # all that the frame has, and no more than the grid asks for
            assert before == min(tile.core.y0, -(-halo // lcm(CELL, multiple)) * lcm(CELL, multiple))
            assert min(halo, size[0] - tile.core.y1) <= after < halo + 2 * lcm(CELL, multiple)
        maps = np.moveaxis(frame[tile.seen.within], -1, 0)
        np.testing.assert_array_equal(tile.pad_maps(maps)[0], padded[..., 0])
    assert (covered == 1).all()


# Only where there is work, and within bounds


def test_only_tiles_with_work_run_and_progress_counts_no_others() -> None:
    samples = picture(128, 128)
    maps = severities(samples, 0)
    maps[NOISE, 2, 2] = maps[NOISE, 13, 14] = 1.0
    fake, progress = FakeTool(), []
    treat(fake, samples, maps, tile=64, on_tile=lambda *p: progress.append(p))
    assert progress == [(1, 2), (2, 2)]
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("limit", "tile", "calls"),
    [
        (Tiles.FREE, None, [(TILE, 40), (88, 40)]),
        (Tiles.FREE, 300, [(304, 40), (296, 40)]),
        (Tiles.DISCOURAGED, None, [(600, 40)]),
        (Tiles.DISCOURAGED, 400, [(400, 40), (200, 40)]),
        (Tiles.FORBIDDEN, 64, [(600, 40)]),
    ],
)
def test_the_card_decides_about_tiles_and_the_caller_about_their_size(
    limit: Tiles, tile: int | None, calls: list[tuple[int, int]]
) -> None:
    assert LARGE_TILE > 600
    samples, fake = picture(600, 40), FakeTool(tiles=limit)
    treat(fake, samples, severities(samples), tile=tile)
    assert fake.calls == calls


def test_memory_is_that_of_the_output_and_a_few_tiles() -> None:
    samples = picture(1200, 1600)
    maps, guide = severities(samples), cell_means(samples)
    tracemalloc.start()
    apply(FakeTool(radius=2), samples, maps, guide, tile=96)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * samples.nbytes


# Strength and masks


def test_strength_multiplies_severity_and_saturates() -> None:
    samples, fake = picture(50, 60), FakeTool(gain=0.0)
    maps = severities(samples)
    np.testing.assert_array_equal(treat(fake, samples, maps, strength=0.5), treat(fake, samples, maps * 0.5))
    np.testing.assert_array_equal(treat(fake, samples, maps, strength=3), treat(fake, samples, np.minimum(maps * 3, 1)))
    np.testing.assert_array_equal(treat(fake, samples, maps, strength=0), samples)


def test_a_mask_per_cell_multiplies_the_map() -> None:
    samples, fake = picture(50, 60), FakeTool(gain=0.0)
    maps = severities(samples)
    mask = np.random.default_rng(3).random(maps.shape[1:])
    expected = treat(fake, samples, (maps * mask.astype(np.float32)))
    np.testing.assert_array_equal(treat(fake, samples, maps, strength_mask=mask), expected)


@pytest.mark.parametrize("kind", [bool, np.float32, np.float64])
def test_a_mask_per_pixel_is_kept_to_the_pixel(kind: Any) -> None:
    samples, fake = picture(50, 60), FakeTool(gain=0.0)
    maps = severities(samples)
    mask = np.zeros((50, 60), kind)
    mask[11:13, 20:41] = 1
    treated = treat(fake, samples, maps, strength_mask=mask, tile=16)
    np.testing.assert_array_equal(treated[mask == 1], treat(fake, samples, maps)[mask == 1])
    np.testing.assert_array_equal(treated[mask == 0], samples[mask == 0])


def test_a_mask_per_pixel_sends_only_its_own_tiles_to_work() -> None:
    samples, fake, progress = picture(64, 64), FakeTool(), []
    mask = np.zeros((64, 64), np.float32)
    mask[40, 40] = 0.25
    treat(fake, samples, severities(samples), strength_mask=mask, tile=32, on_tile=lambda *p: progress.append(p))
    assert progress == [(1, 1)] and len(fake.calls) == 1


# Survey


def test_a_survey_is_made_once_on_a_small_frame_and_reaches_every_tile_alike() -> None:
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def survey(thumbnail: Pixels, severity: Maps) -> Maps:
        seen.append((thumbnail.shape, severity.shape))
        assert 0.2 < severity[NOISE].mean() < 0.9 and not np.delete(severity, NOISE, axis=0).any()
        return np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5, 7)).astype(np.float32)

    samples = picture(200, 400)
    maps = severities(samples)
    maps[JPEG] = 1.0
    free, whole = (FakeTool(gain=1.0, survey=survey, tiles=t) for t in (Tiles.FREE, Tiles.FORBIDDEN))
    treated = treat(free, samples, maps, tile=64)
    assert seen == [((128, THUMBNAIL, 3), (len(NAMES), 128, THUMBNAIL))]
    np.testing.assert_array_equal(treated, treat(whole, samples, maps))
    assert (treated != samples).mean() > 0.9


def test_a_survey_hears_of_strength_and_masks() -> None:
    means: list[float] = []

    def survey(thumbnail: Pixels, severity: Maps) -> Maps:
        means.append(float(severity.sum(axis=0).mean()))
        return np.zeros((1, 1, 1), np.float32)

    samples = picture(64, 64)
    maps = np.zeros_like(severities(samples))
    maps[NOISE] = 0.8
    pixel_mask = np.zeros((64, 64), np.float32)
    pixel_mask[:, :32] = 1
    cell_mask = np.full((8, 8), 0.25, np.float32)
    for changes in ({}, {"strength": 0.5}, {"strength_mask": pixel_mask}, {"strength_mask": cell_mask}):
        treat(FakeTool(survey=survey), samples, maps, **changes)
    np.testing.assert_allclose(means, [0.8, 0.4, 0.4, 0.2], atol=1e-5)


def test_a_survey_sees_severity_where_it_is_even_when_the_last_cell_is_partial() -> None:
    def survey(thumbnail: Pixels, severity: Maps) -> Maps:
        cells = np.repeat(np.repeat(maps[NOISE], CELL, axis=0), CELL, axis=1)[:9, :20]
        np.testing.assert_allclose(severity[NOISE], cells, atol=1e-5)
        np.testing.assert_array_equal(thumbnail, to_pixels(samples))
        return np.zeros((0, 1, 1), np.float32)

    samples = picture(9, 20)
    maps = severities(samples)
    treat(FakeTool(survey=survey), samples, maps)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (np.zeros((5, 7), np.float32), r"fake on survey: returned float32 \(5, 7\); wanted float32 \(K, gh, gw\)"),
        (np.full((1, 2, 2), np.nan, np.float32), "fake on survey: returned NaN or infinity"),
        (None, "fake on survey: returned a NoneType"),
    ],
)
def test_a_survey_that_returns_nonsense_is_named(found: Any, message: str) -> None:
    samples = picture(20, 20)
    with pytest.raises(ToolFailed, match=message):
        treat(FakeTool(survey=lambda thumbnail, severity: found), samples, severities(samples))


# A broken tool breaks nothing


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", "ValueError: told to break"),
        ("nan", "returned NaN or infinity; wanted finite numbers"),
        ("shape", r"returned float32 \(31, 32, 3\); wanted float32 \(32, 32, 3\)"),
    ],
)
def test_a_tool_that_fails_is_named_with_its_tile_and_the_photo_is_unchanged(fault: Any, message: str) -> None:
    samples = picture(64, 64)
    before = samples.copy()
    where = r"fake on rows 0-32, columns 32-64: "
    with pytest.raises(ToolFailed, match=f"{where}{message}; use another tool; the photo is unchanged"):
        treat(FakeTool(fault=fault, fault_at=1), samples, severities(samples), tile=32)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("result", [None, [[0.5]], np.zeros((20, 24, 3), np.uint8)])
def test_what_is_no_float_array_is_refused(result: Any) -> None:
    samples = picture(20, 24)

    def odd(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        return result  # type: ignore[no-any-return]

    with pytest.raises(ToolFailed, match="custom on rows 0-20, columns 0-24: returned"):
        treat(custom(odd), samples, severities(samples))


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ModelMissing("no model 'x'"), ModelMissing),
        (BudgetExceeded("out of time"), BudgetExceeded),
        (ToolFailed("model x: y holds NaN"), ToolFailed),
    ],
)
def test_errors_keep_the_readers_next_move(error: Exception, raised: type[Exception]) -> None:
    def failing(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        raise error

    samples = picture(20, 20)
    with pytest.raises(raised, match=r"no model|out of time|custom on rows 0-20, columns 0-20: model x: y holds NaN"):
        treat(custom(failing), samples, severities(samples))


def test_a_tool_that_writes_into_its_arguments_cannot_hurt_the_photo() -> None:
    def vandal(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        pixels[:] = 0
        severity[:] = 0
        return pixels

    samples = picture(40, 40)
    before, maps = samples.copy(), severities(samples)
    kept = maps.copy()
    assert not treat(custom(vandal), samples, maps).any()
    np.testing.assert_array_equal(samples, before)
    np.testing.assert_array_equal(maps, kept)


def test_values_out_of_range_are_clipped() -> None:
    samples = picture(16, 16)
    full = np.zeros_like(severities(samples))
    full[NOISE] = 1.0
    assert (treat(FakeTool(gain=1e6), samples, full) == 65535).all()
    assert (treat(FakeTool(gain=-1e6), samples, full) == 0).all()


def test_what_the_progress_callback_raises_ends_the_call() -> None:
    samples, fake = picture(64, 64), FakeTool()

    def stop(done: int, total: int) -> None:
        raise BudgetExceeded(f"stopped after {done} of {total}")

    with pytest.raises(BudgetExceeded, match="stopped after 1 of 4"):
        treat(fake, samples, severities(samples), tile=32, on_tile=stop)
    assert len(fake.calls) == 1


# Wrong calls


def ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": np.zeros((40, 50, 3), np.uint8)}, "samples uint8"),
        ({"samples": np.zeros((40, 50), np.uint16)}, r"samples uint16 \(40, 50\)"),
        ({"samples": np.zeros((0, 50, 3), np.uint16)}, "samples uint16"),
        ({"maps": ones(len(NAMES), 5, 6)}, "maps .* for a photo of 50×40"),
        ({"guide": ones(5, 6, 3)}, "guide .* for a photo of 50×40"),
        ({"maps": 2 * ones(len(NAMES), 5, 7)}, "out of range"),
        ({"maps": np.nan * ones(len(NAMES), 5, 7)}, "out of range"),
        ({"strength": -0.1}, "strength=-0.1"),
        ({"strength": float("nan")}, "strength=nan"),
        ({"strength_mask": ones(40, 49)}, "mask is 49×40, photo is 50×40; resize the mask"),
        ({"strength_mask": 255 * ones(40, 50)}, "mask holds 255.0 to 255.0; wanted 0 to 1"),
        ({"strength_mask": np.nan * ones(40, 50)}, "mask holds nan"),
        ({"tile": 0}, "tile=0"),
        ({"options": {"radius": 1}}, "fake has no option 'radius'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    samples = picture(40, 50)
    arguments: dict[str, Any] = {"samples": samples, "maps": severities(samples), "guide": cell_means(samples)}
    with pytest.raises(UsageError, match=message):
        apply(FakeTool(), **arguments | changes)


def test_options_reach_the_tool() -> None:
    def shade(pixels: Pixels, severity: Maps, survey: Maps, *, level: float = 0.0) -> Pixels:
        return np.full_like(pixels, level)

    samples = picture(20, 20)
    assert (treat(custom(shade), samples, severities(samples), options={"level": 1}) == 65535).all()
    assert (treat(custom(shade), samples, severities(samples)) == 0).all()


def test_a_fake_tool_has_an_honest_card() -> None:
    card: Card = FakeTool(radius=3, multiple_of=4).card
    assert (card.halo, card.multiple_of, card.models) == (3, 4, ())
