"""Reference measures agree with scikit-image and with hand calculation; the guard lets honest restorations through."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import metrics

from conservator.errors import ModelMissing, UsageError
from conservator.models.foreign.pytorch import declare_torchvision_operators
from conservator.pixels.types import to_pixels, to_samples
from conservator.quality.guard import examine, examine_samples
from conservator.quality.metrics import INSTALL, Metric, add_metric, metric_named
from conservator.quality.reference import gmsd, ms_ssim, psnr, psnr_inside, region_iou, ssim

Floats = NDArray[np.float32]
Change = Callable[[Floats], Floats]


def clipped(picture: NDArray[Any]) -> Floats:
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def stored(picture: NDArray[Any]) -> Floats:
    """As an 8-bit file holds it."""
    return (np.rint(clipped(picture) * 255) / 255).astype(np.float32)


@functools.cache
def photograph(seed: int = 0, side: int = 320) -> Floats:
    """A made-up scene with what a photograph has: smooth sky, coloured things with edges, textures with a 1/f fall."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    picture = np.stack([0.45 + 0.2 * y, 0.6 + 0.1 * y, 0.85 - 0.1 * y], axis=-1)
    for _ in range(14):
        centre, radius, colour = rng.random(2) * (0.6, 1) + (0.4, 0), rng.uniform(0.06, 0.2), rng.uniform(0.1, 0.9, 3)
        inside = cv2.GaussianBlur(((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2) * 1.0, (0, 0), 0.8)
        frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) + 1 / side
        texture = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency**1.2))
        surface = colour + 0.06 * (texture / texture.std())[..., None]
        picture += inside[..., None] * (surface - picture)
    picture = stored(np.clip(picture, 0.03, 0.95))
    picture.flags.writeable = False
    return picture


def noisy(picture: Floats, level: float, seed: int = 1) -> Floats:
    return stored(picture + level / 255 * np.random.default_rng(seed).standard_normal(picture.shape))


