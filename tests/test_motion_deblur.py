"""Motion undone: sharper where the picture shows the path of the movement, and the same picture everywhere else."""

import math

import numpy as np
import pytest
from skimage import data

from conservator.degradations import CELL, INDEX, MOTION_BLUR, NAMES
from conservator.pixels.deconvolution import blurred_along, response_of, sharpened, wholly_blurred
from conservator.pixels.motion import balanced, find_kernel, reach_of
from conservator.pixels.motion_evidence import agreement
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import to_pixels, to_samples
from conservator.synthesis import optics
from conservator.tools import engine
from conservator.tools.motion_deblur import HALO, motion_deblur
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
