"""Roles, agents side by side, one region each, and looks that do not flip."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from channels import CHANNELS, DAMAGED, HEALTHY, broken, healer, look, moves, photo, plan, session, step
from conservator import agents, trials
from conservator.agents import coordinator
from conservator.agents.coordinator import by_region
from conservator.benchmarks.controls import without_critic, without_guard, without_hysteresis, without_regions
from conservator.degradations import INDEX
from conservator.diagnosis import Diagnosis
from conservator.errors import ToolFailed, UsageError
from conservator.models.parallel import side_by_side
from conservator.models.runtime import set_threads, thread_limit
from conservator.perception.steady import steadied
from conservator.photo import Photo, open_photo
from conservator.pixels.types import Samples
from conservator.plan import Step
from conservator.policies.qagent import qagent
from conservator.policies.scripted import ScriptedPolicy
from conservator.policies.spatial import by_promise, spatial
from conservator.quality.critic import Opinion
from conservator.quality.guard import Verdict
from conservator.session import Session
from conservator.terms import Budget
from conservator.trials import Trials, Way
from scenes import scene


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    yield
    set_threads(None)


def patches(**where: tuple[slice, slice]) -> Photo:
    """48 × 160 px with each kind of damage in its own place."""
    image = np.full((48, 160, 3), HEALTHY, np.uint8)
    for kind, place in where.items():
        image[(*place, CHANNELS[kind])] = DAMAGED
    return open_photo(image)


def blind(before: Samples, after: Samples, cells: object = None) -> Verdict:
    """A guard for pictures whose colours mean nothing."""
    return Verdict(True, (), {})


# side by side


def test_results_come_in_the_order_of_the_asking() -> None:
    at_once: set[int] = set()
    most: list[int] = []

    def slow(number: int) -> int:
        at_once.add(number)
        most.append(len(at_once))
        time.sleep(0.02 * (5 - number))
        at_once.discard(number)
        return number

    assert side_by_side([lambda n=n: slow(n) for n in range(5)]) == list(range(5))
    assert max(most) <= thread_limit()
    set_threads(1)
    assert side_by_side([threading.current_thread] * 3) == [threading.main_thread()] * 3
    assert side_by_side([]) == []


def test_the_first_failure_is_raised_after_everybody_came_back() -> None:
    back = []

    def fails(reason: str) -> None:
        raise UsageError(reason)

    with pytest.raises(UsageError, match="early"):
        side_by_side([lambda: back.append(1), lambda: fails("early"), lambda: fails("late"), lambda: back.append(2)])
    assert sorted(back) in ([1, 2], [1])


@pytest.mark.parametrize("policy", [qagent, lambda run: spatial(run, coordinator=by_region)])
def test_many_threads_leave_the_pixels_and_the_record_of_one(policy) -> None:
    """Order of events, gains and bytes; only times differ."""
    told = []
    for count in (1, 2):
        set_threads(count)
        tools = [healer("joint", ["jpeg", "noise"], 0.3), healer("dejpeg", ["jpeg"]), broken("odd", ["noise"])]
        run = session(photo("jpeg", "noise", "haze"), *tools, healer("dehaze", ["haze"]))
        policy(run)
        events = [{key: value for key, value in event.items() if key != "at"} for event in run.ledger.events]
        told.append((events, run.samples.tobytes(), run.budget.calls, run.budget.looks_ahead))
    assert told[0] == told[1] and told[0][3] >= 2


def test_on_real_pixels_too_side_by_side_is_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    grainy = np.clip(scene() * 255 + np.random.default_rng(0).normal(0, 25, (*scene().shape[:2], 3)), 0, 255)
    told = []
    for together in (side_by_side, lambda tasks: [task() for task in tasks]):
        monkeypatch.setattr(trials, "side_by_side", together)
        run = Session(open_photo(grainy.astype(np.uint8)))
        one, other = step("denoise", "noise"), step("dejpeg", "jpeg")
        seen = run.forecasts([[one], [step("joint", "noise")], [one, other]])
        told.append([(outcome.before, outcome.after, outcome.opinion) for outcome in seen])
    assert told[0] == told[1] and told[0][0][0] > 0


def test_what_is_tried_side_by_side_counts_once_on_the_critical_path() -> None:
    run = session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"]))
    before = run.work.critical_path, run.work.seconds
    run.forecasts([[step("dejpeg", "jpeg")], [step("denoise", "noise")], [step("denoise", "noise")]])
    path, work = run.work.critical_path - before[0], run.work.seconds - before[1]
    assert 0 < path < work


def test_a_way_of_several_steps_is_tried_in_a_row() -> None:
    run = session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], 0.5))
    one, both = run.forecasts([[step("dejpeg", "jpeg")], [step("dejpeg", "jpeg"), step("denoise", "noise")]])
    assert one.gain == pytest.approx(1, abs=0.02) and both.gain == pytest.approx(0.75, abs=0.02)
    assert run.budget.looks_ahead == 2 and run.samples is run.photo.samples
    assert run.ledger.events[-1]["then"] == ["denoise"]
    done = session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], 0.5))
    ScriptedPolicy([step("dejpeg", "jpeg"), step("denoise", "noise")])(done)
    assert done.diagnosis.cells("noise").max() == pytest.approx(run.diagnosis.cells("noise").max() / 2, abs=0.01)


def test_a_tool_that_lacks_its_network_stops_a_parallel_look_ahead() -> None:
    run = session(photo("jpeg", "noise"), broken("odd", ["jpeg"]), healer("denoise", ["noise"]))
    failed, fine = run.forecasts([[step("odd", "jpeg")], [step("denoise", "noise")]])
    assert isinstance(failed.failed, ToolFailed) and fine.objection is None
    with pytest.raises(UsageError, match="no tool"):
        run.forecasts([[step("denoise", "noise")], [step("nobody", "noise")]])


def test_crops_and_shrunk_frames_are_looked_at_by_those_who_can() -> None:
    """Of a small photograph both are the same pixels, and not the same look."""
    near, whole = list[int](), list[int]()
    run = session(photo("noise", "haze"), healer("both", ["noise", "haze"]))
    tried = Trials(lambda samples: look(samples, whole), lambda samples: look(samples, near))
    both = step("both", "noise", "haze")
    way = Way(((run.tool(both), both),), run.plan_maps(both))
    (found,) = tried.of([way], run.samples, run.diagnosis.maps, run.critic)
    assert found.outcome.gain == pytest.approx(1, abs=0.05)
    assert len(near) == len(whole) == 2, "before and after, each"


# regions


def test_each_region_is_treated_as_its_agent_found_best() -> None:
    """One pass is weak where compression and noise meet; alone, compression goes at once."""
    left, right = np.s_[:, :56], np.s_[:, 104:]
    image = patches(jpeg=left, noise=left)
    array = np.asarray(image.samples // 257, np.uint8).copy()
    array[(*right, CHANNELS["noise"])] = DAMAGED
    tools = [healer("joint", ["jpeg", "noise"], 0.4), healer("dejpeg", ["jpeg"])]
    run = session(open_photo(array), *tools, guard=blind)
    spatial(run, coordinator=by_region)
    first, last = run.steps
    assert (first.tool, first.treats, last.tool, last.regions) == ("dejpeg", ("jpeg",), "joint", ("whole",))
    (chosen,) = (region for region in run.first.regions if "jpeg" in region.severities)
    assert first.regions == (chosen.id,)
    assert run.budget.looks_ahead == 2, "the region with one kind needs no agent"
    again = session(open_photo(array), *tools, guard=blind)
    ScriptedPolicy(run.steps)(again)
    assert np.array_equal(again.samples, run.samples)


def test_one_pass_is_done_where_a_chain_promises_no_more() -> None:
    tools = [healer("joint", ["jpeg", "noise"]), healer("dejpeg", ["jpeg"])]
    run = session(photo("jpeg", "noise"), *tools)
    spatial(run, coordinator=by_region)
    assert plan(run) == ["joint"] and run.budget.looks_ahead == 2
    alone = session(photo("jpeg", "noise"), *tools)
    spatial(alone)
    assert plan(alone) == ["joint"] and alone.budget.looks_ahead == 0
    assert np.array_equal(alone.samples, run.samples)


def test_scarce_calls_go_where_most_is_to_be_gained() -> None:
    picture = patches(jpeg=np.s_[:24, :24], haze=np.s_[:, 64:])
    tools = [healer("dejpeg", ["jpeg"]), healer("dehaze", ["haze"])]
    enough = session(picture, *tools, guard=blind, budget=Budget(max_calls=2))
    spatial(enough)
    assert plan(enough) == ["dejpeg", "dehaze"] and enough.budget.looks_ahead == 0
    scarce = session(picture, *tools, guard=blind, budget=Budget(max_calls=1))
    spatial(scarce)
    assert plan(scarce) == ["dehaze"] and scarce.budget.looks_ahead == 2
    assert scarce.ledger.events[-1]["reason"].startswith("max_calls=1")


def test_a_scarce_call_is_spent_in_the_regions_that_promise_something() -> None:
    """The tool fails wherever it sees noise, which is in the crops of one region and not in those of the other."""
    image = np.full((48, 480, 3), HEALTHY, np.uint8)
    image[:, :80, CHANNELS["jpeg"]] = image[:, 400:, CHANNELS["jpeg"]] = image[:, 440:, CHANNELS["noise"]] = DAMAGED
    tool = healer("dejpeg", ["jpeg"], works=lambda pixels: bool(pixels[..., CHANNELS["noise"]].min() > 0.5))
    run = session(open_photo(image), tool, healer("denoise", ["noise"], 0.01), budget=Budget(max_calls=1))
    promising = [r.id for r in run.diagnosis.regions if "jpeg" in r.severities and "noise" not in r.severities]
    kind, best = next(by_promise(run))
    assert best is not None and (kind, best.tool) == ("jpeg", "dejpeg")
    assert run.plan_maps(best)[INDEX["jpeg"], :, :10].any() and not run.plan_maps(best)[INDEX["jpeg"], :, 56:].any()
    assert set(best.regions) == set(promising), "not where the tool does nothing"


def test_a_scarce_call_is_not_spent_on_the_first_step_of_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "LARGE", 0)
    tools = [healer("joint", ["jpeg", "noise"], 0.4), healer("dejpeg", ["jpeg"]), healer("dehaze", ["haze"], 0.01)]
    everywhere = np.s_[:, :80]
    picture = patches(jpeg=everywhere, noise=everywhere, haze=np.s_[:24, 120:])
    scarce = session(picture, *tools, guard=blind, budget=Budget(max_calls=1))
    spatial(scarce)
    assert plan(scarce) == ["joint"]
    enough = session(picture, *tools, guard=blind)
    spatial(enough)
    assert plan(enough)[:2] == ["dejpeg", "joint"]


def test_agents_go_into_large_photographs_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = [healer("joint", ["jpeg", "noise"]), healer("dejpeg", ["jpeg"])]
    looks = []
    for large in (48 * 48, 48 * 48 + 1):
        monkeypatch.setattr(coordinator, "LARGE", large)
        run = session(photo("jpeg", "noise"), *tools)
        spatial(run)
        looks.append(run.budget.looks_ahead)
        assert plan(run) == ["joint"]
    assert looks == [2, 0]


def test_of_chains_in_different_regions_the_best_is_taken_for_regions_may_change() -> None:
    left, right = np.s_[:, :56], np.s_[:, 104:]
    image = np.full((48, 160, 3), HEALTHY, np.uint8)
    for kind, place in (("jpeg", left), ("noise", left), ("noise", right), ("haze", right)):
        image[(*place, CHANNELS[kind])] = DAMAGED
    tools = [healer("joint", CHANNELS, 0.4), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"])]
    run = session(open_photo(image), *tools, guard=blind)
    first, whole = by_region(run, step("joint", *CHANNELS))
    assert whole.tool == "joint" and len(first.regions) == 1
    assert (first.tool, first.treats) in (("dejpeg", ("jpeg",)), ("denoise", ("noise",)))


def test_scarce_calls_are_not_spent_on_what_promises_nothing() -> None:
    tools = [healer("dejpeg", ["jpeg"], 0.01), healer("dehaze", ["haze"], 0.01)]
    run = session(patches(jpeg=np.s_[:24, :24], haze=np.s_[:, 64:]), *tools, budget=Budget(max_calls=1))
    spatial(run)
    assert run.budget.calls == 0 and run.budget.looks_ahead == 2
    assert run.ledger.events[-1]["type"] == "stopped"


# looks that do not flip


def shy(samples: Samples) -> Diagnosis:
    """Sees haze only as long as there is noise."""
    seen = look(samples)
    if not seen.cells("noise").any():
        seen.maps[INDEX["haze"]] = 0
    return seen


def test_haze_once_found_is_treated_though_a_later_look_misses_it() -> None:
    tools = [healer("denoise", ["noise"]), healer("dehaze", ["haze"])]
    run = session(photo("noise", "haze"), *tools, perceiver=shy)
    spatial(run)
    assert plan(run) == ["denoise", "dehaze"]
    assert np.abs(run.samples[24, 24].astype(int) // 257 - HEALTHY).max() < 10
    forgetful = session(photo("noise", "haze"), *tools, perceiver=shy)
    without_hysteresis(forgetful)
    assert plan(forgetful) == ["denoise"]


def test_two_looks_are_averaged_and_treated_damage_is_seen_anew() -> None:
    early, late = (look(photo(*kinds).samples) for kinds in (("haze", "noise"), ("haze",)))
    half = replace(late, maps=late.maps / 2, raw=late.maps / 2)
    both = steadied(half, early, ["noise"])
    assert np.allclose(both.cells("haze"), 0.75 * early.cells("haze")) and not both.cells("noise").any()
    assert steadied(half, early, ["haze", "noise"]) is half
    missed = replace(late, maps=late.maps * 0)
    stands = steadied(missed, early, ["noise"])
    assert np.array_equal(stands.cells("haze"), early.cells("haze"))
    assert any("haze" in region.severities for region in stands.regions) or len(stands.regions) == 1


# roles and what is left without them


def test_every_role_is_a_protocol_that_somebody_else_can_play() -> None:
    asked: list[str] = []

    def perceiver(samples: Samples) -> Diagnosis:
        asked.append("Perceiver")
        return look(samples)

    def critic(before, after, wanted) -> Opinion:
        asked.append("Critic")
        return Opinion(1.0, 0.0, "")

    def coordinator(run: Session, whole: Step) -> list[Step]:
        asked.append("Coordinator")
        return [whole]

    def scheduler(run: Session, kinds) -> list[str]:
        asked.append("Scheduler")
        return list(kinds)

    def expert(run: Session, kind: str) -> list[Step]:
        asked.append("Expert")
        return [step("dejpeg", kind)] if kind == "jpeg" else []

    from conservator.policies.mair import mair

    for policy in (lambda run: spatial(run, coordinator), lambda run: mair(run, scheduler, expert)):
        run = session(photo("jpeg"), healer("dejpeg", ["jpeg"]), perceiver=perceiver, critic=critic)
        policy(run)
        assert plan(run) == ["dejpeg"]
    assert set(asked) == set(agents.__all__)
    assert all(getattr(getattr(agents, name), "_is_protocol", False) for name in agents.__all__)


def test_ablations_lack_what_they_say() -> None:
    useless = session(photo("noise"), healer("denoise", ["noise"], 0.01))
    without_critic(useless)
    assert plan(useless) == ["denoise"]
    harsh = np.random.default_rng(0).integers(60, 100, (96, 96, 3)).astype(np.uint8)
    burnt = session(open_photo(harsh), healer("burn", ["noise", "jpeg", "haze"], 4.0))
    burnt.critic = lambda *_: Opinion(1.0, 0.0, "")
    without_guard(burnt)
    assert plan(burnt) == ["burn"]
    whole = session(photo("noise"), healer("denoise", ["noise"]))
    without_regions(whole)
    assert [one.regions for one in whole.steps] == [("everywhere",)]
    assert moves(whole, "kept") == ["denoise"]
