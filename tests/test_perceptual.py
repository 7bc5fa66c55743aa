"""The perceptual distance: zero for the same, larger for more damage, and not fooled as PSNR is."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from typer.testing import CliRunner

from conservator.benchmarks import seeing
from conservator.benchmarks.commands import app
from conservator.benchmarks.results import load_result
from conservator.errors import UsageError
from conservator.quality.metrics import metric_named
from conservator.quality.perceptual import LEAST, perceptual
from conservator.quality.reference import psnr
from conservator.synthesis.sensor import jpeg


@pytest.fixture(scope="module")
def truth():
    return np.ascontiguousarray(data.astronaut()[:200, 100:351], np.float32) / np.float32(255)


def noisy(picture, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma / 255, picture.shape)
    return np.clip(picture + noise, 0, 1).astype(np.float32)


def test_equal_pictures_are_no_distance_apart_and_more_damage_is_farther(truth):
    assert perceptual(truth, truth.copy()) == 0
    for worse in (
        [noisy(truth, sigma) for sigma in (3, 10, 30)],
        [jpeg(truth, quality) for quality in (80, 30, 8)],
        [cv2.GaussianBlur(truth, (0, 0), sigma) for sigma in (0.6, 1.5, 4)],
    ):
        distances = [perceptual(picture, truth) for picture in worse]
        assert 0 < distances[0] < distances[1] < distances[2]


def test_a_shift_is_nearer_than_a_blur_though_its_error_is_larger(truth):
    shifted = cv2.warpAffine(truth, np.array([[1, 0, 0.7], [0, 1, 0.4]]), truth.shape[1::-1], flags=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(truth, (0, 0), 1.2)
    inner = np.s_[4:-4, 4:-4]
    shifted, blurred, like = shifted[inner], blurred[inner], truth[inner]
    assert psnr(shifted, like) < psnr(blurred, like)
    assert perceptual(shifted, like) < perceptual(blurred, like)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (31, 33), (97, 64)])
def test_every_size_has_a_distance(truth, size):
    part = truth[: size[0], : size[1]]
    assert 0 < perceptual(noisy(part, 40), part) < 10
    assert perceptual(part, part) == 0
    assert LEAST > 31


def test_it_is_a_measure_by_name_and_refuses_what_does_not_belong_together(truth):
    metric = metric_named("perceptual")
    assert not metric.higher and metric.measure(noisy(truth, 10), truth) == perceptual(noisy(truth, 10), truth)
    with pytest.raises(UsageError, match="the same for both"):
        perceptual(truth, truth[1:])


def test_rules_give_the_version_that_looks_worse_no_larger_an_error(truth):
    asked = 0
    for number, rule in enumerate(seeing.RULES.values()):
        pair = rule(truth, np.random.default_rng(number))
        if pair is not None:
            near, far = (np.sqrt(np.square(one - truth).mean()) for one in pair)
            assert far <= 1.02 * near
            asked += 1
    assert asked >= 5


def test_the_benchmark_says_how_often_each_measure_is_right(truth, tmp_path: Path):
    folder, result = tmp_path / "clean", tmp_path / "seeing.json"
    folder.mkdir()
    cv2.imwrite(str(folder / "one.png"), np.rint(truth[..., ::-1] * 255).astype(np.uint8))
    done = CliRunner().invoke(app, ["seeing", "--clean", str(folder), "-o", str(result)], catch_exceptions=False)
    assert done.exit_code == 0 and "rules kept" in done.stdout
    summary = load_result(result)["summary"]
    doses, rules = summary["doses ranked rightly"], summary["rules kept"]
    assert [row["damage"] for row in doses] == [*seeing.KINDS, "all"]
    assert all(-1 <= row["perceptual_spearman"] <= 1 for row in doses)
    assert rules[-1]["rule"] == "all" and rules[-1]["asked"] == sum(row["asked"] for row in rules[:-1])