def exposed(picture: Floats, stops: float) -> Floats:
    """More or less light, in the linear light of sRGB."""
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4) * 2**stops
    linear = np.clip(linear, 0, 1)
    return clipped(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def hazed(picture: Floats, transmission: float = 0.35) -> Floats:
    return stored(picture * transmission + np.array([0.85, 0.87, 0.9]) * (1 - transmission))


def compressed(picture: Floats, quality: int = 10) -> Floats:
    code = cv2.imencode(".jpg", (picture[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return stored(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32) / 255)


def defocused(picture: Floats, radius: int = 3) -> Floats:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (y**2 + x**2 <= radius**2).astype(np.float32)
    return stored(cv2.filter2D(picture, -1, disc / disc.sum()))


def deconvolved(picture: Floats, radius: int = 3) -> Floats:
    """Richardson-Lucy with the true kernel: an honest deblurring tool with honest ringing."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (y**2 + x**2 <= radius**2).astype(np.float32)
    disc /= disc.sum()
    estimate = picture.copy()
    for _ in range(15):
        estimate *= cv2.filter2D(picture / np.maximum(cv2.filter2D(estimate, -1, disc), 1e-3), -1, disc)
    return clipped(estimate)


def without_dark_channel(picture: Floats) -> Floats:
    """Dark channel prior (He et al., CVPR 2009) in its plainest form; 0.7 of the veil, for there is a blue sky."""
    dark = cv2.erode(picture.min(axis=-1), np.ones((15, 15)))
    air = picture[dark >= np.quantile(dark, 0.999)].mean(axis=0)
    veil = cv2.erode((picture / air).min(axis=-1), np.ones((15, 15)))
    left = np.maximum(1 - 0.7 * cv2.blur(veil, (41, 41)), 0.15)[..., None]
    return clipped((picture - air) / left + air)


def sharpened(picture: Floats, times: int) -> Floats:
    for _ in range(times):
        picture = clipped(2 * picture - cv2.GaussianBlur(picture, (0, 0), 1))
    return picture


def checkered(picture: Floats, side: int) -> Floats:
    y, x = np.mgrid[:side, :side]
    pattern = np.zeros(picture.shape, np.float32)
    pattern[20 : 20 + side, 20 : 20 + side] = (0.16 * ((y + x) % 2) - 0.08)[..., None]
    return clipped(picture + pattern)


def tinted(red: float, green: float, blue: float) -> Change:
    return lambda picture: clipped(picture * np.array([red, green, blue]))


# -- reference ---------------------------------------------------------------------------------------------------------


def scikit_image(name: str, truth: Floats, result: Floats, **options: Any) -> float:
    measure: Callable[..., float] = getattr(metrics, name)
    return float(measure(truth, result, data_range=1, **options))


def test_psnr_and_ssim_are_scikit_images() -> None:
    truth = photograph()
    for result in (noisy(truth, 25), compressed(truth), defocused(truth)):
        assert psnr(result, truth) == pytest.approx(scikit_image("peak_signal_noise_ratio", truth, result), abs=1e-4)
        wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
        theirs = scikit_image("structural_similarity", truth, result, win_size=11, **wang)
        assert ssim(result, truth) == pytest.approx(theirs, abs=1e-5)


def test_psnr_by_hand() -> None:
    black = np.zeros((4, 4, 3), np.float32)
    assert psnr(black + np.float32(0.1), black) == pytest.approx(20)
    assert psnr(black + np.float32(1), black) == pytest.approx(0)
    assert psnr(black, black) == math.inf
    assert ssim(np.zeros((11, 11, 3), np.float32), np.zeros((11, 11, 3), np.float32)) == pytest.approx(1)


def test_psnr_inside_counts_only_what_the_mask_covers() -> None:
    black = np.zeros((4, 4, 3), np.float32)
    result, mask = black.copy(), np.zeros((4, 4), np.float32)
    result[:2], result[2:], mask[:2] = 0.1, 0.9, 1.0
    assert psnr_inside(result, black, mask) == pytest.approx(20)
    assert psnr_inside(result, black, np.ones((4, 4), np.float32)) == pytest.approx(psnr(result, black))
    mask[2:] = 0.5
    assert psnr_inside(result, black, mask) == pytest.approx(-10 * math.log10((0.01 + 0.5 * 0.81) / 1.5))
    with pytest.raises(UsageError, match="empty mask"):
        psnr_inside(result, black, np.zeros((4, 4), np.float32))


def windowed_means(plane: NDArray[Any]) -> NDArray[Any]:
    """Gaussian means by a plain sum over the window, borders mirrored."""
    offsets = np.arange(-5, 6)
    gauss = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel = np.outer(gauss, gauss) / gauss.sum() ** 2
    padded = np.pad(plane, 5, mode="reflect")
    height, width = plane.shape
    return sum(kernel[i, j] * padded[i : i + height, j : j + width] for i in range(11) for j in range(11))


def slow_ms_ssim(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Wang et al. (2003) in the words of the paper."""
    value, channels = 1.0, [(a[..., c].astype(float), b[..., c].astype(float)) for c in range(3)]
    for scale, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        contrasts, lights = [], []
        for x, y in channels:
            mx, my = windowed_means(x), windowed_means(y)
            sx, sy, sxy = (windowed_means(p) - q for p, q in ((x * x, mx * mx), (y * y, my * my), (x * y, mx * my)))
            contrasts.append((2 * sxy + 0.03**2) / (sx + sy + 0.03**2))
            lights.append((2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2))
        if scale < 4:
            value *= np.mean([c[5:-5, 5:-5] for c in contrasts]) ** exponent
            halves = [[p[: len(p) // 2 * 2, : p.shape[1] // 2 * 2] for p in pair] for pair in channels]
            channels = [
                tuple(p.reshape(len(p) // 2, 2, p.shape[1] // 2, 2).mean(axis=(1, 3)) for p in pair) for pair in halves
            ]
        else:
            value *= np.mean([c * light for c, light in zip(contrasts, lights, strict=True)]) ** exponent
    return float(value)


def test_ms_ssim_is_the_published_formula() -> None:
    truth = photograph()[:190, :201]
    for result in (noisy(truth, 25), defocused(truth)):
        assert ms_ssim(result, truth) == pytest.approx(slow_ms_ssim(result, truth), abs=1e-6)
    assert ms_ssim(truth, truth) == pytest.approx(1)
    with pytest.raises(UsageError, match="160"):
        ms_ssim(truth[:160], truth[:160])


def test_ms_ssim_is_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    declare_torchvision_operators()  # torchmetrics imports torchvision where there is one
    torchmetrics = pytest.importorskip("torchmetrics.functional.image")

    truth = photograph()[:250, :301]
    for result in (noisy(truth, 25), compressed(truth), defocused(truth)):
        pair = (torch.from_numpy(p.transpose(2, 0, 1).copy())[None] for p in (result, truth))
        theirs = torchmetrics.multiscale_structural_similarity_index_measure(*pair, data_range=1.0)
        assert ms_ssim(result, truth) == pytest.approx(float(theirs), abs=1e-4)


@pytest.mark.parametrize("size", [(64, 80), (63, 81)])
def test_gmsd_is_the_published_formula(size: tuple[int, int]) -> None:
    """Step by step as the authors' MATLAB does it."""
    from scipy.signal import convolve2d

    def gradients(picture: Floats) -> NDArray[Any]:
        luma = picture.astype(float) @ [0.299, 0.587, 0.114] * 255
        small = convolve2d(luma, np.full((2, 2), 0.25), mode="full")[1:, 1:][::2, ::2]
        prewitt = np.array([[1, 0, -1]] * 3) / 3
        return np.hypot(*(convolve2d(small, kernel, mode="same") for kernel in (prewitt, prewitt.T)))

    truth = photograph()[: size[0], : size[1]]
    result = noisy(truth, 25)
    a, b = gradients(truth), gradients(result)
    assert gmsd(result, truth) == pytest.approx(float(np.std((2 * a * b + 170) / (a**2 + b**2 + 170))), abs=1e-6)
    assert gmsd(truth, truth) == 0 < gmsd(noisy(truth, 5), truth) < gmsd(result, truth)


def test_a_measure_of_ones_own_is_found_by_its_name() -> None:
    def darkest(result: Floats, truth: Floats) -> float:
        return float(result.min())

    add_metric(Metric("darkest_for_this_test", darkest))
    assert metric_named("darkest_for_this_test").measure(photograph(), photograph()) == photograph().min()
    assert metric_named("psnr").higher and not metric_named("gmsd").higher
    for taken in ("psnr", "pyiqa:musiq"):
        with pytest.raises(UsageError, match="free"):
            add_metric(Metric(taken, darkest))
    with pytest.raises(UsageError, match="ms_ssim"):
        metric_named("mssim")


def test_metrics_of_pyiqa_say_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ModelMissing, match="--no-deps pyiqa"):
        metric_named("pyiqa:musiq")


@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is None, reason=f"pyiqa is not installed: {INSTALL}")
def test_metrics_of_pyiqa_measure_what_ours_of_the_same_name_do() -> None:
    truth = photograph()
    result = noisy(truth, 25)
    for name, ours, tolerance in (("psnr", psnr, 1e-3), ("gmsd", gmsd, 1e-3)):
        theirs = metric_named(f"pyiqa:{name}")
        assert theirs.measure(result, truth) == pytest.approx(ours(result, truth), abs=tolerance)
        assert theirs.higher == metric_named(name).higher and theirs.name == f"pyiqa:{name}"
    assert metric_named("pyiqa:entropy").measure(result, truth) == metric_named("pyiqa:entropy").measure(result, result)
    with pytest.raises(UsageError, match=r"no metric 'mssim'.*gmsd"):
        metric_named("pyiqa:mssim")


@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is None, reason=f"pyiqa is not installed: {INSTALL}")
def test_weights_that_pyiqa_cannot_fetch_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    declare_torchvision_operators()
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("pyiqa.utils.download_util.DEFAULT_CACHE_DIR", str(tmp_path))
    with pytest.raises(ModelMissing, match=r"metric 'pyiqa:niqe': .*urlopen"):
        metric_named("pyiqa:niqe")


def test_region_iou_matches_regions_by_overlap_whatever_their_order() -> None:
    left, right = np.zeros((2, 4, 8), np.float32)
    left[:, :4], right[:, 4:] = 1, 1
    shifted = np.roll(left, 1, axis=1)
    assert region_iou([right, left], [left, right]) == 1
    assert region_iou([shifted], [left]) == pytest.approx(3 / 5)
    assert region_iou([left], [left, right]) == pytest.approx(1 / 2)
    assert region_iou([left, right, shifted], [left]) == 1
    assert region_iou([left * np.float32(0.5)], [left]) == pytest.approx(1 / 2)
    assert region_iou([left * 0, left], [left]) == 1
    assert region_iou([], []) == 1
    assert region_iou([], [left]) == 0
    with pytest.raises(UsageError, match="one shape"):
        region_iou([left], [left[:2]])


def test_measures_refuse_pictures_that_do_not_belong_together() -> None:
    one, other = np.zeros((12, 12, 3), np.float32), np.zeros((12, 13, 3), np.float32)
    for measure in (psnr, ssim, ms_ssim, gmsd):
        with pytest.raises(UsageError, match="the same for both"):
            measure(one, other)
    with pytest.raises(UsageError, match="at least 11"):
        ssim(one[:10], one[:10])
    with pytest.raises(UsageError, match="resize the mask"):
        psnr_inside(one, one, np.ones((3, 3), np.float32))


# -- guard -------------------------------------------------------------------------------------------------------------

TRUE_RESTORATIONS: dict[str, Change] = {
    "nothing": lambda p: p,
    "denoise": lambda p: noisy(p, 25),
    "strong denoise": lambda p: noisy(p, 60),
    "dejpeg": compressed,
    "deblur": defocused,
    "strong deblur": lambda p: defocused(p, 6),
    "dehaze": hazed,
    "dense haze": lambda p: hazed(p, 0.2),
    "lift 3 EV": lambda p: stored(exposed(p, -3)),
    "lift 3 EV and denoise": lambda p: noisy(exposed(p, -3), 8),
    "pull 1.5 EV": lambda p: stored(exposed(p, 1.5)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("damage", TRUE_RESTORATIONS.values(), ids=TRUE_RESTORATIONS)
def test_the_truth_behind_a_damaged_photo_passes(damage: Change, seed: int) -> None:
    truth = photograph(seed)
    verdict = examine(damage(truth), truth)
    assert verdict.ok, verdict.reasons
    assert verdict.reasons == ()


TOOLS: dict[str, tuple[Change, Change]] = {
    "Gaussian": (lambda p: noisy(p, 25), lambda p: clipped(cv2.GaussianBlur(p, (0, 0), 1.2))),
    "bilateral": (compressed, lambda p: clipped(cv2.bilateralFilter(p, 7, 0.08, 3))),
    "Richardson-Lucy": (defocused, deconvolved),
    "dark channel": (hazed, without_dark_channel),
    "lift of a noisy photo": (lambda p: noisy(exposed(p, -3), 3), lambda p: exposed(p, 3)),
    "mild sharpening": (lambda p: p, lambda p: clipped(1.5 * p - 0.5 * cv2.GaussianBlur(p, (0, 0), 1.5))),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("damage", "tool"), TOOLS.values(), ids=TOOLS)
def test_plausible_tools_pass(damage: Change, tool: Change, seed: int) -> None:
    before = damage(photograph(seed))
    verdict = examine(before, tool(before))
    assert verdict.ok, verdict.reasons


VANDALS: dict[str, tuple[Change, str]] = {
    "sharpened 4 times": (lambda p: sharpened(p, 4), "sharpens"),
    "noise sharpened": (lambda p: sharpened(noisy(p, 10), 3), "sharpens"),
    "checkerboard": (lambda p: checkered(p, 280), "sharpens"),
    "small checkerboard": (lambda p: checkered(p, 90), "sharpens"),
    "warm cast": (tinted(1.15, 1, 0.85), "shifts colour"),
    "green cast": (tinted(1, 1.15, 1), "shifts colour"),
    "channels swapped": (lambda p: np.ascontiguousarray(p[..., ::-1]), "turns hues"),
    "grey": (lambda p: np.repeat(p.mean(axis=-1, keepdims=True), 3, axis=-1), "of the colour"),
    "black": (np.zeros_like, "in all channels"),
    "flat": (lambda p: np.full_like(p, 0.5), "of the structure"),
    "another picture": (lambda p: photograph(99), "of the structure"),
    "contrast torn": (lambda p: clipped((p - 0.5) * 5 + 0.5), "clips"),
    "over-lifted": (lambda p: exposed(p, 3), "clips"),
    "not a number": (lambda p: np.where(p > 0.9, np.nan, p), "NaN"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("vandal", "reason"), VANDALS.values(), ids=VANDALS)
def test_what_cannot_be_the_same_photo_is_rejected(vandal: Change, reason: str, seed: int) -> None:
    before = photograph(seed)
    verdict = examine(before, vandal(before))
    assert not verdict.ok
    assert any(reason in sentence for sentence in verdict.reasons), verdict.reasons


def test_detail_out_of_nowhere_is_rejected() -> None:
    """Grass in the sky: its spectrum is natural, only its place is not."""
    before = photograph()
    grass = cv2.GaussianBlur(np.random.default_rng(5).standard_normal((110, 320)).astype(np.float32), (0, 0), 1)
    after = before.copy()
    after[:110] = clipped(after[:110] + 0.2 * grass[..., None])
    verdict = examine(before, after)
    assert any("invents" in sentence for sentence in verdict.reasons), verdict.reasons


def test_sharpening_until_a_score_likes_it_is_rejected() -> None:
    """A sharpness score rises with every pass; the guard ends the climb long before it stops."""
    picture = defocused(photograph(), 2)
    verdicts = [examine(picture, sharpened(picture, times)).ok for times in (0, 1, 10)]
    assert verdicts == [True, True, False]


def test_black_print_on_white_paper_is_not_clipping() -> None:
    page = np.ones((200, 200, 3), np.float32)
    page[::10] = page[:, ::7] = 0
    assert examine(page, page).measures["clipped"] == 0
    assert examine(noisy(page, 20), page).ok


def test_the_verdict_goes_into_a_json_record() -> None:
    verdict = examine(photograph(), noisy(photograph(), 3))
    assert all(type(value) is float for value in verdict.measures.values())
    assert json.loads(json.dumps(verdict.measures)) == verdict.measures


def test_one_changed_pixel_outside_the_mask_is_rejected() -> None:
    before = photograph()
    touched = np.zeros(before.shape[:2], np.float32)
    touched[:100] = 1
    after = before.copy()
    after[:100] = clipped(after[:100] * 1.01)
    assert examine(before, after, touched).ok
    after[200, 7, 2] += np.float32(1 / 65535)
    verdict = examine(before, after, touched)
    assert not verdict.ok
    assert "outside the mask" in verdict.reasons[0]


def test_a_small_treated_region_is_judged_by_its_own_pixels() -> None:
    """A ruined fortieth of the frame must not hide behind the rest."""
    before = photograph()
    after, touched = before.copy(), np.zeros(before.shape[:2], np.float32)
    patch = np.s_[180:230, 100:150]
    touched[patch] = 1
    after[patch] = sharpened(before, 5)[patch]
    assert not examine(before, after, touched).ok
    assert examine(before, after).measures["clipped"] < examine(before, after, touched).measures["clipped"]


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (9, 9), (30, 200)])
def test_tiny_pictures_are_examined_too(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    assert examine(picture, picture).ok
    assert examine(picture, picture, np.zeros(size, np.float32)).ok
    assert not examine(picture, np.full_like(picture, np.inf)).ok


def test_a_large_photo_is_judged_where_it_was_treated() -> None:
    """Twelve tiles of a 24-tile photo are looked at, and the one treated corner is among them."""
    before = to_samples(np.tile(photograph(), (4, 5, 1)))
    cells = np.zeros((160, 200), np.bool_)
    cells[150:158, 188:198] = True
    after = before.copy()
    assert examine_samples(before, after, cells).ok
    corner = np.s_[1200:1264, 1504:1584]
    after[corner] = to_samples(sharpened(to_pixels(before[corner]), 5))
    verdict = examine_samples(before, after, cells)
    assert not verdict.ok
    assert verdict.measures["leaked"] == 0


def test_one_changed_sample_anywhere_in_a_large_photo_is_found() -> None:
    before = to_samples(np.tile(photograph(), (4, 5, 1)))
    cells = np.zeros((160, 200), np.bool_)
    cells[10:20, 10:20] = True
    for y, x in ((1279, 1599), (700, 801)):
        after = before.copy()
        after[y, x, 1] ^= 1
        assert "outside the mask" in examine_samples(before, after, cells).reasons[0]


def test_cells_next_to_treated_ones_may_change() -> None:
    """Upsampling looks one cell around, so severity reaches into the neighbours."""
    before = to_samples(photograph())
    cells = np.zeros((40, 40), np.bool_)
    cells[20, 20] = True
    after = before.copy()
    after[152:176, 152:176] += 300
    assert examine_samples(before, after, cells).measures["leaked"] == 0
    after[151, 160] += 300
    assert examine_samples(before, after, cells).measures["leaked"] > 0


def test_the_guard_refuses_pictures_that_do_not_belong_together() -> None:
    picture = photograph(side=64)
    with pytest.raises(UsageError, match="the same for both"):
        examine(picture, picture[:32])
    with pytest.raises(UsageError, match="touched"):
        examine(picture, picture, np.ones((8, 8), np.float32))
    with pytest.raises(UsageError, match="cells"):
        examine_samples(to_samples(picture), to_samples(picture), np.ones((7, 8), np.bool_))
