"""Broken input of every kind, a small share of it; `conservator bench fuzz` tries a hundred thousand cases."""

from __future__ import annotations

import random
from importlib.util import find_spec

import numpy as np
import pytest

from conservator.benchmarks import accidents, fuzz
from conservator.benchmarks.valid import pictures
from conservator.errors import InputError, UsageError
from conservator.masks import read_mask
from conservator.photo import open_photo
from conservator.plan import Step
from conservator.record import SCHEMA, Record

FEW = {"photographs": 300, "masks": 300, "records": 100, "plans": 100}


def test_broken_input_is_taken_or_refused_by_name() -> None:
    """Bodies of requests are in test_serve_fuzz.py."""
    found = fuzz.run(FEW, seed=1)
    assert found.rows == []
    for row in found.summary["cases"]:
        assert row["cases"] == row["taken"] + row["refused"] == FEW[row["input"]]
        assert row["taken"] and row["refused"], f"nothing is learned from {row}"
        assert 0 < row["peak_mb"] < 1000


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crash"),
        ("import time; time.sleep(600)", "hang"),
        ("data = b'x' * 200_000_000; import time; time.sleep(600)", "memory"),
        ("raise KeyError('tile')", "error"),
    ],
)
def test_whatever_a_case_does_is_found_and_the_others_are_tried(
    code: str, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """A kind of input whose third case does that, in a child like that of the bench."""
    script = f"""
import contextlib, sys
from conservator.benchmarks import broken
@contextlib.contextmanager
def cases():
    number = iter(range(int(sys.argv[3]), 9))
    def case(chance):
        if next(number) == 2:
            exec({code!r})
    yield case
broken.TARGETS = {{"photographs": cases}}
broken.main(*sys.argv[1:])
"""
    monkeypatch.setattr(fuzz, "CHILD", ("-c", script))
    monkeypatch.setattr(fuzz, "PATIENCE", 15.0)
    monkeypatch.setattr(fuzz, "MOST_MEMORY", 150.0)
    found = fuzz.run({"photographs": 5})
    assert [(row["case"], row["how"]) for row in found.rows] == [(2, how)]
    assert found.summary["cases"][0]["taken"] == 4


def test_every_way_through_the_decoders_is_tried() -> None:
    files = pictures()
    extras = {"heic", "heic 10"} if find_spec("pi_heif") else set()
    extras |= {"raw"} if find_spec("rawpy") else set()
    assert extras <= files.keys()
    kinds = {open_photo(data).container for data in files.values()}
    assert kinds == {"jpeg", "png", "webp", "tiff", "avif", "bmp"} | {name.split()[0] for name in extras}


def test_a_case_depends_on_its_number_alone() -> None:
    one, same, other = (accidents.scrambled(bytes(99), random.Random(f"0 masks {n}")) for n in (7, 7, 8))
    assert one == same != other
    data = {"a": [1, {"b": 2}]}
    assert repr(accidents.twisted(data, random.Random(3))) == repr(accidents.twisted(data, random.Random(3)))
    assert data == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    "given",
    [
        {"annotations": 5, "images": []},
        {"annotations": [3], "images": [{"id": 1}]},
        {"annotations": [], "images": 7},
        {"segmentation": [[10**400, 0, 9, 9, 0, 9]]},
    ],
)
def test_coco_that_is_none_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="the mask"):
        read_mask(given, (32, 32))


def test_an_outline_too_tangled_to_check_is_refused_soon() -> None:
    zigzag = np.tile([[0.0, 0.0], [32.0, 32.0]], (20_000, 1)).ravel().tolist()
    with pytest.raises(InputError, match="tangled"):
        read_mask({"segmentation": [zigzag]}, (32, 32))


CALL = {"strength": 1.0, "instruction": None, "tile": 512, "scale": 1}
WHOLE = {"schema": SCHEMA, "input": {"path": None, "sha256": "0"}, "output": {"sha256": "0"}, "call": CALL, "plan": []}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"input": 3}, "input"),
        ({"input": {"path": None, "sha256": None}}, r"input\.sha256"),
        ({"output": {}}, r"output\.sha256"),
        ({"call": CALL | {"strength": "much"}}, r"call\.strength"),
        ({"call": CALL | {"mask": [{"path": None, "sha256": "0"}]}}, r"mask\.strength"),
        ({"call": CALL | {"places": {"sky": []}}}, r"places\.sky"),
        ({"call": CALL | {"prefer": [[]]}}, r"call\.prefer"),
        ({"plan": {}}, "plan"),
    ],
)
def test_a_record_says_which_part_of_it_is_broken(part: dict[str, object], says: str) -> None:
    assert Record.from_dict(WHOLE).data == WHOLE
    with pytest.raises(InputError, match=says):
        Record.from_dict(WHOLE | part)


@pytest.mark.parametrize(
    "change", [{"tool": 5}, {"treats": 3}, {"treats": [[]]}, {"strength": float("nan")}, {"strength": 10**400},
               {"strength": "1"}, {"options": None}, {"reason": 1}]
)  # fmt: skip
def test_a_step_of_other_types_is_none(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="step"):
        Step.from_dict(Step("joint", ("noise",)).to_dict() | change)
