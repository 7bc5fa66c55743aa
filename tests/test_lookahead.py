"""Looking ahead, rolling back, judging and counting work."""

from __future__ import annotations

import numpy as np
import pytest

from channels import broken, healer, look, moves, photo, session, step
from conservator.degradations import CELL, INDEX, LOCAL, NAMES
from conservator.errors import UsageError
from conservator.perception import glimpse, observe
from conservator.photo import open_photo
from conservator.pixels.types import Maps
from conservator.policies.agenticir import agenticir
from conservator.policies.spatial import spatial
from conservator.proxies import CROP, SHRUNK, proxies
from conservator.quality.critic import Opinion, View
from conservator.report.phrases import phrase
from conservator.report.story import End, attempts
from conservator.terms import Limits
from conservator.work import Work

# proxies


def maps_of(kind: str, size: tuple[int, int], where: tuple[slice, slice]) -> Maps:
    maps = np.zeros((len(NAMES), size[0] // CELL, size[1] // CELL), np.float32)
    maps[INDEX[kind]][where] = 0.5
    return maps


def samples(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (height, width, 3)).astype(np.uint16)


def test_local_damage_is_tried_on_native_crops_where_most_of_it_is() -> None:
    frame = samples(800, 1200)
    maps = maps_of("noise", (800, 1200), np.s_[60:90, 100:140])
    found = proxies(frame, maps, maps)
    assert [proxy.samples.shape for proxy in found] == [(CROP, CROP, 3)] * 2
    assert all(proxy.maps.shape[1:] == (CROP // CELL, CROP // CELL) for proxy in found)
    assert found[0].maps[INDEX["noise"]].all(), "the first crop is full of it"
    places = [np.argwhere((frame == proxy.samples[0, 0]).all(axis=2))[0] for proxy in found]
    assert max(abs(places[0] - places[1])) >= CROP, "crops do not overlap"


def test_crops_look_where_the_damage_is_believed_to_be_not_where_the_step_is_wide() -> None:
    everywhere, believed = (maps_of("rain", (800, 800), where) for where in (np.s_[:, :], np.s_[70:90, 10:30]))
    frame = samples(800, 800)
    (y, x), *_ = np.argwhere((frame == proxies(frame, everywhere, believed)[0].samples[0, 0]).all(axis=2))
    assert y >= 70 * CELL - CROP + 20 * CELL and x <= 10 * CELL


def test_damage_of_the_whole_frame_is_tried_on_the_frame_shrunk() -> None:
    maps = maps_of("haze", (800, 1200), np.s_[:50, :])
    (proxy,) = proxies(samples(800, 1200), maps, maps)
    assert max(proxy.samples.shape) == SHRUNK
    haze = proxy.maps[INDEX["haze"]]
    assert haze[0].min() == pytest.approx(0.5) and haze[-1].max() == 0
    both = maps + maps_of("noise", (800, 1200), np.s_[:5, :5])
    assert len(proxies(samples(800, 1200), both, both)) == 2
    assert proxies(samples(800, 1200), maps * 0, maps) == []


@pytest.mark.parametrize("size", [(8, 8), (20, 301), (191, 193)])
def test_small_and_odd_frames_have_proxies_too(size: tuple[int, int]) -> None:
    grid = -(-size[0] // CELL), -(-size[1] // CELL)
    maps = np.full((len(NAMES), *grid), 0.5, np.float32)
    for proxy in proxies(samples(*size), maps, maps):
        rows, columns = (-(-side // CELL) for side in proxy.samples.shape[:2])
        assert proxy.maps.shape[1:] == (rows, columns)


# forecasts


def test_a_forecast_changes_nothing_and_costs_no_call() -> None:
    run = session(photo("noise"), healer("denoise", ["noise"], 0.5))
    before = run.samples
    seen = run.forecast(step("denoise", "noise"))
    assert seen.gain == pytest.approx(0.5, abs=0.02) and seen.objection is None and seen.verdict is None
    assert run.samples is before and run.steps == [] and run.diagnosis is run.first
    assert (run.budget.calls, run.budget.looks_ahead) == (0, 1)
    done = run.apply(step("denoise", "noise"))
    assert done.gain == pytest.approx(seen.gain, abs=1e-3) and done.worth == pytest.approx(seen.worth, abs=1e-3)


def test_a_crop_is_looked_at_for_local_damage_alone_and_that_is_the_same() -> None:
    """What only a frame shows is not looked for on a crop: most of the time of a look goes there."""
    grainy = np.clip(np.random.default_rng(0).normal(120, 25, (96, 96, 3)), 0, 255).astype(np.uint16) * np.uint16(257)
    whole, near = observe(grainy), glimpse(grainy)
    local = [INDEX[d.name] for d in LOCAL]
    for name in ("maps", "raw", "presence", "deviation"):
        assert np.array_equal(getattr(whole, name)[local], getattr(near, name)[local])
    assert near.cells("noise").any() and not np.delete(near.presence, local, axis=0).any()


def test_worth_counts_how_much_of_the_frame_is_helped() -> None:
    wide, narrow = np.full((2, 64, 64, 3), 158, np.uint8)
    wide[:, :, 1], narrow[:16, :16, 1] = 76, 76
    outcomes = [
        session(open_photo(image), healer("denoise", ["noise"])).forecast(step("denoise", "noise"))
        for image in (wide, narrow)
    ]
    assert outcomes[0].opinion.gain == pytest.approx(outcomes[1].opinion.gain, abs=0.02)
    assert outcomes[0].worth == pytest.approx(16 * outcomes[1].worth, rel=0.1)


def test_a_tool_that_breaks_on_a_proxy_promises_nothing() -> None:
    run = session(photo("noise"), broken("broken", ["noise"]))
    seen = run.forecast(step("broken", "noise"))
    assert seen.failed is not None and seen.objection and seen.worth == 0
    assert "error" in run.ledger.events[-1]
    with pytest.raises(UsageError, match="no tool"):
        run.forecast(step("unheard_of", "noise"))


def test_a_mask_bounds_what_is_looked_at() -> None:
    mask = np.zeros((48, 48), np.float32)
    run = session(photo("noise"), healer("denoise", ["noise"]), limits=Limits(mask=mask))
    assert run.forecast(step("denoise", "noise")).worth == 0


# everywhere


def test_the_frame_as_one_thing_is_as_severe_as_where_it_was_found() -> None:
    run = session(photo("noise"), healer("denoise", ["noise"]))
    found = run.diagnosis.cells("noise")
    maps = run.plan_maps(step("denoise", "noise", region="everywhere"))
    assert np.allclose(maps[INDEX["noise"]], found[found > 0].mean())
    assert not run.plan_maps(step("denoise", "haze", region="everywhere")).any()


# states


def test_returning_undoes_kept_steps_and_goes_forward_again() -> None:
    run = session(photo("noise", "haze"), healer("denoise", ["noise"]), healer("dehaze", ["haze"]))
    start = run.state
    run.keep(run.apply(step("denoise", "noise")))
    run.keep(run.apply(step("dehaze", "haze")))
    end = run.state
    run.return_to(start, "for the test")
    assert run.samples is run.photo.samples and run.steps == [] and len(run.diagnosis.degradations) == 2
    run.return_to(end, "for the test")
    assert [s.tool for s in run.steps] == ["denoise", "dehaze"] and not run.diagnosis.degradations
    assert moves(run, "returned") == ["", "denoise+dehaze"]
    outcome = run.apply(step("denoise", "noise"))
    run.return_to(start, "for the test")
    with pytest.raises(UsageError, match="nothing to take back"):
        run.take_back(outcome, "too late")


def test_the_story_of_a_search_ends_with_the_plan() -> None:
    works = lambda pixels: bool(pixels[..., 0].min() < 0.5)  # noqa: E731 — as long as it is compressed
    run = session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], works=works))
    agenticir(run)
    told = attempts(run.ledger.events)
    assert [(a.tool, a.end) for a in told] == [
        ("dejpeg", End.TAKEN_BACK), ("denoise", End.TAKEN_BACK), ("denoise", End.KEPT), ("dejpeg", End.KEPT),
    ]  # fmt: skip
    assert "rolled back" in told[0].why
    lines = [line for event in run.ledger.events if (line := phrase(event))]
    assert any(line.startswith("back to the photo as it came: rolled back") for line in lines)
    assert "denoise: treats noise all over the frame" in lines


# critics


def test_a_critic_of_ones_own_decides() -> None:
    def never(before: View, after: View, asked: Maps) -> Opinion:
        assert before.samples.shape == after.samples.shape and asked.any()
        return Opinion(0.5, 0.6, "who can say")

    run = session(photo("noise"), healer("denoise", ["noise"]), critic=never)
    spatial(run)
    assert run.steps == []
    assert [e["reason"] for e in run.ledger.events if e["type"] == "taken_back"] == ["who can say"]


def test_no_critic_can_talk_the_guard_round() -> None:
    image = np.random.default_rng(0).integers(60, 100, (96, 96, 3)).astype(np.uint8)
    kinds = "noise", "jpeg", "haze"
    run = session(open_photo(image), healer("burn", kinds, 4.0), critic=lambda *_: Opinion(9, 0, ""))
    outcome = run.apply(step("burn", *kinds))
    assert outcome.opinion.sure and outcome.objection and "clips" in outcome.objection
    assert not run.decide(outcome)


# work


def corner(*where: slice) -> Maps:
    maps = np.zeros((1, 8, 8), np.float32)
    maps[(0, *where)] = 1
    return maps


def test_steps_apart_from_each_other_need_not_wait() -> None:
    work = Work((8, 8))
    work.done(1.0)
    work.done(2.0, corner(slice(0, 3), slice(0, 3)))
    work.done(3.0, corner(slice(5, 8), slice(5, 8)))
    assert (work.seconds, work.critical_path) == (6.0, 4.0)
    work.done(1.0, corner(slice(3, 4), slice(3, 4)))
    assert work.critical_path == 4.0 + 1.0, "it touches both through its neighbours"


def test_what_is_only_tried_runs_side_by_side_but_before_the_choice() -> None:
    work = Work((8, 8))
    work.done(1.0)
    for seconds in (0.5, 2.0, 1.0):
        work.tried(seconds)
    assert (work.seconds, work.critical_path) == (4.5, 3.0)
    work.done(1.0, corner(slice(0, 1), slice(0, 1)))
    work.tried(0.25)
    assert (work.seconds, work.critical_path) == (5.75, 4.25)
    work.done(1.0, corner(slice(0, 0), slice(0, 0)))
    assert work.seconds == 6.75, "work on nothing is work too"


def test_a_treatment_knows_its_work() -> None:
    image = np.full((48, 160, 3), 158, np.uint8)
    image[:, :32, 0], image[:, 120:, 2] = 76, 76
    run = session(open_photo(image), healer("dejpeg", ["jpeg"]), healer("dehaze", ["haze"]), perceiver=look)
    spatial(run)
    assert len(run.steps) == 2
    assert 0 < run.work.critical_path < run.work.seconds <= run.ledger.elapsed
