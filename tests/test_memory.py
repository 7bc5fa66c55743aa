"""Experience: found again from strict to relaxed, learned with reasons, shared by processes, forgotten for good."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import look, photo
from command_line import run
from conservator.errors import InputError, OutputError, UsageError
from conservator.memory import Change, Experience, Fingerprint, Lesson, Memory
from conservator.memory.memory import NEAR, NEIGHBOURS
from conservator.plan import Step
from conservator.regions import EVERYWHERE

TOOLS = ("denoise", "dejpeg", "joint")


def ailing(share: float = 1.0, **severities: float) -> Fingerprint:
    return Fingerprint({kind: (severity, share) for kind, severity in severities.items()}, 1 - share)


def steps(*tools: str) -> tuple[Step, ...]:
    return tuple(Step(tool, ("noise",), (EVERYWHERE,)) for tool in tools)


def lesson(fingerprint: Fingerprint, *tools: str, gain: float = 0.8, **facts: object) -> Lesson:
    return Lesson(fingerprint, steps(*tools), gain=gain, **facts)  # type: ignore[arg-type]


def empty(path: Path | None = None) -> Memory:
    return Memory(path, shipped=False)


# fingerprints


def test_a_fingerprint_says_how_severe_and_where_but_not_what_is_in_the_picture() -> None:
    found = Fingerprint.of(look(photo("noise", "haze").samples))
    severity, share = found.ails["noise"]
    assert found.kinds == {"noise", "haze"} and found.clean == pytest.approx(1 / 3, abs=1e-3)
    assert severity == pytest.approx(0.6 - 76 / 255, abs=1e-3) and share == pytest.approx(2 / 3, abs=1e-3)
    assert found.variety == pytest.approx(1 - (1 / 3) ** 2 - (2 / 3) ** 2, abs=1e-3)
    assert len(json.dumps(found.to_dict())) < 120, "a few rounded numbers"
    assert Fingerprint.from_dict(found.to_dict()) == found


def test_a_clean_photo_has_an_empty_fingerprint() -> None:
    assert Fingerprint.of(look(photo().samples)) == Fingerprint({}, clean=1.0)


fingerprints = st.builds(
    lambda ails, clean: Fingerprint(ails, clean),
    st.dictionaries(
        st.sampled_from(["noise", "jpeg", "rain", "haze"]),
        st.tuples(*[st.floats(0.05, 1).map(lambda x: round(x, 3))] * 2),
        min_size=1,
    ),
    st.floats(0, 1).map(lambda x: round(x, 3)),
)


# recalling


def slow_distance(one: Fingerprint, other: Fingerprint) -> float:
    """The obvious implementation, kind by kind."""
    total = 0.5 * (one.clean - other.clean) ** 2 + 0.5 * (one.variety - other.variety) ** 2
    for kind in one.kinds | other.kinds:
        (s, a), (t, b) = (f.ails.get(kind, (0.0, 0.0)) for f in (one, other))
        total += (s * a**0.5 - t * b**0.5) ** 2 + 0.5 * (a - b) ** 2
    return float(total**0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(fingerprints, max_size=12), fingerprints)
def test_recalling_is_exact_and_prefers_strict_to_relaxed(known: list[Fingerprint], asked: Fingerprint) -> None:
    with empty() as memory:
        for number, fingerprint in enumerate(known):
            memory._book.put(Experience(fingerprint, steps("denoise"), gain=(number % 5) / 5))
        found = memory.recall(asked, TOOLS)
        gaps = {one.number: slow_distance(one.fingerprint, asked) for one in memory.experiences()}
        alike = [one for one in memory.experiences() if one.fingerprint.kinds == asked.kinds]
        near = [one for one in alike if gaps[one.number] <= NEAR] or [
            one for one in memory.experiences() if gaps[one.number] <= NEAR
        ]
    if not near:
        assert found is None
        return
    assert found is not None and found.strict == (found.experience.fingerprint.kinds == asked.kinds)
    assert found.experience in near and found.distance == pytest.approx(gaps[found.experience.number])
    nearest = sorted(near, key=lambda one: gaps[one.number])[:NEIGHBOURS]
    assert found.experience.worth - 0.5 * found.distance == pytest.approx(
        max(one.worth - 0.5 * gaps[one.number] for one in nearest)
    )


def test_nothing_near_is_nothing() -> None:
    with empty() as memory:
        memory.learn(lesson(ailing(noise=0.9), "denoise"))
        assert memory.recall(ailing(noise=0.3), TOOLS) is None
        assert memory.recall(ailing(haze=0.9), TOOLS) is None


def test_a_trace_of_something_else_relaxes_the_match() -> None:
    with empty() as memory:
        memory.learn(lesson(ailing(noise=0.5), "denoise"))
        traced = Fingerprint({"noise": (0.5, 1.0), "rain": (0.3, 0.02)})
        found = memory.recall(traced, TOOLS)
    assert found is not None and not found.strict and found.to_dict()["match"] == "relaxed"


def test_plans_with_tools_that_are_not_at_hand_do_not_count() -> None:
    with empty() as memory:
        memory.learn(lesson(ailing(noise=0.5), "rented"))
        assert memory.recall(ailing(noise=0.5), TOOLS) is None


def test_of_plans_that_do_the_same_the_shorter_is_followed() -> None:
    with empty() as memory:
        memory.learn(lesson(ailing(noise=0.5), "dejpeg", "denoise"))
        memory.learn(lesson(ailing(noise=0.65), "joint"))
        found = memory.recall(ailing(noise=0.575), TOOLS)
    assert found is not None and [step.tool for step in found.experience.steps] == ["joint"]


# learning


def changes(memory: Memory, *lessons: Lesson) -> list[str]:
    return [str(decision.change) for one in lessons for decision in memory.learn(one)]


def test_what_is_new_is_added_what_is_known_is_strengthened_what_is_no_better_changes_nothing() -> None:
    with empty() as memory:
        same = ailing(noise=0.5)
        told = changes(memory, lesson(same, "denoise"), lesson(same, "denoise"), lesson(same, "joint", gain=0.75))
        assert told == ["ADD", "UPDATE", "NOOP"]
        (one,) = memory.experiences()
        assert (one.tried, one.held, one.steps) == (2, 2, steps("denoise"))
        assert [decision.change for decision in memory.decisions()] == [Change.ADD, Change.UPDATE, Change.NOOP]
        assert all(decision.reason for decision in memory.decisions())


def test_a_better_plan_takes_the_place_of_the_known_one() -> None:
    with empty() as memory:
        same = ailing(noise=0.5)
        assert changes(memory, lesson(same, "denoise", gain=0.4), lesson(same, "joint", gain=0.8)) == ["ADD", "UPDATE"]
        assert [one.steps for one in memory.experiences()] == [steps("joint")]
        assert changes(memory, lesson(same, "joint", "denoise", gain=0.85)) == ["NOOP"]


def test_what_fails_again_and_again_is_deleted() -> None:
    with empty() as memory:
        (added,) = memory.learn(lesson(ailing(noise=0.5), "denoise"))
        failed = lesson(ailing(noise=0.7), "joint", followed=added.number, held=False)
        assert changes(memory, failed) == ["UPDATE", "ADD"]
        assert changes(memory, failed) == ["DELETE", "UPDATE"]
        assert added.number not in [one.number for one in memory.experiences()]


@pytest.mark.parametrize("void", ["ended early", "a mask"])
def test_a_treatment_on_special_terms_teaches_nothing(void: str) -> None:
    with empty() as memory:
        (decision,) = memory.learn(lesson(ailing(noise=0.5), "denoise", void=void))
        assert (decision.change, decision.reason, len(memory)) == (Change.NOOP, void, 0)


def test_a_plan_for_named_regions_is_not_kept() -> None:
    with empty() as memory:
        (decision,) = memory.learn(Lesson(ailing(noise=0.5), (Step("denoise", ("noise",), ("r1",)),)))
        assert decision.change is Change.NOOP and "regions" in decision.reason and len(memory) == 0


lessons = st.builds(
    lambda fingerprint, tools, gain, number, strict, held: Lesson(
        fingerprint, steps(*tools), gain=gain, followed=number, strict=strict, held=held
    ),
    fingerprints, st.lists(st.sampled_from(TOOLS), max_size=3), st.floats(-0.5, 1), st.integers(0, 6),
    st.booleans(), st.booleans(),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(lessons, max_size=12))
def test_decisions_say_exactly_what_changed(all_lessons: list[Lesson]) -> None:
    with empty() as memory:
        for one in all_lessons:
            before = {e.number: e for e in memory.experiences()}
            decisions = memory.learn(one)
            after = {e.number: e for e in memory.experiences()}
            by = {change: {d.number for d in decisions if d.change is change} for change in Change}
            assert decisions and after.keys() - before.keys() == by[Change.ADD]
            assert before.keys() - after.keys() == by[Change.DELETE]
            touched = {n for n in before.keys() & after.keys() if before[n] != after[n]}
            assert touched <= by[Change.UPDATE]
            assert all(0 <= e.held <= e.tried for e in after.values())


# carrying elsewhere and forgetting


@settings(max_examples=15, deadline=None)
@given(st.lists(lessons, max_size=8))
def test_what_is_exported_can_be_imported(tmp_path_factory: pytest.TempPathFactory, all_lessons: list[Lesson]) -> None:
    file = tmp_path_factory.mktemp("export") / "mine.json"
    with empty() as memory, empty() as other:
        for one in all_lessons:
            memory.learn(one)
        assert memory.export(file) == len(memory) >= other.import_from(file)
        assert other.import_from(file) == 0, "a second time nothing is new"
        mine = {json.dumps(e.to_dict() | {"source": ""}) for e in memory.experiences()}
        assert {json.dumps(e.to_dict() | {"source": ""}) for e in other.experiences()} <= mine


WRONG: dict[str, Callable[[dict[str, object]], object]] = {
    "another schema": lambda data: {**data, "schema": 9},
    "no list": lambda data: {"schema": 1},
    "a severity of 7": lambda data: {**data, "experiences": [{"fingerprint": {"ails": {"noise": [7, 1]}}}]},
    "not JSON": lambda data: "no",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_and_nothing_of_it_taken(name: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    with empty() as memory:
        memory.learn(lesson(ailing(noise=0.5), "denoise"))
        memory.export(file)
        wrong = WRONG[name](json.loads(file.read_text()))
        file.write_text(wrong if isinstance(wrong, str) else json.dumps(wrong))
        with pytest.raises(InputError):
            memory.import_from(file)
        assert len(memory) == 1


def test_an_export_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    (tmp_path / "taken.json").write_text("mine")
    with empty() as memory, pytest.raises(OutputError):
        memory.export(tmp_path / "taken.json")
    assert (tmp_path / "taken.json").read_text() == "mine"


def test_what_is_forgotten_is_gone_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    with empty(file) as memory:
        first = memory.learn(lesson(ailing(noise=0.5), "denoise"))[0].number
        memory.learn(lesson(ailing(jpeg=0.5), "marked_tool"))
        with pytest.raises(UsageError, match="no experience 77"):
            memory.forget([first, 77])
        assert len(memory) == 2 and memory.forget([first]) == 1 and len(memory) == 1
        assert memory.forget() == 1 and not memory.decisions()
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"marked_tool" not in everything and len(everything) > 0


# the file


def test_a_memory_is_for_its_owner_alone_and_survives_its_process(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    with empty(file) as memory:
        memory.learn(lesson(ailing(noise=0.5), "denoise"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code = "import sys; from conservator import Memory; print(len(Memory(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_other_files_are_never_taken_for_a_memory(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to look like one " * 9)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE jobs (number)")
    for name in ("text", "other.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError):
            Memory(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(OutputError):
        Memory(tmp_path / "no" / "folder.db")


WRITER = """
import sys
from conservator.memory import Fingerprint, Lesson, Memory
from conservator.plan import Step

