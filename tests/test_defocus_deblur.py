"""Defocus undone: sharper where the picture shows how large the blur is, and the same picture everywhere else."""

import numpy as np
import pytest

from conservator.degradations import CELL, DEFOCUS_BLUR, INDEX, NAMES
from conservator.pixels import disc_evidence
from conservator.pixels.deconvolution import sharpened
from conservator.pixels.disc import disc, transfer
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import to_pixels, to_samples
from conservator.synthesis import optics
from conservator.tools import engine
from conservator.tools.defocus_deblur import defocus_deblur
from conservator.tools.registry import TOOLS
from scenes import scene

CHANNEL = INDEX["defocus_blur"]


def textured(height, width, seed=1):
    """A scene with detail at every scale, as photographs have it: the spectrum shows the disc's zeros."""
    rng = np.random.default_rng(seed)
    reach = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    reach[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((3, height, width))) / reach**1.2
    texture = np.fft.irfft2(spectrum, (height, width)).transpose(1, 2, 0)
    return np.clip(0.7 * scene(height, width, seed) + 0.15 + 0.05 * texture / texture.std(), 0, 1).astype(np.float32)


def blurred(image, radius):
    return np.rint(optics.convolve(image, optics.disc(radius)) * 255).astype(np.float32) / np.float32(255)


def maps_of(image, radius):
    grid = -(-image.shape[0] // CELL), -(-image.shape[1] // CELL)
    maps = np.zeros((len(NAMES), *grid), np.float32)
    maps[CHANNEL] = DEFOCUS_BLUR.severity(radius)
    return maps


def treated(image, maps, tile=None):
    samples = to_samples(image)
    return to_pixels(engine.apply(defocus_deblur, samples, maps, cell_means(samples), tile=tile))


def psnr(image, truth):
    return -10 * np.log10(np.mean(np.square(image - truth)))


@pytest.fixture(scope="module")
def truth():
    return textured(256, 320)


@pytest.mark.parametrize("radius", [1.5, 3.0, 6.0])
@pytest.mark.parametrize("told", [0.75, 1.0, 1.35])
def test_a_disc_is_undone_though_its_radius_is_told_wrongly(truth, radius, told):
    image = blurred(truth, radius)
    gain = psnr(treated(image, maps_of(image, radius * told)), truth) - psnr(image, truth)
    assert gain > 3


def test_where_nothing_is_blurred_every_pixel_keeps_its_integer(truth):
    image = blurred(truth, 3)
    maps = maps_of(image, 3)
    maps[CHANNEL, :, 20:] = 0
    before, after = to_samples(image), to_samples(treated(image, maps))
    reach = (20 + 1) * CELL  # upsampling looks one cell around
    assert np.array_equal(before[:, reach:], after[:, reach:])
    assert not np.array_equal(before[:, :reach], after[:, :reach])


def test_a_sharp_neighbour_does_not_ring_into_the_blurred_half(truth):
    image = truth.copy()
    image[:, :160] = blurred(truth, 4)[:, :160]
    maps = maps_of(image, 4)
    maps[CHANNEL, :, 20:] = 0
    assert psnr(treated(image, maps)[:, :160], truth[:, :160]) > psnr(image[:, :160], truth[:, :160]) + 2


@pytest.mark.parametrize("radius", [3.0, 6.0])
def test_tiles_and_the_whole_frame_give_the_same_picture(radius):
    truth = textured(320, 448, seed=2)
    image = blurred(truth, radius)
    maps = maps_of(image, radius)
    maps[CHANNEL, :20, 30:] = 0
    whole = treated(image, maps, tile=4096)
    assert np.abs(treated(image, maps, tile=128) - whole).max() < 1 / 255
    assert np.abs(whole - image).max() > 10 / 255


def test_a_sharp_picture_called_blurred_stays_as_it_is(truth):
    for radius in (2.0, 4.0, 6.0):
        assert np.array_equal(to_samples(treated(truth, maps_of(truth, radius))), to_samples(truth))


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (1, 40), (70, 9)])
def test_tiny_and_flat_pictures_stay(size):
    flat = np.full((*size, 3), 0.4, np.float32)
    assert np.array_equal(to_samples(treated(flat, maps_of(flat, 4))), to_samples(flat))
    speckled = np.random.default_rng(0).random((*size, 3), np.float32)
    assert np.isfinite(treated(speckled, maps_of(speckled, 4))).all()


@pytest.mark.parametrize("sigma", [2.0, 8.0, 25.0])
def test_noise_on_top_does_not_explode(truth, sigma):
    noise = np.random.default_rng(3).normal(0, sigma / 255, truth.shape)
    image = np.clip(blurred(truth, 3) + noise, 0, 1).astype(np.float32)
    assert psnr(treated(image, maps_of(image, 3)), truth) > psnr(image, truth) - 0.1


def test_pure_noise_shows_no_disc():
    noise = np.random.default_rng(4).random((200, 200, 3), np.float32)
    assert np.array_equal(to_samples(treated(noise, maps_of(noise, 4))), to_samples(noise))


def test_the_spectrum_tells_radius_and_noise(truth):
    for radius in (3.0, 5.0):  # the only zero of a smaller disc drowns in this noise
        noise = np.random.default_rng(5).normal(0, 2 / 255, truth.shape[:2])
        plane = (optics.convolve(truth, optics.disc(radius)).mean(axis=2) + noise).astype(np.float32)
        blocks = np.lib.stride_tricks.sliding_window_view(plane, (128, 128))[::64, ::64].reshape(-1, 128, 128)
        powers = disc_evidence.ring_powers(blocks, np.ones_like(blocks)).mean(axis=0, keepdims=True)
        found = disc_evidence.find(powers, np.array([radius * 1.3]))
        assert found.radius[0] == pytest.approx(radius, rel=0.1)
        assert 255 * found.noise[0] == pytest.approx(2, rel=0.4)
        assert found.contrast[0] > 10


def test_a_kernel_is_a_disc_of_its_area():
    for radius in (0.0, 0.4, 1.0, 3.3, 8.0):
        kernel = disc(radius)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert np.array_equal(kernel, kernel[::-1, ::-1].T)
    assert 1 / disc(6.0)[6, 6] == pytest.approx(np.pi * 36, rel=0.02)


def test_a_flat_picture_has_nothing_to_sharpen():
    flat = np.full((256, 256, 3), 0.3, np.float32)
    assert np.abs(sharpened(flat, transfer(4.0, (256, 256)), 0.003, 64) - flat).max() < 1e-4


def test_the_policy_finds_the_tool_for_defocus():
    assert [tool.name for tool in TOOLS.treating("defocus_blur")] == ["defocus_deblur"]
