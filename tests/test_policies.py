"""Published strategies, move by move, on pictures where every tool's effect is known."""

from __future__ import annotations

import numpy as np
import pytest

import channels
from channels import DAMAGED, HEALTHY, broken, healer, look, moves, photo, plan, session
from conservator.agents.expert import every_step, specialists
from conservator.degradations import INDEX
from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.photo import open_photo
from conservator.pixels.types import Pixels, Samples
from conservator.policies import POLICIES, policy_named
from conservator.policies.oracle import knowing
from conservator.policies.scripted import ScriptedPolicy
from conservator.session import Session
from conservator.terms import Budget, Limits
from conservator.tools.card import Tool
from conservator.tools.registry import Registry
from conservator.treatment import restore
from conservator.wishes import parse

ALL = ("jpeg", "noise", "haze")
BLIND = sorted(set(POLICIES) - {"oracle", "llm"})
TAUGHT = {"restoreagent"}
"""What these do was learned on photographs; they have tests of their own."""
DECIDED = sorted(set(BLIND) - TAUGHT)


def specialist_tools() -> list[Tool]:
    return [healer(f"de{kind}", [kind]) for kind in ALL]


def standard() -> list[Tool]:
    """One specialist per kind, and the two passes of the one-shot control."""
    return [*specialist_tools(), healer("joint", ["jpeg", "noise"]), healer("tone", ["haze"])]


def treated(name: str, run: Session) -> Session:
    policy_named(name)(run)
    return run


# every policy


@pytest.mark.parametrize("name", BLIND)
def test_a_clean_photo_costs_one_look_and_comes_back_to_the_bit(name: str) -> None:
    looks: list[int] = []
    run = session(photo(), *standard(), perceiver=lambda samples: look(samples, looks))
    treated(name, run)
    assert len(looks) == 1 and run.budget.calls == run.budget.looks_ahead == 0
    assert run.samples is run.photo.samples
    assert run.ledger.events[-1]["reason"] == "clean"


