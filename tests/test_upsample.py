"""Coarse maps to pixels: convex, exact on zeros, independent of tiling, and sharper than its peers on edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.pixels.upsample import DOUBT, FLOOR, INDIFFERENCE, LIKENESS, upsample

Floats = NDArray[np.float32]


def scene(seed: int, noise: float, contrast: float = 1.0, side: int = 160) -> tuple[Floats, Floats]:
    """Flat colours under noise (in 8-bit levels), and a map whose steps are the outlines of those colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.stack([(y - a) ** 2 + (x - b) ** 2 for a, b in rng.random((7, 2)) * side]).argmin(axis=0)
    labels[(y - side * rng.uniform(0.3, 0.7)) ** 2 + (x - side * rng.uniform(0.3, 0.7)) ** 2 < (side / 6) ** 2] = 7
    colours = 0.5 + contrast * (rng.random((8, 3)) - 0.5)
    severity = np.where(rng.random(8) < 0.5, 0.0, rng.uniform(0.2, 1.0, 8))
    severity[:2] = 0.0, 0.8
    picture = colours[labels] + noise / 255 * rng.standard_normal((side, side, 3))
    return np.clip(picture, 0, 1).astype(np.float32), severity[labels].astype(np.float32)


def cells_of(picture: Floats) -> Floats:
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(picture, (width // 8, height // 8), interpolation=cv2.INTER_AREA), np.float32)


def error_at_edges(fine: Floats, truth: Floats) -> float:
    step = cv2.dilate(truth, np.ones((3, 3))) - cv2.erode(truth, np.ones((3, 3))) > 0
    near = cv2.dilate(step.astype(np.uint8), np.ones((13, 13))) > 0
    return float(np.abs(fine - truth)[near].mean())


def guided_filter(coarse: Floats, guide: Floats, picture: Floats, epsilon: float) -> Floats:
    """He's fast guided filter (arXiv 1505.00996) in colour: linear model per cell window, upsampled bilinearly."""

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)

    centre, level = mean(guide), mean(coarse)
    with_map = np.stack([mean(guide[..., i] * coarse) - centre[..., i] * level for i in range(3)], axis=-1)
    among = np.zeros((*coarse.shape, 3, 3))
    for i in range(3):
        for j in range(3):
            among[..., i, j] = mean(guide[..., i] * guide[..., j]) - centre[..., i] * centre[..., j]
    slope = np.linalg.solve(among + epsilon * np.eye(3), with_map[..., None])[..., 0].astype(np.float32)
    model = np.concatenate([slope, (level - (slope * centre).sum(axis=-1))[..., None]], axis=-1)
    fine = upsample(np.moveaxis(mean(model), -1, 0), picture.shape[:2])
    return np.asarray(np.clip((np.moveaxis(fine[:3], 0, -1) * picture).sum(axis=-1) + fine[3], 0, 1), np.float32)


def slow(coarse: Floats, size: tuple[int, int], guide: Floats, picture: Floats) -> NDArray[np.float64]:
    """The oracle: the definition, pixel by pixel, in float64."""
    cells, colours = coarse.astype(np.float64), guide.astype(np.float64)
    channels, height, width = cells.shape

    def nine(i: int, j: int) -> list[tuple[int, int]]:
        rows, columns = np.clip([i - 1, i, i + 1], 0, height - 1), np.clip([j - 1, j, j + 1], 0, width - 1)
        return [(a, b) for a in rows for b in columns]

    def explained(i: int, j: int) -> float:
        around = tuple(np.transpose(nine(i, j)))
        c = colours[around] - colours[around].mean(axis=0)
        v = cells[:, around[0], around[1]].T
        v = v - v.mean(axis=0)
        shared, contrast = c.T @ v / 9, np.linalg.norm(c.T @ c / 9)
        return float(min(np.square(shared).sum() / (contrast * np.square(v).sum() / 9 + 1e-9), 1))

    table = np.array([[explained(i, j) for j in range(width)] for i in range(height)])
    widths = LIKENESS + INDIFFERENCE * (1 - linear(table[None], size)[0])
    fine = np.zeros((channels, *size))
    for y in range(size[0]):
        for x in range(size[1]):
            v, u = (y + 0.5) * height / size[0], (x + 0.5) * width / size[1]
            around = nine(int(v), int(u))
            apart = [float(np.square(picture[y, x] - colours[cell]).sum()) for cell in around]
            spread = widths[y, x] + DOUBT * min(apart)
            weights = [np.exp((min(apart) - d) / 2 / spread) + FLOOR for d in apart]
            near = np.outer(spline(v - int(v) - 0.5), spline(u - int(u) - 0.5)).ravel() * weights
            fine[:, y, x] = sum(w * cells[:, i, j] for w, (i, j) in zip(near / near.sum(), around, strict=True))
    return fine


def spline(offset: float) -> list[float]:
    return [(0.5 * (0.5 - offset) ** 2) ** 2, (0.75 - offset**2) ** 2, (0.5 * (0.5 + offset) ** 2) ** 2]


def linear(cells: NDArray[np.float64] | Floats, size: tuple[int, int]) -> NDArray[np.float64]:
    """Bilinear by numpy's own interpolation along one axis, then the other."""

    def along(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        at = (np.arange(count) + 0.5) * len(values) / count - 0.5
        return np.asarray(np.interp(at, np.arange(len(values)), values))

    tall = np.apply_along_axis(along, 1, cells.astype(np.float64), size[0])
    return np.asarray(np.apply_along_axis(along, 2, tall, size[1]))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Floats, tuple[int, int], Floats, Floats]:
    """Any grid over any frame, cells larger or smaller than a pixel, maps with zeros, colours flat or wild."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    size = draw(st.tuples(st.integers(1, 27), st.integers(1, 27)))
    coarse = rng.random((draw(st.integers(1, 3)), *grid)) * (rng.random(grid) < draw(st.sampled_from([0.3, 1.0])))
    contrast = draw(st.sampled_from([0.0, 0.1, 1.0]))
    guide, picture = 0.5 + contrast * (rng.random((*grid, 3)) - 0.5), rng.random((*size, 3))
    return coarse.astype(np.float32), size, guide.astype(np.float32), picture.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(problems())
def test_attention_is_its_definition(problem: tuple[Floats, tuple[int, int], Floats, Floats]) -> None:
    coarse, size, guide, picture = problem
    assert np.abs(upsample(coarse, size, None, guide, picture) - slow(coarse, size, guide, picture)).max() < 1e-4


@settings(max_examples=40, deadline=None)
@given(problems())
def test_without_a_guide_it_is_bilinear(problem: tuple[Floats, tuple[int, int], Floats, Floats]) -> None:
    coarse, size, _, _ = problem
    assert np.abs(upsample(coarse, size) - linear(coarse, size)).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(problems(), st.booleans())
def test_output_never_leaves_the_local_range_and_zeros_stay_zeros(
    problem: tuple[Floats, tuple[int, int], Floats, Floats], guided: bool
) -> None:
    coarse, size, guide, picture = problem
    fine = upsample(coarse, size, None, guide, picture) if guided else upsample(coarse, size)
    edged = np.pad(coarse, ((0, 0), (1, 1), (1, 1)), "edge")
    around = np.lib.stride_tricks.sliding_window_view(edged, (3, 3), axis=(1, 2))
    rows, columns = ((np.arange(n) + 0.5) * c / n for n, c in zip(size, coarse.shape[1:], strict=True))
    near = around[:, rows.astype(int)][:, :, columns.astype(int)]
    low, high = near.min(axis=(3, 4)), near.max(axis=(3, 4))
    assert (fine >= low - 1e-6).all()
    assert (fine <= high + 1e-6).all()
    assert (fine[high == 0] == 0).all()
    assert fine.max() <= coarse.max()


@settings(max_examples=60, deadline=None)
@given(problems(), st.data(), st.booleans())
def test_a_window_is_the_crop_of_the_full_result(
    problem: tuple[Floats, tuple[int, int], Floats, Floats], data: st.DataObject, guided: bool
) -> None:
    coarse, size, guide, picture = problem
    y0, x0 = (data.draw(st.integers(0, n - 1)) for n in size)
    y1, x1 = data.draw(st.integers(y0 + 1, size[0])), data.draw(st.integers(x0 + 1, size[1]))
    full = upsample(coarse, size, None, guide, picture) if guided else upsample(coarse, size)
    crop = picture[y0:y1, x0:x1]
    part = upsample(coarse, size, (y0, x0, y1, x1), *((guide, crop) if guided else ()))
    assert np.abs(part - full[:, y0:y1, x0:x1]).max() <= 1e-6


def test_tiles_of_a_photograph_put_together_are_the_full_result_to_the_bit() -> None:
    picture, truth = scene(3, noise=10, side=168)
    coarse, guide = cells_of(truth)[None], cells_of(picture)
    full = upsample(coarse, (168, 168), None, guide, picture)
    for y in range(0, 168, 56):
        for x in range(0, 168, 56):
            tile = picture[y : y + 56, x : x + 56]
            part = upsample(coarse, (168, 168), (y, x, y + 56, x + 56), guide, tile)
            assert np.array_equal(part, full[:, y : y + 56, x : x + 56])


@pytest.mark.parametrize("value", [0.0, 0.1, 0.37, 1.0])
def test_a_constant_stays_that_constant(value: float) -> None:
    picture, _ = scene(0, noise=30)
    coarse = np.full((2, 20, 20), value, np.float32)
    assert (upsample(coarse, (160, 160), None, cells_of(picture), picture) == np.float32(value)).all()
    assert (upsample(coarse, (160, 160)) == np.float32(value)).all()


@pytest.mark.parametrize("contrast", [1.0, 0.4])
@pytest.mark.parametrize("noise", [2.0, 10.0, 20.0])
def test_edges_are_sharper_than_bilinear_and_guided_filter(contrast: float, noise: float) -> None:
    scores = []
    for seed in range(5):
        picture, truth = scene(seed, noise, contrast)
        coarse, guide = cells_of(truth), cells_of(picture)
        attended = upsample(coarse[None], truth.shape, None, guide, picture)[0]
        peers = [upsample(coarse[None], truth.shape)[0]]
        peers += [guided_filter(coarse, guide, picture, epsilon) for epsilon in (1e-3, 1e-2)]
        scores.append([error_at_edges(fine, truth) for fine in (attended, *peers)])
    ours, bilinear, *guided = np.mean(scores, axis=0)
    assert ours < 0.75 * bilinear
    assert ours < 0.9 * min(guided)


def test_texture_that_has_nothing_to_do_with_the_map_does_not_print_through() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.random((160, 160, 3)).astype(np.float32), (0, 0), 3)
    picture = np.clip(0.5 + 4 * (picture - picture.mean()), 0, 1)
    y, x = np.mgrid[:160, :160].astype(np.float32)
    truth = 0.5 + 0.4 * np.sin(y / 40) * np.cos(x / 50)
    fine = upsample(cells_of(truth)[None], truth.shape, None, cells_of(picture), picture)[0]
    assert np.abs(fine - truth).mean() < 0.01


def test_no_channels_are_no_work() -> None:
    nothing, picture = np.zeros((0, 2, 2), np.float32), np.zeros((16, 16, 3), np.float32)
    assert upsample(nothing, (16, 16)).shape == (0, 16, 16)
    assert upsample(nothing, (16, 16), None, picture[:2, :2], picture).shape == (0, 16, 16)


def test_shapes_that_do_not_belong_together_are_named() -> None:
    coarse, guide, picture = (np.ones(shape, np.float32) for shape in ((1, 4, 4), (4, 4, 3), (32, 32, 3)))
    with pytest.raises(UsageError, match="window"):
        upsample(coarse, (32, 32), (0, 0, 33, 32))
    with pytest.raises(UsageError, match="both or neither"):
        upsample(coarse, (32, 32), None, guide)
    with pytest.raises(UsageError, match="one colour per cell"):
        upsample(coarse, (32, 32), None, guide[:3], picture)
    with pytest.raises(UsageError, match="as the window"):
        upsample(coarse, (32, 32), (0, 0, 16, 16), guide, picture)
    with pytest.raises(UsageError, match="at least one cell"):
        upsample(coarse[0], (32, 32))
