"""RestoreAgent: a plan in one prediction, carried out under the usual checks, never searched for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from channels import healer, look, moves, photo, plan, session
from conservator.agents import predictor
from conservator.agents.predictor import Move, features
from conservator.degradations import INDEX, PERCEIVED
from conservator.diagnosis import Diagnosis
from conservator.models import runtime
from conservator.models.catalogue import MODELS
from conservator.photo import open_photo
from conservator.policies.restoreagent import restoreagent
from conservator.regions import EVERYWHERE
from conservator.session import Session
from conservator.synthesis import Damage, degrade
from conservator.terms import Budget
from conservator.tools.registry import TOOLS
from conservator.treatment import restore
from scenes import scene

JPEG, NOISE = Move("dejpeg", ("jpeg",), 1.0), Move("denoise", ("noise",), 1.0)
HAZE = Move("dehaze", ("haze",), 1.0)


def carried_out(run: Session, *planned: Move) -> Session:
    restoreagent(run, predictor=lambda diagnosis, kinds: planned)
    return run


def noisy(sigma: float = 45.0) -> np.ndarray:
    sample = degrade(scene(96, 128), [Damage("noise", {"sigma": sigma}, 3)])
    return (sample.degraded * 255).round().astype(np.uint8)


# one prediction


def test_on_real_pixels_one_prediction_is_made_and_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def counted(model: str, *args: object, **options: object) -> object:
        called.append(model)
        return runtime.run(model, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor, "run", counted)
    data = restore(noisy(), policy="restoreagent").record.data
    assert called == ["restoreagent"]
    assert [step["tool"] for step in data["plan"]] == ["denoise"]
    assert [move["tool"] for event in data["events"] if event["type"] == "planned" for move in event["moves"]] == [
        "denoise"
    ]
    assert data["budget"]["looks_ahead"] == 0 and data["budget"]["calls"] == 1
    assert data["models"]["restoreagent"] == MODELS["restoreagent"].sha256
    assert not [event for event in data["events"] if event["type"] == "returned"]


def test_a_clean_photo_is_not_even_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "run", None)
    treatment = restore((scene(96, 128) * 255).round().astype(np.uint8), policy="restoreagent")
    assert treatment.unchanged and treatment.record.data["budget"]["calls"] == 0
    assert "restoreagent" not in treatment.record.data["models"]


# the plan is carried out


def test_the_plan_is_carried_out_in_its_order_on_the_frame_as_one_thing() -> None:
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"]), healer("dehaze", ["haze"])]
    run = carried_out(session(photo("jpeg", "noise", "haze"), *tools), HAZE, JPEG, NOISE)
    assert plan(run) == ["dehaze", "dejpeg", "denoise"] and run.budget.looks_ahead == 0
    assert {step.regions for step in run.steps} == {(EVERYWHERE,)}


def test_a_step_is_as_strong_as_predicted() -> None:
    run = carried_out(session(photo("noise"), healer("denoise", ["noise"])), NOISE._replace(strength=0.75))
    assert [step.strength for step in run.steps] == [0.75]


def test_a_step_that_harms_is_taken_back_and_the_plan_goes_on() -> None:
    run = session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], -0.5))
    carried_out(run, NOISE, JPEG)
    assert moves(run, "taken_back") == ["denoise"] and plan(run) == ["dejpeg"] and run.budget.calls == 2


def test_another_tool_for_the_same_steps_in_where_the_planned_one_is_absent() -> None:
    assert plan(carried_out(session(photo("noise"), healer("mine", ["noise"])), NOISE)) == ["mine"]


def test_what_the_plan_does_not_mention_is_named() -> None:
    run = carried_out(session(photo("jpeg", "noise"), healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"])), JPEG)
    assert [(left.degradation, left.reason) for left in run.cannot] == [
        ("noise", "the predicted plan leaves it alone")
    ]


def test_what_is_not_there_any_more_is_not_treated() -> None:
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"])]
    run = carried_out(session(photo("noise"), *tools), JPEG, NOISE)
    assert plan(run) == ["denoise"] and run.budget.calls == 1


@pytest.mark.parametrize("calls", [0, 1])
def test_the_budget_ends_a_plan(calls: int) -> None:
    tools = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"])]
    run = carried_out(session(photo("jpeg", "noise"), *tools, budget=Budget(max_calls=calls)), JPEG, NOISE)
    assert run.budget.calls == len(run.steps) == calls


# the network


def test_the_network_reads_what_its_card_names_and_knows_the_shipped_tools() -> None:
    card = MODELS["restoreagent"]
    seen = features(look(photo("noise", "haze").samples), ["noise", "haze"])
    assert set(seen) <= set(card.calibration["features"])
    assert {"noise.severity", "haze.share", "light"} <= seen.keys() and all(0 <= v <= 1 for v in seen.values())
    for name, treats in card.calibration["tools"].items():
        assert TOOLS.get(name).card.treats == tuple(treats)


def test_what_the_caller_wants_left_alone_is_not_even_mentioned_to_it() -> None:
    diagnosis = look(photo("noise", "haze").samples)
    assert not [name for name in features(diagnosis, ["noise"]) if name.startswith("haze")]


def ailing(kinds: Collection[str], severity: float) -> Diagnosis:
    """A grey frame that suffers all over; nobody's network has seen it."""
    diagnosis = look(open_photo(np.full((64, 96, 3), 150, np.uint8)).samples)
    maps = np.zeros_like(diagnosis.maps)
    maps[[INDEX[kind] for kind in kinds]] = severity
    return Diagnosis(diagnosis.size, maps, maps, maps * 0, (maps > 0) * np.float32(1), diagnosis.guide)


@pytest.mark.parametrize("kind", ["noise", "jpeg", "rain", "haze"])
def test_for_severe_damage_of_one_kind_a_tool_for_it_is_predicted(kind: str) -> None:
    predicted = predictor.plan(ailing([kind], 0.75), [kind])
    assert predicted and kind in predicted[0].treats
    assert all(0.4 <= move.strength <= 1.6 for move in predicted)


def test_plans_are_finite_and_without_repetition_whatever_is_found() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        kinds = [kind for kind in PERCEIVED if rng.random() < 0.5]
        predicted = predictor.plan(ailing(kinds, float(rng.random())), kinds)
        assert len({move.tool for move in predicted}) == len(predicted) <= 4