@pytest.mark.parametrize("name", DECIDED)
def test_damage_is_treated_where_it_is_found(name: str) -> None:
    run = treated(name, session(photo("noise"), *standard()))
    assert len(run.steps) == run.budget.calls == 1, "simple damage takes one step"
    assert not run.diagnosis.degradations
    assert abs(int(run.samples[24, 24, 1]) // 257 - HEALTHY) < 10


@pytest.mark.parametrize("name", DECIDED)
def test_damage_without_a_tool_is_named_once(name: str) -> None:
    run = treated(name, session(photo("noise", "haze"), healer("joint", ["noise"])))
    assert [left.degradation for left in run.cannot] == ["haze"]
    assert plan(run) == ["joint"]


@pytest.mark.parametrize("name", DECIDED)
def test_the_budget_is_obeyed(name: str) -> None:
    for calls in (0, 1):
        run = treated(name, session(photo(*ALL), *standard(), budget=Budget(max_calls=calls)))
        assert run.budget.calls == len(run.steps) == calls
        assert run.ledger.events[-1]["type"] == "stopped"
    run = treated(name, session(photo(*ALL), *standard(), budget=Budget(max_seconds=0.0)))
    assert run.budget.calls == run.budget.looks_ahead == 0


@pytest.mark.parametrize("name", DECIDED)
def test_what_the_caller_wants_left_alone_is_left_alone(name: str) -> None:
    run = treated(name, session(photo("noise", "haze"), *standard(), limits=Limits(wishes=parse("keep the haze"))))
    assert {kind for step in run.steps for kind in step.treats} == {"noise"}


@pytest.mark.parametrize("name", BLIND)
def test_a_broken_tool_costs_only_its_step(name: str) -> None:
    run = treated(name, session(photo("noise"), broken("joint", ["noise"])))
    assert run.steps == [] and run.samples is run.photo.samples


@pytest.mark.parametrize("name", ["agenticir", "mair", "qagent", "best_single"])
def test_published_agents_take_the_frame_as_one_thing(name: str) -> None:
    run = treated(name, session(photo("noise"), *standard()))
    assert [step.regions for step in run.steps] == [("everywhere",)]
    clean = run.samples[:, :8], run.photo.samples[:, :8]
    assert not np.array_equal(*clean), "the clean part is treated too"
    mapped = treated("spatial", session(photo("noise"), *standard()))
    assert np.array_equal(mapped.samples[:, :4], mapped.photo.samples[:, :4])


@pytest.mark.parametrize("name", DECIDED)
def test_the_plan_alone_leads_to_the_same_pixels(name: str) -> None:
    run = treated(name, session(photo(*ALL), *standard()))
    again = session(photo(*ALL), *standard())
    ScriptedPolicy(run.steps)(again)
    assert run.steps and np.array_equal(again.samples, run.samples)


# spatial


def test_what_cannot_be_treated_together_is_treated_alone() -> None:
    tools = [*specialist_tools(), broken("joint", ["jpeg", "noise"])]
    run = treated("spatial", session(photo("noise", "jpeg"), *tools))
    assert moves(run, "step_failed") == ["joint"]
    assert plan(run) == ["denoise", "dejpeg"] or plan(run) == ["dejpeg", "denoise"]
    assert not run.diagnosis.degradations


def test_the_others_stay_treated_where_one_was_a_mistake() -> None:
    worse = healer("denoise", ["noise"], -0.5)
    tools = [worse, healer("dejpeg", ["jpeg"]), healer("joint", ["jpeg", "noise"], -0.5)]
    run = treated("spatial", session(photo("noise", "jpeg"), *tools))
    assert moves(run, "taken_back") == ["joint", "denoise"]
    assert plan(run) == ["dejpeg"]


@pytest.mark.parametrize(("dark_from", "order"), [(0, ["low_light", "derain"]), (16, ["derain", "low_light"])])
def test_the_light_of_a_whole_frame_is_corrected_before_the_rain_and_a_shadow_after_it(
    dark_from: int, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "CHANNELS", {"rain": 0, "low_light": 1})
    image = np.full((48, 48, 3), HEALTHY, np.uint8)
    image[:, 16:, 0] = image[:, dark_from:, 1] = DAMAGED
    tools = healer("derain", ["rain"]), healer("low_light", ["low_light"])
    run = treated("spatial", session(open_photo(image), *tools))
    assert plan(run) == order and not run.diagnosis.degradations


# AgenticIR


def test_agenticir_stops_trying_tools_when_very_little_is_left() -> None:
    run = treated("agenticir", session(photo("noise"), healer("good", ["noise"]), healer("spare", ["noise"])))
    assert moves(run, "step_started") == plan(run) == ["good"]


def many_dark(share: float) -> np.ndarray:
    """Everything so dark in green that half of the cure still leaves more than very little."""
    image = np.full((48, 48, 3), HEALTHY, np.uint8)
    image[..., 1] = round(255 * (0.6 - share))
    return image


def test_agenticir_returns_to_the_best_of_its_tools() -> None:
    tools = [healer("best", ["noise"], 0.6), healer("weak", ["noise"], 0.2), healer("harmful", ["noise"], -0.5)]
    run = treated("agenticir", session(open_photo(many_dark(0.58)), *tools))
    assert moves(run, "step_started") == ["best", "weak", "harmful"]
    assert moves(run, "taken_back") == ["harmful"]
    assert plan(run) == ["best"]
    assert moves(run, "returned")[-1] == "best"


def jpeg_is_there(pixels: Pixels) -> bool:
    return bool(pixels[..., 0].min() < 0.5)


def test_agenticir_rolls_back_and_tries_another_order() -> None:
    """Against noise there is only a tool that is lost once the compression is gone."""
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], works=jpeg_is_there)]
    run = treated("agenticir", session(photo("jpeg", "noise"), *tools))
    assert moves(run, "step_started") == ["dejpeg", "denoise", "denoise", "dejpeg"]
    assert moves(run, "returned") == [""], "back to the photo as it came"
    assert plan(run) == ["denoise", "dejpeg"] and not run.diagnosis.degradations
    by_stage = treated("mair", session(photo("jpeg", "noise"), *tools))
    assert plan(by_stage) == ["dejpeg"] and by_stage.diagnosis.degradations == ("noise",)


def test_agenticir_settles_for_the_best_state_when_no_order_works() -> None:
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], 0.0), healer("dehaze", ["haze"])]
    run = treated("agenticir", session(photo(*ALL), *tools))
    assert sorted(plan(run)) == ["dehaze", "dejpeg"]
    assert run.diagnosis.degradations == ("noise",)
    assert "compromise" in [e for e in run.ledger.events if e["type"] == "returned"][-1]["reason"]
    assert run.budget.calls <= 9


def test_agenticir_keeps_what_it_has_when_the_budget_ends() -> None:
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], 0.0), healer("dehaze", ["haze"])]
    run = treated("agenticir", session(photo(*ALL), *tools, budget=Budget(max_calls=2)))
    assert plan(run) == ["dejpeg"] and run.budget.calls == 2


@pytest.mark.parametrize("name", ["agenticir", "mair", "qagent"])
def test_damage_that_leaves_with_other_damage_is_not_chased(name: str) -> None:
    tools = [healer("dejpeg", ["jpeg"], 0.0), healer("denoise", ["noise"]), broken("derain", ["rain"])]

    def rain_is_noise(samples: Samples) -> Diagnosis:
        """While there is noise, rain and compression are seen as well."""
        seen = look(samples)
        for kind in ("rain", "jpeg"):
            seen.maps[INDEX[kind]] = seen.cells("noise") / 2
        return seen

    run = treated(name, session(photo("noise"), *tools, perceiver=rain_is_noise))
    assert plan(run) == ["denoise"]
    assert run.budget.calls <= 2, "rain left with the noise"


# MAIR


