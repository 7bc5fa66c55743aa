"""Text in pictures: written lines of known place are found, pictures without any stay empty, and a file may do it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from command_line import run
from conservator.benchmarks.lettering import Hand, write
from conservator.errors import InputError, ModelMissing, ToolFailed
from conservator.selection import select
from conservator.selection.lettering import VARIABLE
from conservator.synthesis.weather import smooth_field
from onnx_files import network, node
from scenes import scene
from test_selection import diagnosed

SIZE = (200, 320)


@pytest.fixture(autouse=True)
def _no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def calm(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shades = np.stack([90 + 60 * smooth_field(SIZE, rng, 3) for _ in range(3)], axis=-1)
    return np.asarray(np.rint(shades).clip(0, 255), np.uint8)


def written(said: str, height: int = 24, tone: int = 245, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A calm picture with a line of text, and where its box lies."""
    font = ImageFont.load_default(height / 0.72)
    ink, box = (Image.new("L", SIZE[::-1], 0) for _ in range(2))
    ImageDraw.Draw(ink).text((40, 80), said, 255, font)
    ImageDraw.Draw(box).rectangle([side + at for side, at in zip(font.getbbox(said), (40, 80) * 2, strict=True)], 255)
    turned, where = (np.asarray(one.rotate(angle, Image.Resampling.BICUBIC), np.float32) / 255 for one in (ink, box))
    page = calm() * (1 - turned[..., None]) + tone * turned[..., None]
    return np.asarray(np.rint(page), np.uint8), where > 0.5


def found(picture: np.ndarray, phrase: str = "the text"):
    return select(picture, phrase, diagnosis=diagnosed(picture.shape[:2]))


@pytest.mark.parametrize("tone", [245, 15], ids=["light", "dark"])
@pytest.mark.parametrize(("height", "angle"), [(12, 0.0), (24, 0.0), (24, 8.0), (40, -5.0)])
def test_a_line_is_found_where_it_is(tone: int, height: int, angle: float) -> None:
    picture, where = written("Hotel Kaiser 42" if height < 40 else "Hotel 42", height, tone, angle)
    part = found(picture)
    inside = part.mask >= 0.5
    assert inside[where].mean() > 0.6 and where[inside].mean() > 0.6
    assert 0.5 < part.confidence <= 0.9 and not part.missing


def test_words_for_it() -> None:
    picture, where = written("Bakery and Cafe")
    for phrase in ("text", "the lettering", "文字"):
        assert found(picture, phrase).mask[where].mean() > 0.6
    assert found(picture, "everything but the text").mask[where].mean() < 0.4
    assert found(picture, "text on the right").mask[:, :120].max() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_read_into_shapes_and_stripes(seed: int) -> None:
    assert found(scene(*SIZE, seed)).area < 0.01 and not found(calm(seed)).mask.any()
    bars = calm(seed)
    bars[60:120, 20:300:14] = 250
    bars[60:120, 22:300:14] = 250
    assert not found(bars).mask.any(), "a fence is all the same"


def test_two_letters_are_too_few_to_be_sure() -> None:
    picture, _ = written("Hi")
    assert found(picture).missing == ("text",)


def sees_white(path: Path) -> Path:
    """A file with the ports of a DB network that is sure of what is nearly white."""
    nodes = [node("ReduceMin", "image", "darkest", axes=[1], keepdims=1), node("Sub", "darkest level", "above"),
             node("Mul", "above slope", "steep"), node("Sigmoid", "steep")]  # fmt: skip
    return network(path, nodes, {"level": np.float32(1.8), "slope": np.float32(30)}, gives=(1, 1, "h", "w"))


def test_a_network_of_ones_own_is_asked_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(sees_white(tmp_path / "db.onnx")))
    picture = np.full((*SIZE, 3), 100, np.uint8)
    picture[80:110, 60:240] = 255
    part = found(picture)
    assert part.confidence > 0.9 and part.mask[82:108, 64:236].min() == 1 and not part.mask[:60].any()
    assert 180 * 30 / part.mask.size < part.area < 3 * 180 * 30 / part.mask.size, "a line reaches beyond its core"
    assert found(np.full((*SIZE, 3), 100, np.uint8)).missing == ("text",)


def test_a_network_of_ones_own_must_exist_and_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.onnx"))
    with pytest.raises(ModelMissing, match=VARIABLE):
        found(calm())
    two = network(tmp_path / "two.onnx", [node("Add", "image other")], extra="other")
    monkeypatch.setenv(VARIABLE, str(two))
    with pytest.raises(InputError, match="2 inputs"):
        found(calm())
    colours = network(tmp_path / "colours.onnx", [node("Mul", "image two")], {"two": np.float32(2)})
    monkeypatch.setenv(VARIABLE, str(colours))
    with pytest.raises(ToolFailed, match="probabilities"):
        found(calm())


def test_written_lines_lie_where_they_are_said_to() -> None:
    picture = np.full((400, 600, 3), 120, np.uint8)
    page, lines = write(picture, np.random.default_rng(3))
    changed = (page != picture).any(axis=2)
    assert len(lines) == 2 and changed.any() and not (lines[0].box & lines[1].box).any()
    assert not changed[~np.any([line.box for line in lines], axis=0)].any()
    level, faint = write(picture, np.random.default_rng(3), Hand(tilt=0, faintest=129))
    for line in faint:
        rows, columns = (np.flatnonzero(line.box.any(axis=axis)) for axis in (1, 0))
        assert line.contrast == 129 and line.box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert faint and not np.array_equal(level, page)


def test_lines_written_otherwise_are_another_measurement(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(np.full((200, 300, 3), 120, np.uint8)).save(tmp_path / f"{name}.png")
    done = run("bench", "text", "--clean", tmp_path, "--skip", 1, "--tilt", 20, "-o", tmp_path / "other.json")
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "other.json").read_text())
    assert result["name"] == "text-held-out" and [row["photo"] for row in result["rows"]] == ["b.png"]
    assert result["settings"]["written"]["tilt"] == 20


def test_the_benchmark_measures_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((400, 600, 3), 120, np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setenv(VARIABLE, str(sees_white(tmp_path / "db.onnx")))
    done = run("bench", "text", "--clean", tmp_path, "-o", tmp_path / "text.json")
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "text.json").read_text())
    built_in, file = result["summary"]["pictures"]
    assert (built_in["method"], file["method"]) == ("built in", "network") and built_in["lines"] == 2
    assert built_in["lines_found_percent"] >= 50 and built_in["without_text_found_percent"] == 0
    assert result["settings"]["network"] == "db.onnx" and len(result["rows"]) == 2
