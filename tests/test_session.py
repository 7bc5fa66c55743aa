"""Session and policy over a tool and a perceiver whose effects are known by heart."""

import json

import numpy as np
import pytest

from conservator.cache import Cache
from conservator.degradations import INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.perception.segment import segment
from conservator.photo import open_photo
from conservator.pixels.reduce import cell_means
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy
from conservator.policies.spatial import spatial
from conservator.record import Ledger
from conservator.session import Session
from conservator.terms import Budget, Limits
from conservator.tools.registry import Registry
from conservator.tools.testing import FakeTool
from conservator.wishes import parse

LOOKS = []


def darkness(samples, kinds=("noise",)):
    """A perceiver for which every pixel below 0.6 is damaged by what it lacks."""
    LOOKS.append(1)
    guide = cell_means(samples)
    lack = np.clip(0.6 - guide.mean(axis=2), 0, 1)
    lack = np.where(lack > 0.1, lack, 0).astype(np.float32)
    maps = np.zeros((len(NAMES), *lack.shape), np.float32)
    for kind in kinds:
        maps[INDEX[kind]] = lack
    presence = (maps > 0).astype(np.float32)
    return Diagnosis(samples.shape[:2], maps, maps, maps * 0, presence, guide, segment(maps, guide))


def half_dark():
    image = np.full((96, 128, 3), 200, np.uint8)
    image[:, 64:] = 60
    return open_photo(image)


def session(*tools, photo=None, kinds=("noise",), **options):
    return Session(photo or half_dark(), tools=Registry(tools), perceiver=lambda s: darkness(s, kinds), **options)


def events(run):
    return [e["type"] for e in run.ledger.events]


def test_a_helpful_step_is_kept_and_clean_pixels_stay():
    run = session(FakeTool("lift", gain=3.0))
    spatial(run)
    assert [s.tool for s in run.steps] == ["lift"]
    assert run.samples[:, 80:].mean() > run.photo.samples[:, 80:].mean()
    assert np.array_equal(run.samples[:, :48], run.photo.samples[:, :48])
    assert events(run) == ["opened", "diagnosed", "step_started", "step_done", "kept", "stopped"]


def test_a_harmful_step_is_taken_back():
    run = session(FakeTool("sink", gain=0.5))
    spatial(run)
    assert run.steps == []
    assert np.array_equal(run.samples, run.photo.samples)
    assert "taken_back" in events(run)


@pytest.mark.parametrize("fault", ["raise", "nan", "shape"])
def test_a_tool_that_breaks_costs_only_its_step(fault):
    run = session(FakeTool("broken", fault=fault), FakeTool("lift", treats=["rain"], gain=3.0), kinds=("noise", "rain"))
    spatial(run)
    assert [s.tool for s in run.steps] == ["lift"]
    assert "step_failed" in events(run)


def test_a_clean_photo_costs_one_look():
    LOOKS.clear()
    run = session(FakeTool(), photo=open_photo(np.full((40, 40, 3), 220, np.uint8)))
    spatial(run)
    assert len(LOOKS) == 1
    assert run.samples is run.photo.samples
    assert events(run) == ["opened", "diagnosed", "stopped"]


def test_damage_without_a_tool_is_named():
    run = session(FakeTool("lift", gain=3.0), kinds=("noise", "motion_blur"))
    spatial(run)
    assert [c.degradation for c in run.cannot] == ["motion_blur"]
    assert run.cannot[0].regions


def test_one_pass_treats_all_kinds_a_tool_can():
    both = FakeTool("both", treats=["noise", "rain"], gain=2.0)
    run = session(FakeTool("only", gain=2.0), both, kinds=("noise", "rain"))
    spatial(run)
    assert [s.tool for s in run.steps] == ["both"]
    assert set(run.steps[0].treats) == {"noise", "rain"}


def test_the_budget_stops_the_run_and_says_so():
    for budget in (Budget(max_calls=0), Budget(max_seconds=0.0)):
        tool = FakeTool()
        run = session(tool, budget=budget)
        spatial(run)
        assert tool.calls == []
        assert "used up" in run.ledger.events[-1]["reason"]


