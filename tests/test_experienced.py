"""Policies with a memory: fewer calls on what was seen before, the same checks, and a search where memory errs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import conservator
from channels import healer, look, moves, photo, plan, session
from conservator.agents.experienced import experienced, shorter
from conservator.benchmarks.stream import ROLLS, damages, run
from conservator.errors import UsageError
from conservator.memory import Memory
from conservator.pixels.types import Pixels
from conservator.plan import Step
from conservator.policies import LEARNING, POLICIES
from conservator.policies.scripted import ScriptedPolicy
from conservator.regions import EVERYWHERE, WHOLE
from conservator.report.phrases import phrase
from conservator.session import Session
from conservator.terms import Budget, Limits
from conservator.tools.card import Tool
from conservator.tools.registry import TOOLS, Registry
from conservator.wishes import parse
from scenes import scene


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(shipped=False) as empty:
        yield empty


def jpeg_is_there(pixels: Pixels) -> bool:
    return bool(pixels[..., 0].min() < 0.5)


def tools() -> list[Tool]:
    """Against noise there is only a tool that is lost once the compression is gone: the first order fails."""
    return [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"], works=jpeg_is_there)]


def treated(name: str, memory: Memory | None, *kinds: str, having: list[Tool], **options: object) -> Session:
    one = session(photo(*kinds), *having, memory=memory, **options)
    POLICIES[name](one)
    return one


def changes(run: Session) -> list[str]:
    return [d["change"] for event in run.ledger.events if event["type"] == "learned" for d in event["decisions"]]


# fewer calls


def test_agenticir_finds_the_order_once_and_remembers_it(memory: Memory) -> None:
    first = treated("agenticir", memory, "jpeg", "noise", having=tools())
    second = treated("agenticir", memory, "jpeg", "noise", having=tools())
    assert (first.budget.calls, second.budget.calls) == (4, 2)
    assert plan(first) == plan(second) == ["denoise", "dejpeg"]
    assert np.array_equal(first.samples, second.samples)
    assert changes(first) == ["ADD"] and changes(second) == ["UPDATE"]
    (known,) = memory.experiences()
    assert (known.tried, known.held, known.gain) == (2, 2, pytest.approx(1.0))


def test_qagent_need_not_look_ahead_at_what_it_knows(memory: Memory) -> None:
    having = [healer("dejpeg", ["jpeg"]), healer("weak", ["jpeg"], 0.3), healer("dehaze", ["haze"])]
    first, second = (treated("qagent", memory, "jpeg", "haze", having=having) for _ in range(2))
    assert (first.budget.looks_ahead, second.budget.looks_ahead) == (3 + 1, 0)
    assert first.budget.calls == second.budget.calls == 2 and np.array_equal(first.samples, second.samples)


def test_what_nothing_helps_against_is_left_alone_when_two_searches_agreed(memory: Memory) -> None:
    having = [healer("harmful", ["noise"], -0.5)]
    calls = [treated("agenticir", memory, "noise", having=having).budget.calls for _ in range(4)]
    assert calls == [1, 1, 0, 0]
    last = treated("agenticir", memory, "noise", having=having)
    assert [left.degradation for left in last.cannot] == ["noise"] and "nothing helped" in last.cannot[0].reason
    helped = treated("agenticir", memory, "noise", having=[*having, healer("new", ["noise"])])
    assert plan(helped) == ["new"], "against it a tool is tried that nobody knew"


def test_what_the_known_plan_has_treated_is_not_treated_again(memory: Memory) -> None:
    having = [healer("weak", ["noise"], 0.6)]
    runs = [treated("agenticir", memory, "noise", having=having) for _ in range(2)]
    assert [run.budget.calls for run in runs] == [1, 1] and np.array_equal(runs[0].samples, runs[1].samples)
    assert [left.reason for left in runs[1].cannot] == ["experience 1 took no more of it away"]


def test_a_plan_is_tried_once_in_fewer_steps_and_stays_short_when_that_does_as_well(memory: Memory) -> None:
    having = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"]), healer("joint", ["jpeg", "noise"])]
    runs = [treated("agenticir", memory, "jpeg", "noise", having=having) for _ in range(3)]
    assert [plan(run) for run in runs] == [["dejpeg", "denoise"], ["joint"], ["joint"]]
    assert [run.budget.calls for run in runs] == [2, 1, 1]
    assert memory.decisions()[1].reason == "1 steps do what 2 did"


def test_a_shorter_plan_that_does_less_is_tried_once_only(memory: Memory) -> None:
    having = [healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"]), healer("joint", ["jpeg", "noise"], 0.5)]
    runs = [treated("agenticir", memory, "jpeg", "noise", having=having) for _ in range(3)]
    assert [run.budget.calls for run in runs] == [2, 3, 2]
    assert all(plan(run) == ["dejpeg", "denoise"] for run in runs)
    assert moves(runs[1], "returned") == [""]


def test_neighbours_become_one_only_on_the_same_terms() -> None:
    both = Registry([healer("dejpeg", ["jpeg"]), healer("denoise", ["noise"]), healer("joint", ["jpeg", "noise"])])
    jpeg, noise = Step("dejpeg", ("jpeg",)), Step("denoise", ("noise",))
    assert [(s.tool, s.treats) for s in shorter([jpeg, noise], both)] == [("joint", ("jpeg", "noise"))]
    for other in (Step("denoise", ("noise",), (EVERYWHERE,)), Step("denoise", ("noise",), (WHOLE,), 0.5)):
        assert shorter([jpeg, other], both) == (jpeg, other)
    assert shorter([jpeg, noise], both.without("joint")) == (jpeg, noise)


# the checks keep the last word


def test_where_experience_errs_the_critic_takes_back_and_the_search_goes_on(memory: Memory) -> None:
    treated("agenticir", memory, "noise", having=[healer("denoise", ["noise"])])
    worse = [healer("denoise", ["noise"], -0.5), healer("other", ["noise"])]
    run = treated("agenticir", memory, "noise", having=worse)
    assert moves(run, "taken_back")[0] == "denoise" and plan(run) == ["other"]
    assert changes(run) == ["UPDATE", "ADD"]
    again = treated("agenticir", memory, "noise", having=worse)
    assert plan(again) == ["other"] and again.budget.calls == 1


def test_less_than_before_is_a_failure_but_no_reason_to_treat_twice(memory: Memory) -> None:
    treated("agenticir", memory, "noise", having=[healer("denoise", ["noise"])])
    run = treated("agenticir", memory, "noise", having=[healer("denoise", ["noise"], 0.6)])
    assert plan(run) == ["denoise"] and run.budget.calls == 1
    assert changes(run)[0] == "UPDATE" and (memory.experiences()[0].tried, memory.experiences()[0].held) == (2, 1)


def test_other_damage_beside_the_known_is_still_searched_for(memory: Memory) -> None:
    having = [healer("denoise", ["noise"]), healer("dehaze", ["haze"])]
    treated("agenticir", memory, "noise", having=having)
    run = treated("agenticir", memory, "noise", "haze", having=having)
    assert sorted(plan(run)) == ["dehaze", "denoise"] and not run.diagnosis.degradations


# terms


@pytest.mark.parametrize(
    "terms",
    [{"limits": Limits(strength=0.5)}, {"limits": Limits(wishes=parse("keep the haze"))}, {"budget": Budget(1)}],
    ids=["strength", "instruction", "budget"],
)
def test_special_terms_teach_nothing(memory: Memory, terms: dict[str, object]) -> None:
    having = [healer("denoise", ["noise"]), healer("dehaze", ["haze"])]
    run = treated("agenticir", memory, "noise", "haze", having=having, **terms)
    assert run.budget.calls and changes(run) == ["NOOP"] and len(memory) == 0


def test_a_clean_photo_is_no_experience_and_costs_one_look(memory: Memory) -> None:
    looks: list[int] = []
    run = session(photo(), *tools(), memory=memory, perceiver=lambda samples: look(samples, looks))
    POLICIES["agenticir"](run)
    assert len(looks) == 1 and len(memory) == 0 and not memory.decisions()


@pytest.mark.parametrize("name", LEARNING)
def test_without_a_memory_nothing_changes(name: str) -> None:
    run = treated(name, None, "jpeg", "noise", having=tools())
    assert not [event for event in run.ledger.events if event["type"] in ("recalled", "learned")]


def test_only_policies_that_search_take_a_memory() -> None:
    assert [name for name, policy in POLICIES.items() if hasattr(policy, "__wrapped__")] == list(LEARNING)
    with pytest.raises(UsageError, match="agenticir, qagent"):
        conservator.restore(np.zeros((32, 32, 3), np.uint8), memory=Memory(shipped=False))


def test_a_policy_of_ones_own_learns_with_one_line(memory: Memory) -> None:
    mine = experienced(ScriptedPolicy([Step("denoise", ("noise",))]).__call__)
    run = session(photo("noise"), healer("denoise", ["noise"]), memory=memory)
    mine(run)
    assert len(memory) == 1 and changes(run) == ["ADD"]


# the public call and the command line


def picture(path: Path) -> Path:
    noisy = scene(96, 128) + np.random.default_rng(0).normal(0, 35 / 255, (96, 128, 3))
    Image.fromarray(np.clip(np.rint(noisy * 255), 0, 255).astype(np.uint8)).save(path)
    return path


def test_the_record_tells_which_experience_was_used_and_what_was_learned(tmp_path: Path) -> None:
    source, file = picture(tmp_path / "secret name.png"), tmp_path / "memory.db"
    with Memory(file, shipped=False):
        pass
    said: list[str | None] = []
    first, second = (
        conservator.restore(source, policy="agenticir", memory=file, on_event=lambda e: said.append(phrase(e)))
        for _ in range(2)
    )
    assert first.record.data["memory"]["recalled"] == {"match": "none"}
    assert [one["change"] for one in first.record.data["memory"]["learned"]] == ["ADD"]
    used = second.record.data["memory"]["recalled"]
    assert (used["match"], used["experience"], used["distance"]) == ("strict", 1, 0)
    assert [one["change"] for one in second.record.data["memory"]["learned"]] == ["UPDATE"]
    assert np.array_equal(first.pixels, second.pixels)
    assert conservator.replay(second.record).record.data["output"] == second.record.data["output"]
    assert any(line and line.startswith("experience 1 (strict)") for line in said)
    assert conservator.restore(source, policy="agenticir").record.data["memory"] is None
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("memory.db*"))
    assert b"secret" not in kept and str(tmp_path).encode() not in kept
    assert second.record.data["input"]["sha256"].encode() not in kept
    assert file.stat().st_size < 64_000, "numbers, no pixels"


def test_nothing_is_written_unless_somebody_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    source = picture(tmp_path / "a.png")
    conservator.restore(source, policy="agenticir")
    conservator.restore(source, policy="agenticir", memory=Memory())
    assert [path.name for path in tmp_path.rglob("*")] == ["a.png"]


# the benchmark


def test_photographs_of_a_roll_share_everything_but_chance() -> None:
    one, other = damages("camera", 0, 1, 1), damages("camera", 0, 1, 9)
    assert [d.kind for d in one] == list(ROLLS["camera"][1]) == ["rain", "noise", "jpeg"]
    assert [d.parameters for d in one] == [d.parameters for d in other]
    assert all(a.seed != b.seed for a, b in zip(one, other, strict=True))
    assert damages("camera", 0, 2, 1)[0].parameters != damages("camera", 1, 2, 1)[0].parameters
    treatable = {kind for tool in TOOLS for kind in tool.card.treats}
    assert {kind for rolls in ROLLS.values() for kinds in rolls for kind in kinds} <= treatable


def test_the_benchmark_compares_the_same_photographs_with_and_without(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    found = run([tmp_path / "a.png", tmp_path / "b.png"], policies=["qagent"], shipped=False)
    assert [(row["photo"], row["memory"]) for row in found.rows] == [
        ("a.png", False), ("a.png", True), ("b.png", False), ("b.png", True),
    ]  # fmt: skip
    assert found.rows[0]["gain_db"] == found.rows[1]["gain_db"], "the first photograph meets an empty memory"
    halves = {row["half"]: row for row in found.summary["with memory against without"]}
    assert halves["first"]["calls"] == halves["first"]["calls with memory"] and halves["first"]["recalled"] == 0
    json.dumps(found.summary)
