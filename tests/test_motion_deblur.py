"""Motion undone: sharper where the picture shows the path of the movement, and the same picture everywhere else."""

import numpy as np
import pytest
from skimage import data

from conservator.degradations import CELL, INDEX, MOTION_BLUR, NAMES, Stage
from conservator.pixels.deconvolution import fading
from conservator.pixels.motion import find_kernel, reach_of
from conservator.pixels.motion_evidence import agreement, noise_of, rippling, smoothness, spilled
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import to_pixels, to_samples
from conservator.synthesis import optics
from conservator.tools import engine
from conservator.tools.finishing import finished
from conservator.tools.motion_deblur import HALO, motion_deblur, stilled
from conservator.tools.registry import TOOLS

CHANNEL = INDEX["motion_blur"]
LINE = optics.line(9, 0.5)
FADING = optics.one_sided(10, 3.0, 2.0)
CURVE = optics.curve(9, np.random.default_rng(4))


@pytest.fixture(scope="module")
def truth():
    return np.ascontiguousarray(data.astronaut()[:240, 60:332], np.float32) / np.float32(255)


def blurred(image, kernel):
    return np.rint(np.clip(optics.convolve(image, kernel), 0, 1) * 255).astype(np.float32) / np.float32(255)


def maps_of(image, extent):
    grid = -(-image.shape[0] // CELL), -(-image.shape[1] // CELL)
    maps = np.zeros((len(NAMES), *grid), np.float32)
    maps[CHANNEL] = MOTION_BLUR.severity(extent)
    return maps


def treated(image, maps):
    samples = to_samples(image)
    return to_pixels(engine.apply(motion_deblur, samples, maps, cell_means(samples)))


def psnr(image, truth):
    return -10 * np.log10(np.mean(np.square(image - truth)))


@pytest.mark.parametrize("kernel", [LINE, FADING, CURVE], ids=["line", "fading", "curve"])
def test_a_movement_is_undone_though_only_its_length_is_told_and_that_wrongly(truth, kernel):
    image = blurred(truth, kernel)
    gain = psnr(treated(image, maps_of(image, 1.25 * optics.extent_of(kernel))), truth) - psnr(image, truth)
    assert gain > 2


@pytest.mark.parametrize("kernel", [LINE, FADING, CURVE], ids=["line", "fading", "curve"])
def test_the_network_adds_to_what_deconvolution_gives(truth, kernel):
    image = blurred(truth, kernel)
    amount = np.full(image.shape[:2], MOTION_BLUR.severity(optics.extent_of(kernel)), np.float32)
    padded = np.pad(image, ((HALO, HALO), (HALO, HALO), (0, 0)), mode="reflect")
    alone = stilled(padded, np.pad(amount, HALO, mode="edge"))[0][HALO:-HALO, HALO:-HALO]
    after = treated(image, maps_of(image, optics.extent_of(kernel)))
    assert psnr(after, truth) > psnr(np.clip(alone, 0, 1), truth) + 0.1


def test_where_nothing_was_deconvolved_the_network_is_not_asked(truth):
    sharp, nowhere = np.clip(1.1 * truth, 0, 1), np.zeros(truth.shape[:2], np.float32)
    severity = np.full((len(NAMES), *nowhere.shape), 0.5, np.float32)
    assert finished(truth, sharp, nowhere, severity, 0) is sharp
    half = nowhere.copy()
    half[:, :100] = 1
    after = finished(truth, sharp, half, severity, 0)
    assert np.array_equal(after[:, 100:], sharp[:, 100:]) and not np.array_equal(after, sharp)
    assert finished(truth, truth, half, severity, 0) is truth


def test_a_sharp_neighbour_keeps_every_integer_and_the_smeared_part_becomes_sharper():
    truth = np.ascontiguousarray(data.astronaut()[:288, 60:400], np.float32) / np.float32(255)
    image = truth.copy()
    image[:, :240] = blurred(truth, LINE)[:, :240]
    maps = maps_of(image, optics.extent_of(LINE))
    maps[CHANNEL, :, 30:] = 0
    after = treated(image, maps)
    assert psnr(after[:, :232], truth[:, :232]) > psnr(image[:, :232], truth[:, :232]) + 2
    beyond = (30 + 1) * CELL  # upsampling looks one cell around
    assert np.array_equal(to_samples(after)[:, beyond:], to_samples(image)[:, beyond:])


def test_a_sharp_picture_called_smeared_stays_as_it_is(truth):
    for extent in (5.0, 14.0):
        assert np.array_equal(to_samples(treated(truth, maps_of(truth, extent))), to_samples(truth))


def test_noise_and_flat_and_tiny_pictures_stay():
    noise = np.random.default_rng(4).random((120, 120, 3), np.float32)
    assert np.array_equal(to_samples(treated(noise, maps_of(noise, 6))), to_samples(noise))
    for size in ((1, 1), (1, 40), (70, 9), (120, 120)):
        flat = np.full((*size, 3), 0.4, np.float32)
        assert np.array_equal(to_samples(treated(flat, maps_of(flat, 6))), to_samples(flat))


@pytest.mark.parametrize("kernel", [LINE, CURVE], ids=["line", "curve"])
def test_the_path_is_read_from_the_picture(truth, kernel):
    extent = optics.extent_of(kernel)
    plane = np.ascontiguousarray(blurred(truth, kernel)[:240, :256].mean(axis=2))
    found = find_kernel(plane, fading(plane.shape, reach_of(extent)), extent)
    assert found.shape == (reach_of(extent),) * 2
    assert found.sum() == pytest.approx(1, abs=1e-4) and found.min() >= 0
    assert spilled(found) < 0.04 < spilled(np.full((9, 9), 1 / 81, np.float32))
    seen = np.ascontiguousarray(kernel[::-1, ::-1])  # optics correlates, as OpenCV does
    assert agreement(found, seen) > 0.9 > agreement(optics.line(extent, 1.35), seen)


def test_smoothness_tells_smeared_from_sharp(truth):
    for image, smeared in ((truth, False), (blurred(truth, LINE), True)):
        plane = np.ascontiguousarray(image.mean(axis=2))
        value = smoothness(plane, fading(plane.shape, 20), LINE, 0.0)
        assert (value > 3.1) if smeared else (value < 2.85)


def test_a_kernel_that_is_not_the_pictures_ripples_in_what_is_flat(truth):
    plane = np.ascontiguousarray(blurred(truth, optics.line(5, 0.5)).mean(axis=2))
    share = np.ones_like(plane)
    right, wrong = (
        rippling(plane, share, np.ascontiguousarray(kernel[::-1, ::-1]), 0.05, 30)
        for kernel in (optics.line(5, 0.5), optics.line(16, 2.0))
    )
    assert right < wrong
    assert noise_of(plane, share) < 1.2 / 255
    noisy = plane + np.random.default_rng(0).normal(0, 4 / 255, plane.shape).astype(np.float32)
    assert noise_of(noisy, share) == pytest.approx(4 / 255, rel=0.15)


def test_it_is_the_specialist_for_motion_blur():
    card = TOOLS.get("motion_deblur").card
    assert card.treats == ("motion_blur",) and card.stage is Stage.IMAGING and card.models == ("deblur",)
