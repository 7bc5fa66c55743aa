"""Benchmarks of regions on damaged photographs, and of a language model that plans and reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench_pictures import picture
from command_line import run as command
from conservator.benchmarks.planners import READ
from conservator.benchmarks.planners import run as measure
from conservator.benchmarks.stability import SPOTS, found_on, overlap
from conservator.benchmarks.stability import run as compare
from conservator.photo import open_photo
from conservator.selection import source_named
from conservator.selection.scene import Scene
from conservator.wishes import parse
from llm_server import serving, text
from sam_files import colour_pair, fastsam
from test_selection import diagnosed


def test_overlap_of_all_and_of_sure_pixels() -> None:
    one, other = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    one[:2], other[:2], other[2] = 1, 1, 0.6
    assert overlap(one, other) == pytest.approx(8 / 12) and overlap(one, other, sure=True) == 1.0
    assert overlap(one * 0, one * 0) == 0.0


def test_regions_are_compared_clean_damaged_and_cleaned(tmp_path: Path) -> None:
    shot = picture(2)
    shot[60:] //= 8
    Image.fromarray(shot).save(tmp_path / "a.png")
    colour_pair(tmp_path / "sam")
    found = compare([tmp_path / "a.png"], outliner=source_named(f"sam:{tmp_path / 'sam'}"), damage=("noise",))
    by_region = {row["region"]: row for row in found.summary["regions"]}
    assert {"shadows", "sam, everything", "sam, at a point"} <= set(by_region)
    assert found.summary["damage"][0]["masks"] == len(found.rows)
    assert by_region["shadows"]["iou_damaged"] > 0.5 and 0 < by_region["sam, everything"]["iou_damaged"] <= 1
    for row in found.rows:
        assert all(0 <= row[key] <= 1 for key in ("damaged", "cleaned", "sure_damaged", "sure_cleaned", "sure_share"))


def parted(at: int) -> NDArray[np.uint8]:
    """Red beside blue, which outlines by colour find exactly."""
    shot = np.zeros((96, 128, 3), np.uint8)
    shot[:, :at, 0], shot[:, at:, 2] = 220, 220
    return shot


def test_a_source_is_asked_for_everything_and_at_points_on_each_look(tmp_path: Path) -> None:
    colour_pair(tmp_path / "sam")
    source = source_named(f"sam:{tmp_path / 'sam'}")
    scenes = [Scene(open_photo(parted(at)).samples, diagnosed((96, 128))) for at in (64, 64, 32)]
    asked = list(found_on(source, scenes))
    assert [how for how, _ in asked] == 2 * ["sam, everything"] + SPOTS**2 * ["sam, at a point"]
    red, blue = pytest.approx(1 / 2, abs=0.05), pytest.approx(2 / 3, abs=0.05)
    for _, (clean, same, moved) in asked:
        assert clean.mean() == pytest.approx(0.5, abs=0.03) and overlap(clean, same) == 1.0
        assert overlap(clean, moved) in (red, blue)


def test_an_export_is_measured_by_its_path(tmp_path: Path) -> None:
    """A detector that takes no prompts: points choose among what it found."""
    Image.fromarray(parted(64)).save(tmp_path / "a.png")
    network = fastsam(tmp_path / "fastsam.onnx")
    result = tmp_path / "regions.json"
    finished = command("bench", "regions", "--clean", tmp_path, "--regions", f"sam:{network}", "-o", result)
    assert finished.exit_code == 0, finished.output
    kept = json.loads(result.read_text())
    rows = {row["region"]: row for row in kept["summary"]["regions"]}
    # Noise leaves the red half where it is, to most of its pixels.
    for how in ("sam, everything", "sam, at a point"):
        assert rows[how]["masks"] >= 2 and 0.5 < rows[how]["iou_damaged"] <= 1 and rows[how]["iou_cleaned_first"] > 0.9
    assert kept["settings"]["source"]["weights"].keys() == {"fastsam.onnx"}


def told(request: dict[str, Any]) -> dict[str, Any]:
    """A model that reads perfectly, and plans one step with all that there is."""
    asked = request["messages"][-1]["content"]
    means = dict(READ).get(asked, "")
    if asked in dict(READ):
        wishes = parse(means).to_dict()["wishes"] if means else []
        heard = [wish | {"said": asked} for wish in wishes]
        return text(json.dumps({"wishes": heard, "cannot": [] if means else [asked]}))
    known = json.loads(asked)
    tool = known["tools"][0]
    return text(json.dumps({"steps": [{"tool": tool["tool"], "treats": tool["treats"], "regions": ["whole"]}]}))


def test_a_language_model_is_measured_as_planner_and_reader(tmp_path: Path) -> None:
    pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed: pip install 'conservator[agents]'")
    noisy = np.random.default_rng(0).normal(0, 25, (96, 128, 3)) + picture(1)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    with serving(told) as server:
        found = measure([tmp_path / "a.png"], server.endpoint())
    (plans,), (model, grammar) = found.summary["plans"], found.summary["instructions"]
    assert plans["asked_for"] == 1 and plans["held_at_once_percent"] == 100 and plans["tokens_in"] >= 1000
    assert model["right_percent"] == 100 and model["grammar_stepped_in_percent"] == 0
    assert 0 < grammar["right_percent"] < 100
    with serving((500, "{}")) as server:
        failed = measure([tmp_path / "a.png"], server.endpoint())
    assert failed.summary["plans"][0]["held_percent"] == 0
    assert failed.summary["instructions"][0]["right_percent"] == failed.summary["instructions"][1]["right_percent"]