def test_mair_goes_through_the_stages_and_its_experts_through_their_tools() -> None:
    tools = [healer("dehaze", ["haze"]), healer("harmful", ["noise"], -0.5), healer("denoise", ["noise"]),
             healer("dejpeg", ["jpeg"])]  # fmt: skip
    run = treated("mair", session(photo(*ALL), *tools))
    assert moves(run, "step_started") == ["dejpeg", "harmful", "denoise", "dehaze"]
    assert plan(run) == ["dejpeg", "denoise", "dehaze"]


def test_a_scheduler_of_ones_own_fits_in() -> None:
    run = session(photo(*ALL), *specialist_tools())
    policy = POLICIES["agenticir"]
    policy(run, scheduler=lambda run, kinds: sorted(kinds))  # type: ignore[call-arg]
    assert plan(run) == ["dehaze", "dejpeg", "denoise"]


# Q-Agent


def test_qagent_does_first_what_promises_most() -> None:
    tools = [healer("dejpeg", ["jpeg"], 0.4), healer("dehaze", ["haze"], 1.0), healer("denoise", ["noise"], 0.7)]
    run = treated("qagent", session(photo(*ALL), *tools))
    assert plan(run) == ["dehaze", "denoise", "dejpeg"]


def test_qagent_chooses_the_best_tool_and_never_runs_the_harmful_one_at_full_size() -> None:
    tools = [healer("harmful", ["noise"], -0.5), healer("weak", ["noise"], 0.3), healer("good", ["noise"], 0.9)]
    run = treated("qagent", session(photo("noise"), *tools))
    assert moves(run, "looked_ahead") == ["harmful", "weak", "good"]
    assert moves(run, "step_started") == ["good"]
    alone = treated("qagent", session(photo("noise"), tools[0]))
    assert alone.budget.calls == 0 and alone.budget.looks_ahead == 1


@pytest.mark.parametrize("each", [1, 2, 4])
def test_qagents_cost_is_linear_in_the_number_of_tools(each: int) -> None:
    tools = [healer(f"{kind}{n}", [kind], 1 - 0.1 * n) for kind in ALL for n in range(each)]
    run = treated("qagent", session(photo(*ALL), *tools))
    assert run.budget.calls == len(ALL)
    assert run.budget.looks_ahead == each * (3 + 2 + 1)


# controls


def test_the_one_shot_control_weighs_nothing_and_takes_nothing_back() -> None:
    tools = [healer("tone", ["haze"]), healer("joint", ["jpeg", "noise"], -0.5), *specialist_tools()]
    run = treated("joint", session(photo(*ALL), *tools))
    assert [(step.tool, step.treats) for step in run.steps] == [("joint", ("noise", "jpeg")), ("tone", ("haze",))]
    assert moves(run, "taken_back", "returned", "looked_ahead") == []


def test_best_single_is_one_call_of_the_tool_that_promises_most() -> None:
    run = treated("best_single", session(photo(*ALL), *standard()))
    assert plan(run) == ["joint"] and run.budget.calls == 1
    assert run.steps[0].treats == ("noise", "jpeg")
    assert treated("best_single", session(photo("noise"), healer("harmful", ["noise"], -1))).budget.calls == 0


def test_the_oracle_refuses_without_the_truth() -> None:
    with pytest.raises(UsageError, match="without a truth"):
        restore(np.full((48, 48, 3), 90, np.uint8), policy="oracle", perceiver=look)


def test_the_oracle_takes_what_is_nearest_to_the_truth_whatever_the_critic_thinks() -> None:
    """The truth is damaged like the photo in one channel: healing that one is wrong, and only the oracle knows."""
    truth = photo("noise").samples
    run = session(photo("noise", "haze"), *specialist_tools())
    knowing(truth)(run)
    assert plan(run) == ["dehaze"]
    assert run.steps[0].regions == ("whole",), "by the map: the clean part of the frame has to stay"
    assert abs(run.samples.astype(int) - truth).max() < 8 * 257
    spent = session(photo("noise", "haze"), *specialist_tools(), budget=Budget(max_calls=1))
    knowing(truth)(spent)
    assert spent.budget.calls == 1


# experts


def test_tools_on_the_same_networks_count_once_and_the_most_specialised_leads() -> None:
    from dataclasses import replace

    def with_network(tool: Tool) -> Tool:
        return Tool(replace(tool.card, models=("restorer",)), tool.treat)

    joint, one = with_network(healer("joint", ["jpeg", "noise"])), with_network(healer("denoise", ["noise"]))
    other = healer("other", ["noise"])
    assert [tool.name for tool in specialists([joint, other, one], "noise")] == ["other", "denoise"]
    run = session(photo("jpeg", "noise"), joint, other, one)
    steps = {(step.tool, step.treats) for step in every_step(run, ["jpeg", "noise"])}
    assert steps == {("joint", ("jpeg", "noise")), ("other", ("noise",)), ("denoise", ("noise",)), ("joint", ("jpeg",))}


def test_every_policy_is_named_when_a_name_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"agenticir.*best_single.*joint.*mair.*oracle.*qagent.*spatial"):
        policy_named("sptial")
    assert Registry(standard()).names == ("dejpeg", "denoise", "dehaze", "joint", "tone")
