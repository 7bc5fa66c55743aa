"""Ledger, record and cache: what happened is written the moment it happens, and nothing half-written is read."""

import json

import numpy as np
import pytest

from conservator.cache import Cache, key_of
from conservator.errors import InputError, OutputError, UsageError
from conservator.plan import CannotTreat, Plan, Step
from conservator.record import SCHEMA, Ledger, Record
from conservator.treatment import restore


def test_events_reach_file_and_listener_as_they_happen(tmp_path):
    seen = []
    ledger = Ledger(tmp_path / "run.jsonl", seen.append)
    ledger.add("opened", size=[4, 5])
    ledger.add("step_failed", tool="joint", error="broke")
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]  # before close()
    assert [e["type"] for e in lines] == ["opened", "step_failed"]
    assert lines == seen == ledger.events
    assert [e["seq"] for e in lines] == [0, 1]


def strict(text):
    """As every reader but Python's takes JSON."""
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_what_is_no_number_of_json_is_null_in_ledger_and_record(odd, tmp_path):
    seen = []
    ledger = Ledger(tmp_path / "run.jsonl", seen.append)
    ledger.add("kept", gain=odd, parts=[{"noise": odd, "haze": 0.5}, (odd, 1)])
    ledger.close()
    line = strict((tmp_path / "run.jsonl").read_text())
    assert line == seen[0] and line["gain"] is None and line["parts"] == [{"noise": None, "haze": 0.5}, [None, 1]]
    treatment = restore(np.full((24, 24, 3), 128, np.uint8))
    made = Record({**treatment.record.data, "timings": {"tiles": odd}})
    assert strict(made.to_json())["timings"] == {"tiles": None}
    (tmp_path / "old.json").write_text(json.dumps({**treatment.record.data, "timings": {"tiles": odd}}))
    with pytest.raises(InputError, match="no number"):
        Record.load(tmp_path / "old.json")


def test_progress_is_told_but_not_kept():
    seen = []
    ledger = Ledger(listener=seen.append)
    ledger.progress("tile", done=1, total=2)
    assert seen[0]["type"] == "tile"
    assert ledger.events == []


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError):
        Ledger(tmp_path / "missing" / "run.jsonl")


def test_a_record_survives_the_trip_through_a_file(tmp_path):
    data = {**restore(np.full((32, 32, 3), 128, np.uint8)).record.to_dict(), "name": "señal 雨"}
    path = tmp_path / "record.json"
    path.write_text(Record(data).to_json(), encoding="utf-8")
    assert Record.load(path).to_dict() == data


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 999}', f'{{"schema": {SCHEMA}}}'])
def test_what_is_not_a_record_is_refused(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(InputError):
        Record.load(path)
    with pytest.raises(InputError):
        Record.load(tmp_path / "absent.json")


def test_steps_and_plans_are_plain_data():
    step = Step("joint", ("noise", "jpeg"), ("r1",), 0.5, {"keep_grain": 0.2}, "found")
    assert Step.from_dict(json.loads(json.dumps(step.to_dict()))) == step
    plan = Plan((step,), (CannotTreat("motion_blur", ("r2",), "no tool"),))
    assert json.loads(json.dumps(plan.to_dict()))["cannot_treat"][0]["degradation"] == "motion_blur"
    with pytest.raises(UsageError):
        Step.from_dict({"tool": "joint"})
    with pytest.raises(UsageError):
        Step.from_dict({**step.to_dict(), "surprise": 1})


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_cache_returns_what_was_put(tmp_path, on_disk):
    cache = Cache(tmp_path if on_disk else None)
    samples = np.arange(60, dtype=np.uint16).reshape(4, 5, 3)
    assert cache.get("k") is None
    cache.put("k", samples)
    assert np.array_equal(cache.get("k"), samples)


def test_a_damaged_cache_file_counts_as_absent(tmp_path):
    cache = Cache(tmp_path)
    cache.put("k", np.zeros((4, 5, 3), np.uint16))
    path = tmp_path / "k.npy"
    path.write_bytes(path.read_bytes()[:-20])
    assert cache.get("k") is None
    path.write_bytes(b"")
    assert cache.get("k") is None


def test_memory_kept_is_bounded_and_the_oldest_goes_first():
    cache = Cache(max_bytes=100)
    for name in "abc":
        cache.put(name, np.zeros((2, 3, 3), np.uint16))  # 36 bytes each
    assert cache.get("a") is None
    assert cache.get("c") is not None
    cache.put("large", np.zeros((20, 20, 3), np.uint16))
    assert cache.get("large") is None


def test_keys_depend_on_every_part():
    a = np.zeros((2, 3), np.float32)
    keys = {key_of(a), key_of(a + 1), key_of(a.reshape(3, 2)), key_of(a, "x"), key_of(a.astype(np.float64))}
    assert len(keys) == 5
    assert key_of(a) == key_of(a.copy())