def test_wishes_strength_and_mask_are_honoured():
    tool = FakeTool("lift", gain=3.0)
    run = session(tool, limits=Limits(wishes=parse("keep the noise")))
    spatial(run)
    assert tool.calls == []
    mask = np.ones((96, 128), np.float32)
    mask[:48] = 0.0
    masked = session(FakeTool("lift", gain=2.0), limits=Limits(mask=mask))
    masked.keep(masked.apply(Step("lift", ("noise",))))
    assert np.array_equal(masked.samples[:48], masked.photo.samples[:48])
    assert not np.array_equal(masked.samples[48:], masked.photo.samples[48:])
    weak, full = (session(FakeTool("lift", gain=3.0), limits=Limits(strength=s)) for s in (0.5, 1.0))
    for one in (weak, full):
        one.keep(one.apply(Step("lift", ("noise",))))
    assert run.photo.samples.mean() < weak.samples.mean() < full.samples.mean()


def test_a_step_can_be_limited_to_a_region():
    run = session(FakeTool("lift", gain=3.0))
    damaged = [r for r in run.diagnosis.regions if not r.clean]
    before = run.samples
    run.keep(run.apply(Step("lift", ("noise",), (damaged[0].id,))))
    assert not np.array_equal(run.samples, before)
    with pytest.raises(UsageError, match="r99"):
        run.apply(Step("lift", ("noise",), ("r99",)))
    with pytest.raises(UsageError, match="snow"):
        run.apply(Step("lift", ("snow",)))


def test_a_step_keeps_to_a_place_of_the_caller_to_the_pixel():
    place, other = (np.zeros((96, 128), np.float32) for _ in range(2))
    place[10:50, 70:101], other[60:90, 70:] = 1.0, 1.0
    tool = FakeTool("lift", gain=3.0)
    run = session(tool, limits=Limits(places={"face": place, "wall": other}))
    step = Step("lift", ("noise",), ("face",))
    kept = run.apply(step)
    changed = np.any(run.samples != run.photo.samples, axis=2)
    assert changed.any() and not changed[place == 0].any() and kept.gain > 0
    run.take_back(kept, "looking")
    run.apply(Step("lift", ("noise",), ("face", "wall")))
    both = np.any(run.samples != run.photo.samples, axis=2)
    assert both[other > 0].any() and not both[place + other == 0].any()
    with pytest.raises(UsageError, match="one sort"):
        run.plan_maps(Step("lift", ("noise",), ("face", "r1")))


def test_another_place_is_another_result_and_the_same_one_is_reused():
    places = {name: np.zeros((96, 128), np.float32) for name in ("above", "below")}
    places["above"][:48], places["below"][48:] = 1.0, 1.0
    tool = FakeTool("lift", gain=3.0)
    cache = Cache()
    for place, computed in (("above", True), ("below", True), ("above", False)):
        run = session(tool, limits=Limits(places={"here": places[place]}), cache=cache)
        run.keep(run.apply(Step("lift", ("noise",), ("here",))))
        assert ("reused" in events(run)) is not computed
        assert not np.any(run.samples != run.photo.samples, axis=2)[places[place] == 0].any()


def test_the_same_step_on_the_same_pixels_is_not_computed_twice():
    tool = FakeTool("lift", gain=3.0)
    run = session(tool)
    step = Step("lift", ("noise",))
    run.take_back(run.apply(step), "looking")
    calls = len(tool.calls)
    run.keep(run.apply(step))
    assert len(tool.calls) == calls > 0
    assert "reused" in events(run)


def test_nothing_can_be_taken_back_twice():
    run = session(FakeTool("lift", gain=3.0))
    outcome = run.apply(Step("lift", ("noise",)))
    run.take_back(outcome, "once")
    with pytest.raises(UsageError):
        run.take_back(outcome, "twice")


def test_a_script_runs_as_written_and_reaches_the_ledger_file(tmp_path):
    ledger = Ledger(tmp_path / "run.jsonl")
    run = session(FakeTool("lift", gain=1.5), ledger=ledger)
    ScriptedPolicy([Step("lift", ("noise",)), Step("lift", ("noise",), strength=0.5)])(run)
    assert [s.strength for s in run.steps] == [1.0, 0.5]
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert lines == ledger.events
