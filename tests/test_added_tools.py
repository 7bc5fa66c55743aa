"""Tools that users add: kept for later runs, listed, removed, and chosen in plans when they are asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import conservator
from command_line import photograph, run
from conservator.degradations import NAMES
from conservator.errors import InputError, ToolDefinitionError, ToolFailed, UsageError
from conservator.pixels.types import Maps, Pixels
from conservator.tools.added import available, find, preferring
from conservator.tools.card import Tool, tool
from conservator.tools.registry import TOOLS, Registry
from onnx_files import blur, multiply


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder per test."""
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_an_added_tool_is_there_in_later_runs_and_gone_after_removal(tmp_path: Path) -> None:
    file = blur(tmp_path / "My Denoiser-v2.onnx")
    added = run("tools", "add", file, "--treats", "noise", "--json")
    assert added.exit_code == 0, added.stderr
    card = json.loads(added.stdout)[0]
    assert (card["name"], card["treats"], card["licence"]) == ("my_denoiser_v2", ["noise"], "unknown")
    assert str(file) in card["source"] and card["weights"].keys() == {"my_denoiser_v2"}
    listing = subprocess.run(
        [sys.executable, "-m", "conservator", "tools", "--json"], capture_output=True, text=True, check=True
    ).stdout
    assert [one["name"] for one in json.loads(listing)] == [*TOOLS.names, "my_denoiser_v2"]
    assert json.loads(listing)[-1] == card
    assert "my_denoiser_v2" in run("tools", "--treating", "noise").stdout
    assert run("tools", "remove", "my_denoiser_v2").exit_code == 0
    assert available().names == TOOLS.names
    assert file.exists()


def test_the_list_is_written_whole_or_not_at_all(tmp_path: Path, own_home: Path) -> None:
    conservator.add_tool(blur(tmp_path / "a.onnx"), treats=["noise"])
    conservator.add_tool(blur(tmp_path / "b.onnx"), treats=["noise", "jpeg"])
    assert [path.name for path in own_home.iterdir()] == ["tools.json"]
    with pytest.raises(ToolFailed):
        conservator.add_tool(multiply(tmp_path / "c.onnx", float("nan")), treats=["noise"])
    assert available().names[-2:] == ("a", "b")
    assert available().get("b").card.stage == "compression"


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "tools": []}', '{"schema": 1, "tools": [{"name": "a"}]}'])
def test_a_damaged_list_is_named_and_spares_what_needs_no_added_tool(own_home: Path, text: str) -> None:
    own_home.mkdir()
    (own_home / "tools.json").write_text(text)
    with pytest.raises(InputError, match=r"tools\.json.*delete it"):
        available()
    assert run("tools").exit_code == 3
    assert preferring(()) is TOOLS
    assert find(TOOLS.names[0]) is TOOLS.get(TOOLS.names[0])


def test_names_must_be_new_and_plain(tmp_path: Path) -> None:
    file = blur(tmp_path / "2x.onnx")
    assert conservator.add_tool(file, treats="noise").name == "net_2x"
    with pytest.raises(UsageError, match=r"net_2x exists.*--name"):
        conservator.add_tool(file, treats="noise")
    with pytest.raises(UsageError, match=f"{TOOLS.names[0]} exists"):
        conservator.add_tool(file, treats="noise", name=TOOLS.names[0])
    with pytest.raises(UsageError, match="lower-case"):
        conservator.add_tool(file, treats="noise", name="De Noise")
    with pytest.raises(UsageError, match="no degradation noize"):
        conservator.add_tool(file, treats="noize")
    with pytest.raises(UsageError, match=r"does not say what it treats.*--treats noise"):
        conservator.add_tool(file, name="other")


def test_only_added_tools_can_be_removed() -> None:
    with pytest.raises(UsageError, match="no added tool 'denoyse'; wanted one of: none"):
        conservator.remove_tool("denoyse")
    with pytest.raises(UsageError, match="ships with Conservator"):
        conservator.remove_tool(TOOLS.names[0])


def make(name: str, *treats: str) -> Tool:
    def nothing(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        """Nothing."""
        return pixels

    return tool(treats=treats, source="none", name=name, stage=None if len(treats) == 1 else "imaging")(nothing)  # type: ignore[arg-type]


def test_leading_tools_get_what_they_treat_to_themselves() -> None:
    plain = Registry([make("joint", "jpeg", "noise"), make("denoise", "noise"), make("derain", "rain")])
    led = plain.led_by([make("mine", "noise", "haze")])
    assert {one.name: one.card.treats for one in led} == {
        "mine": ("noise", "haze"),
        "joint": ("jpeg",),
        "derain": ("rain",),
    }
    assert plain.get("joint").card.treats == ("jpeg", "noise")
    assert plain.led_by([plain.get("denoise")]).names == ("denoise", "joint", "derain")


def test_shipped_tools_stay_the_specialists_until_another_is_asked_for(tmp_path: Path) -> None:
    conservator.add_tool(blur(tmp_path / "mine.onnx", radius=1), treats=NAMES)
    photo = photograph(tmp_path / "street.png", noise=40)
    usual = conservator.restore(photo)
    assert "mine" not in {event.get("tool") for event in usual.record.data["events"]}
    asked = conservator.restore(photo, prefer="mine")
    assert {event["tool"] for event in asked.record.data["events"] if event["type"] == "step_started"} == {"mine"}
    with pytest.raises(UsageError, match=r"no tool 'mien'.*did you mean mine"):
        conservator.restore(photo, prefer=["mien"])
    result = run("restore", photo, "--prefer", "mine", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out.record.json").read_text("utf-8"))["call"]["prefer"] == ["mine"]


def test_treat_uses_an_added_tool_and_its_record_replays(tmp_path: Path) -> None:
    made = conservator.add_tool(blur(tmp_path / "mine.onnx", radius=1), treats="noise")
    photo = photograph(tmp_path / "street.png", noise=40)
    result = run("treat", "mine", photo, "-o", tmp_path / "out.png", "--set", "mix=0.8")
    assert result.exit_code == 0, result.stderr
    before, after = (np.asarray(Image.open(path)) for path in (photo, tmp_path / "out.png"))
    changed = (before != after).any(axis=2)
    assert not changed[:, :32].any() and changed[:, 72:].mean() > 0.9
    record = tmp_path / "out.record.json"
    data = json.loads(record.read_text("utf-8"))
    assert data["models"]["mine"] == made.weights["mine"]
    again = conservator.replay(record)
    assert again.record.data["output"] == data["output"]
    conservator.remove_tool("mine")
    with pytest.raises(UsageError, match="no tool 'mine'"):
        conservator.replay(record)


def test_a_later_shipped_tool_of_the_same_name_is_a_clear_error(tmp_path: Path, own_home: Path) -> None:
    conservator.add_tool(blur(tmp_path / "mine.onnx"), treats="noise")
    place = own_home / "tools.json"
    place.write_text(place.read_text("utf-8").replace('"mine"', f'"{TOOLS.names[0]}"'))
    with pytest.raises(ToolDefinitionError, match=f"two tools named '{TOOLS.names[0]}'"):
        available()
    conservator.remove_tool(TOOLS.names[0])
    assert available().names == TOOLS.names