file, start = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.read(1)
for i in range(30):
    severity = round(0.02 + 0.03 * i, 3)
    with Memory(file, shipped=False) as memory:
        memory.learn(Lesson(Fingerprint({"noise": (0.5, 1.0)}), (Step("denoise", ("noise",)),), gain=0.8))
        mine = Fingerprint({f"kind{start}": (severity, 1.0)})
        memory.learn(Lesson(mine, (Step("joint", ("noise",)),), gain=0.1 * start))
"""


def test_two_processes_write_at_once_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    command = [sys.executable, "-c", WRITER, str(file)]
    writers = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in (1, 2)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"!")
        writer.stdin.flush()
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said.decode()
    with Memory(file) as memory:
        shared = [one for one in memory.experiences() if one.fingerprint.kinds == {"noise"}]
        assert [(one.tried, one.held) for one in shared] == [(60, 60)], "each lesson counted once"
        assert len(memory.decisions()) == 120


def test_a_writer_that_dies_in_the_middle_leaves_nothing_half_done(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    code = (
        "import os, sys; from conservator.memory import *; from conservator.plan import Step\n"
        "memory = Memory(sys.argv[1], shipped=False)\n"
        "with memory._book.change():\n"
        "    memory.learn(Lesson(Fingerprint({'noise': (0.5, 1.0)}), (Step('denoise', ('noise',)),), gain=0.8))\n"
        "    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)]).returncode == 9
    with Memory(file) as memory:
        assert len(memory) == 0 and memory.decisions() == []
        assert memory.learn(lesson(ailing(noise=0.5), "denoise"))[0].change is Change.ADD


# what ships


def test_the_shipped_experience_is_there_from_the_start_and_only_then(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db", shipped=True) as memory:
        assert len(memory) > 10 and {one.source for one in memory.experiences()} == {"shipped"}
        memory.forget()
    with Memory(tmp_path / "memory.db") as memory:
        assert len(memory) == 0, "forgotten is forgotten"


def test_the_shipped_experience_uses_tools_that_exist() -> None:
    from conservator.tools.registry import TOOLS as SHIPPED

    with Memory() as memory:
        for one in memory.experiences():
            assert one.portable and one.fingerprint.ails
            for step in one.steps:
                assert set(step.treats) <= set(SHIPPED.get(step.tool).card.treats)


# the command line


def test_the_command_shows_carries_and_forgets(tmp_path: Path) -> None:
    file, out = tmp_path / "memory.db", tmp_path / "mine.json"
    with empty(file) as memory:
        number = memory.learn(lesson(ailing(noise=0.5), "denoise"))[0].number
        memory.learn(replace(lesson(ailing(jpeg=0.4), "dejpeg"), void="on purpose"))
    shown = run("memory", "show", file, "--reasons")
    assert shown.exit_code == 0 and "noise 0.50" in shown.stdout and "on purpose" in shown.stdout
    data = json.loads(run("memory", "show", file, "--json").stdout)
    assert [one["number"] for one in data["experiences"]] == [number]
    assert run("memory", "export", file, out).exit_code == 0
    assert run("memory", "import", tmp_path / "new.db", out).stdout.startswith("1 new")
    assert run("memory", "forget", file).exit_code == 2
    assert run("memory", "forget", file, number, "--all").exit_code == 2
    assert run("memory", "forget", file, number).exit_code == 0
    assert json.loads(run("memory", "show", file, "--json").stdout) == {"experiences": []}


def test_a_memory_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    done = run("memory", "show", tmp_path / "no.db")
    assert done.exit_code == 3 and "no.db" in done.stderr and not (tmp_path / "no.db").exists()
    assert np.array_equal(list(tmp_path.iterdir()), [])
