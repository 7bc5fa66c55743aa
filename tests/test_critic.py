"""The learned critic: what helped is better, what harmed is worse, and together with the guard it cannot be fooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench_pictures import clean_pictures
from conservator.benchmarks import peers
from conservator.benchmarks.commands import app
from conservator.benchmarks.criticbench import LEARNED, PERCEIVED, TASKS, Guess, run
from conservator.benchmarks.criticsummary import FARTHEST, calibrated, ranked
from conservator.benchmarks.photos import photographs, to_bytes, to_unit
from conservator.benchmarks.results import load_result, table, write_result
from conservator.degradations import INDEX, NAMES
from conservator.errors import UsageError
from conservator.models.catalogue import MODELS
from conservator.perception import observe
from conservator.pixels.types import to_samples
from conservator.proxies import CROP, SHRUNK
from conservator.quality.critic import View
from conservator.quality.guard import examine
from conservator.quality.learned import CROPS, Judged, judge, learned
from conservator.quality.reference import psnr
from conservator.synthesis import Damage, Sample, degrade
from scenes import scene

Floats = NDArray[np.float32]
Move = Callable[[Floats, float], Floats]


def stored(picture: NDArray[Any]) -> Floats:
    return (np.rint(np.clip(picture, 0, 1) * 255) / 255).astype(np.float32)


def noisy(picture: Floats, sigma: float = 25) -> Floats:
    return degrade(picture, [Damage("noise", {"sigma": sigma}, 1)]).degraded


def blurred(picture: Floats, sigma: float) -> Floats:
    return stored(cv2.GaussianBlur(picture, (0, 0), sigma))


# what it says

PHOTO: Floats = skimage.data.chelsea()[60:220, 100:324].astype(np.float32) / np.float32(255)
"""A cat. The network has seen photographs only, and is not asked about drawings."""

RAIN = {"length": 25, "angle": 0.2, "width": 1.5, "density": 0.01, "model": "add", "brightness": 0.7}
RAINED = degrade(PHOTO, [Damage("rain", RAIN, 1)]).degraded
COMPRESSED = degrade(PHOTO, [Damage("jpeg", {"quality": 8}, 1)]).degraded
HELP: Mapping[str, tuple[Floats, Floats]] = {
    "noise gone": (noisy(PHOTO), PHOTO),
    "half of the noise gone": (noisy(PHOTO), stored((noisy(PHOTO) + PHOTO) / 2)),
    "compression undone": (COMPRESSED, PHOTO),
    "rain gone": (RAINED, PHOTO),
    "non-local means": (noisy(PHOTO), to_unit(peers.nlmeans(20)(to_bytes(noisy(PHOTO))))),
}


@pytest.mark.parametrize(("worse", "better"), HELP.values(), ids=HELP)
def test_it_knows_what_helped_and_that_the_reverse_harms(worse: Floats, better: Floats) -> None:
    there, back = judge(worse, better).pooled(), judge(better, worse).pooled()
    assert there.mean > 0.5 and back.mean < -0.5
    assert there.deviation > 0 and back.deviation > 0


HARM: Mapping[str, Move] = {
    "blurred": lambda p, by: blurred(p, 1 + by),
    "sharpened": lambda p, by: stored(p + (1 + by) * (p - cv2.GaussianBlur(p, (0, 0), 1))),
    "tinted": lambda p, by: stored(p * np.array([1 + 0.15 * by, 1, 1 - 0.15 * by], np.float32)),
    "noise added": lambda p, by: noisy(p, 12 * by),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_clean_picture_only_loses_and_the_more_the_worse(harm: Move) -> None:
    little, much = (judge(PHOTO, harm(PHOTO, by)).pooled().mean for by in (1, 3))
    assert much < -0.5 and much < little


def test_where_only_a_part_changed_only_that_part_is_judged() -> None:
    before, after = COMPRESSED.copy(), COMPRESSED.copy()
    after[:, 112:] = PHOTO[:, 112:]
    found = judge(before, after)
    assert found.gain.shape == found.deviation.shape == found.changed.shape == (20, 28)
    assert found.changed[:, 14:].all() and not found.changed[:, :14].any()
    assert found.pooled().mean > 0.5
    assert found.pooled(~found.changed) == (0.0, 0.0) == judge(before, before).pooled()


@pytest.mark.parametrize("size", [(3, 5), (16, 16), (41, 90)])
def test_any_size_is_judged(size: tuple[int, int]) -> None:
    picture = scene()[: size[0], : size[1]]
    found = judge(picture, 1 - picture)
    assert found.gain.shape == (-(-size[0] // 8), -(-size[1] // 8))
    assert np.isfinite(found.pooled()).all()


def test_pictures_must_belong_together() -> None:
    with pytest.raises(UsageError, match="the same for both"):
        judge(scene(), scene()[:-1])


def test_a_whole_is_pooled_by_its_errors() -> None:
    """One cell with a hundredfold error decides: 20 dB less of it are 20 dB less of all, nearly."""
    chances = np.zeros((3, 1, 2), np.float32)
    chances[2, 0, 0] = chances[1, 0, 1] = 1
    error, changed = np.array([[-1.0, -3.0]], np.float32), np.ones((1, 2), np.bool_)
    found = Judged.of(chances, error, changed, gains=(-20, 0, 20))
    assert found.pooled().mean == pytest.approx(10 * np.log10(0.101 / 0.002), abs=1e-3)
    assert found.pooled().deviation == 0
    torn = Judged.of(np.full((3, 1, 2), 1 / 3, np.float32), error, changed, gains=(-20, 0, 20), scale=0.5)
    assert torn.pooled().deviation == pytest.approx(0.5 * np.sqrt(800 / 3))


# in a session


def view(picture: Floats) -> View:
    samples = to_samples(picture, 8)
    return View(samples, observe(samples))


def asked(picture: Floats, *kinds: str) -> Floats:
    maps = np.zeros((len(NAMES), -(-picture.shape[0] // 8), -(-picture.shape[1] // 8)), np.float32)
    maps[[INDEX[kind] for kind in kinds]] = 0.5
    return maps


def test_a_session_gets_an_opinion_in_decibels() -> None:
    before = COMPRESSED
    better = learned(view(before), view(PHOTO), asked(before, "jpeg"))
    worse = learned(view(PHOTO), view(blurred(PHOTO, 4)), asked(before, "noise", "haze"))
    assert better.sure and better.gain > 1
    assert not worse.sure and worse.gain < 0
    assert "dB" in worse.says
    assert not learned(view(before), view(PHOTO), asked(before)).sure, "nothing was asked for"


def test_its_cost_is_bounded_whatever_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counting(before: Floats, after: Floats) -> Judged:
        looked.append(before[..., 0].size)
        return judge(before, after)

    monkeypatch.setattr("conservator.quality.learned.judge", counting)
    large = np.tile(scene(), (8, 6, 1))
    seen = view(scene())._replace(samples=to_samples(large, 8))
    grid = np.tile(seen.diagnosis.presence, (1, 8, 6))
    diagnosis = replace(seen.diagnosis, presence=grid, raw=np.ones_like(grid))
    learned(View(seen.samples, diagnosis), View(seen.samples, diagnosis), asked(large, "noise", "haze"))
    assert 0 < sum(looked) <= CROPS * CROP**2 + SHRUNK**2


# attempts to fool it, and the guard beside it


def accepted(before: Floats, after: Floats) -> bool:
    gain = judge(before, after).pooled()
    return gain.mean > gain.deviation and examine(before, after).ok


def climbed(before: Floats, move: Move, rng: np.random.Generator, trials: int = 14) -> list[Floats]:
    """All trials of a search, without gradients, for the strength that the critic likes best within the guard."""
    best, at, reach = -np.inf, 0.0, 1.0
    tried = []
    for _ in range(trials):
        strength = abs(at + reach * float(rng.standard_normal()))
        after = move(before, strength)
        tried.append(after)
        gain = judge(before, after).pooled()
        if gain.mean - gain.deviation > best and examine(before, after).ok:
            best, at = gain.mean - gain.deviation, strength
        reach *= 0.9
    return tried


def hallucinated(picture: Floats, amount: float) -> Floats:
    detail = picture - cv2.GaussianBlur(picture, (0, 0), 2)
    return stored(picture + amount * np.ascontiguousarray(detail[::-1, ::-1]))


def tinted(picture: Floats, amount: float) -> Floats:
    return stored(picture * (1 + 0.15 * amount * np.array([1, 0, -1], np.float32)))


VANDALS: Mapping[str, Move] = {
    "sharpen until it likes it": lambda p, by: stored(p + 2 * by * (p - cv2.GaussianBlur(p, (0, 0), 1.2))),
    "smooth until the noise is gone": lambda p, by: blurred(p, 0.3 + 2 * by),
    "shift the colours": tinted,
    "hallucinate texture": hallucinated,
}
TRUTH: Floats = skimage.data.coffee()[60:252, 100:340].astype(np.float32) / np.float32(255)
STATES: Mapping[str, Floats] = {"clean": TRUTH, "noisy": noisy(TRUTH, 15), "soft": blurred(TRUTH, 1)}


@pytest.mark.parametrize("before", STATES.values(), ids=STATES)
@pytest.mark.parametrize("move", VANDALS.values(), ids=VANDALS)
def test_a_climber_is_let_through_only_where_it_helps(move: Move, before: Floats) -> None:
    for after in climbed(before, move, np.random.default_rng(0)):
        if accepted(before, after):
            assert psnr(after, TRUTH) > psnr(before, TRUTH)


@pytest.mark.parametrize("sigma", [0, 10, 20])
def test_smoothing_until_nothing_is_rough_is_refused(sigma: float) -> None:
    before = noisy(TRUTH, sigma) if sigma else TRUTH
    gone = blurred(before, 5)
    verdict = examine(before, gone)
    assert not verdict.ok and any("edges" in reason for reason in verdict.reasons)
    assert examine(before, TRUTH).ok, "honest denoising passes"


# the benchmark


def test_ranking_and_calibration_by_hand() -> None:
    perfect = ranked([-3, -0.1, 1, 2], [-30, 0.1, 10, 20])
    assert perfect == {"spearman": 1.0, "kendall": 1.0, "right_percent": 100.0}, "what nobody notices does not count"
    assert ranked([-3, 1, 2], [3, -1, -2])["right_percent"] == 0
    spread = calibrated([0, 0, 0, -100], [1, 2, 5, -FARTHEST], [1.5, 1.5, 1.5, 1.5])
    assert (spread["within_1_percent"], spread["within_2_percent"]) == (50, 75)


def test_a_critic_that_knows_beats_one_that_is_wrong(tmp_path: Path) -> None:
    def knows(sample: Sample, sign: int = 1) -> Guess:
        return lambda outcome: {"gain": sign * psnr(to_unit(outcome), sample.clean), "deviation": 0.0}

    tools = {"soft": peers.bilateral(20), "median": peers.median, "wide": peers.unsharp, "dct": peers.dct_shrinkage(20)}
    photos = photographs(clean_pictures(tmp_path / "clean", 2))
    found = run(photos, tools=tools, among={LEARNED: knows, "wrong": partial(knows, sign=-1)})
    assert len(found.rows) == 2 * 4 and found.rows[0]["task"] == TASKS[0].name
    first, last = found.summary["ranking"]
    assert first["which_of_two_percent"] == 100 and last["which_of_two_percent"] == 0
    path = write_result("critic", found, seed=0, path=tmp_path / "r.json", command="conservator bench critic")
    assert "which of two (%)" in table(load_result(path))


def test_the_command_runs_the_shipped_critics(tmp_path: Path) -> None:
    folder = clean_pictures(tmp_path / "clean", 1)
    result = tmp_path / "critic.json"
    done = CliRunner().invoke(app, ["critic", "--clean", str(folder), "-o", str(result)], catch_exceptions=False)
    assert done.exit_code == 0
    rows = load_result(result)["rows"]
    assert {row["method"] for row in rows} >= {"Wiener", "CLAHE", "NLMeans 30"}
    assert rows[0]["guesses"].keys() >= {LEARNED, PERCEIVED}


@pytest.mark.parametrize("peer", [peers.wiener, peers.dct_shrinkage(20)], ids=["wiener", "dct"])
def test_new_classical_denoisers_denoise(peer: peers.Peer) -> None:
    truth = scene(101, 83)
    before = noisy(truth, 20)
    after = peer(to_bytes(before))
    assert after.shape == before.shape
    assert psnr(to_unit(after), truth) > psnr(before, truth) + 1


def test_the_card_says_what_the_reader_needs() -> None:
    card = MODELS["critic"]
    assert card.parameters <= 500_000
    assert len(card.calibration["gains_db"]) == 21 and card.calibration["deviation_scale"] > 0
