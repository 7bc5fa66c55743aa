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
from conservator.benchmarks.seeingpairs import TAUGHT, UNTAUGHT, error
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
    asked = set()
    for number, (name, rule) in enumerate((TAUGHT | UNTAUGHT).items()):
        trio = rule(truth, np.random.default_rng(number))
        if trio is not None:
            like, near, far = trio
            assert like.shape == near.shape == far.shape == truth.shape
            assert 0 < error(far - like) <= 1.02 * error(near - like), name
            asked.add(name)
    assert len(asked & TAUGHT.keys()) >= 5 and len(asked & UNTAUGHT.keys()) >= 5


def test_grain_and_texture_drawn_anew_are_as_the_first_ones_were(truth):
    for name in ("other grain, rather than blurred", "the texture drawn anew, rather than wiped away"):
        like, near, far = UNTAUGHT[name](truth, np.random.default_rng(0))
        details = [picture - cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in (like, near, far)]
        assert np.std(details[1]) == pytest.approx(np.std(details[0]), rel=0.05), name
        assert np.std(details[2]) < 0.7 * np.std(details[0]), name
        assert not np.array_equal(like, near)


def test_every_dose_changes_the_photograph_more_than_the_last_one(truth):
    for name, (dose, amounts) in seeing.DOSES.items():
        pictures = [dose(truth, much, 7) for much in amounts]
        assert np.array_equal(pictures[0], dose(truth, amounts[0], 7)), name
        errors = [error(picture - truth) for picture in pictures]
        assert errors == sorted(errors) and errors[0] > 0, name


def test_a_measure_can_be_right_on_every_photograph_and_not_over_all():
    """On the second photograph all of it is farther off than the worst of the first."""
    distances = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert seeing.within(distances) == 1
    # Ranks of the doses 1.5 3.5 5.5 1.5 3.5 5.5 against 1 to 6: 8 of √(16 · 17.5).
    assert seeing.across(distances) == pytest.approx(8 / np.sqrt(16 * 17.5))
    assert seeing.across([[3.0, 2.0, 1.0]]) == seeing.within([[3.0, 2.0, 1.0]]) == -1


def test_the_benchmark_says_how_often_each_measure_is_right(truth, tmp_path: Path):
    folder, result = tmp_path / "clean", tmp_path / "seeing.json"
    folder.mkdir()
    cv2.imwrite(str(folder / "one.png"), np.rint(truth[..., ::-1] * 255).astype(np.uint8))
    done = CliRunner().invoke(app, ["seeing", "--clean", str(folder), "-o", str(result)], catch_exceptions=False)
    assert done.exit_code == 0 and "rules kept" in done.stdout
    within, across, *rules = load_result(result)["summary"].values()
    for doses in (within, across):
        assert [row["damage"] for row in doses] == [*seeing.DOSES, "mean"]
        assert all(-1 <= row[metric] <= 1 for row in doses for metric in seeing.METRICS)
    for table, known in zip(rules, (TAUGHT, UNTAUGHT), strict=True):
        assert {row["rule"] for row in table[:-1]} <= known.keys()
        assert table[-1]["rule"] == "all" and table[-1]["asked"] == sum(row["asked"] for row in table[:-1])
        assert all(row["perceptual_percent"] in (0, 100) for row in table[:-1]), "one photograph asks every rule once"


def test_a_measure_that_is_always_right_keeps_all_and_its_opposite_nothing():
    rows = [{"rule": name, "answers": {"knowing": True, "wrong": False}} for name in TAUGHT | UNTAUGHT]
    rows += [{"damage": "noise", "distances": {"knowing": [1.0, 2.0], "wrong": [2.0, 1.0]}}]
    tables = list(seeing.summary(rows, ["knowing", "wrong"]).values())
    assert [t[-1][name] for t in tables[:2] for name in ("knowing", "wrong")] == pytest.approx([1, -1, 1, -1])
    assert [(t[-1]["knowing_percent"], t[-1]["wrong_percent"]) for t in tables[2:]] == [(100, 0)] * 2
