"""Networks that know no severity maps: run by the engine on any photo, and refused when they are wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

import conservator
from command_line import run
from conservator.degradations import CELL, INDEX, NAMES
from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Pixels, Samples, to_pixels
from conservator.tools.added import available
from conservator.tools.card import Tool
from conservator.tools.engine import apply
from conservator.tools.registry import TOOLS
from onnx_files import blind_in_the_dark, blur, enlarge, multiply, network, node


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder per test."""
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def picture(height: int, width: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(30, 220, (height, width, 3)).astype(np.uint16) * 257


def noisy(samples: Samples, left: float = 0.0, right: float = 1.0) -> Maps:
    """Severity of noise: `left` in the left half of the cells, `right` in the others."""
    maps = np.zeros((len(NAMES), *(-(-side // CELL) for side in samples.shape[:2])), np.float32)
    middle = maps.shape[2] // 2
    maps[INDEX["noise"], :, :middle], maps[INDEX["noise"], :, middle:] = left, right
    return maps


def treated(tool: Tool, samples: Samples, maps: Maps | None = None, **options: Any) -> Samples:
    maps = noisy(samples, 1.0) if maps is None else maps
    return apply(tool, samples, maps, cell_means(samples), **options)


def slow_blur(samples: Samples, radius: int) -> Pixels:
    """The oracle: the mean around each pixel of the picture reflected at its borders."""
    padded = np.pad(to_pixels(samples), ((radius, radius), (radius, radius), (0, 0)), mode="reflect").astype(np.float64)
    height, width = samples.shape[:2]
    side = 2 * radius + 1
    shifted = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return np.asarray(sum(shifted) / side**2, np.float32)


def test_the_result_is_the_input_plus_the_gated_change_and_healthy_pixels_keep_their_integers(tmp_path: Path) -> None:
    made = conservator.add_tool(blur(tmp_path / "blur.onnx"), treats="noise")
    assert (made.card.halo, made.card.multiple_of, made.card.scale) == (8, 1, 1)
    samples = picture(90, 140)
    result = treated(made, samples, noisy(samples))
    changed = (result != samples).any(axis=2)
    assert not changed[:, :48].any() and changed[:, 96:].all()
    everywhere = to_pixels(treated(made, samples))
    assert np.abs(everywhere - slow_blur(samples, 2)).max() < 2e-5


def test_weak_damage_is_blended_and_mix_takes_a_share(tmp_path: Path) -> None:
    made = conservator.add_tool(multiply(tmp_path / "half.onnx", 0.5), treats="noise")
    samples = picture(40, 40)
    notice = 0.2828427  # severity of σ 6, from which the whole change is made
    for severity, options, share in ((1.0, {}, 1.0), (notice / 2, {}, 0.5), (1.0, {"mix": 0.25}, 0.25)):
        result = to_pixels(treated(made, samples, noisy(samples, severity, severity), options=options))
        assert np.allclose(result, to_pixels(samples) * (1 - 0.5 * share), atol=1e-4)
    with pytest.raises(UsageError, match=r"mix=2.*in \[0, 1\]"):
        treated(made, samples, options={"mix": 2.0})


def test_tiles_cannot_be_seen(tmp_path: Path) -> None:
    made = conservator.add_tool(blur(tmp_path / "wide.onnx", radius=11), treats="noise")
    assert made.card.halo == 16 and made.card.tiles == "free"
    samples = picture(150, 201)
    whole, tiled = treated(made, samples), treated(made, samples, tile=32)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_network_that_sees_everything_says_so(tmp_path: Path) -> None:
    nodes = [node("GlobalAveragePool", "image", "mean"), node("Sub", "image mean", "rest"), node("Add", "rest half")]
    file = network(tmp_path / "level.onnx", nodes, {"half": np.float32(0.5)})
    assert conservator.add_tool(file, treats="low_light").card.tiles == "discouraged"


def test_sizes_that_a_network_needs_are_found_and_kept(tmp_path: Path) -> None:
    """Space to depth and back by 8: other sizes do not run."""
    nodes = [node("SpaceToDepth", "image", "deep", blocksize=8), node("DepthToSpace", "deep", blocksize=8)]
    made = conservator.add_tool(network(tmp_path / "eight.onnx", nodes), treats="noise")
    assert made.card.multiple_of == 8
    samples = picture(61, 83)
    assert (treated(made, samples) == samples).all()


def test_a_network_of_one_size_gets_tiles_of_that_size(tmp_path: Path) -> None:
    fixed = blur(tmp_path / "fixed.onnx", takes=(1, 3, 96, 96), gives=(1, 3, 96, 96))
    made = conservator.add_tool(fixed, treats="noise")
    assert (made.card.side, made.card.halo) == (96, 8)
    for size in ((17, 23), (96, 96), (250, 131)):
        samples = picture(*size)
        assert np.abs(to_pixels(treated(made, samples, tile=512)) - slow_blur(samples, 2)).max() < 2e-5


def test_a_grey_network_treats_colour_channel_by_channel(tmp_path: Path) -> None:
    made = conservator.add_tool(blur(tmp_path / "grey.onnx", channels=1), treats="noise")
    samples = picture(50, 70)
    assert np.abs(to_pixels(treated(made, samples)) - slow_blur(samples, 2)).max() < 2e-5
    grey = samples[..., :1].repeat(3, axis=2)
    result = treated(made, grey)
    assert (result == result[..., :1]).all() and (result != grey).any()


def test_half_precision_files_run(tmp_path: Path) -> None:
    nodes = [node("Mul", "image factor")]
    file = network(tmp_path / "half.onnx", nodes, {"factor": np.float16(0.5)}, dtype=TensorProto.FLOAT16)
    samples = picture(24, 24)
    result = to_pixels(treated(conservator.add_tool(file, treats="noise"), samples))
    assert np.allclose(result, to_pixels(samples) / 2, atol=1e-3)


@pytest.mark.parametrize(
    "photo",
    [
        np.full((1, 1, 3), 90, np.uint8),
        np.zeros((9, 30, 3), np.uint8),
        np.random.default_rng(0).integers(0, 65536, (40, 61, 4), np.uint16),
        np.random.default_rng(0).integers(0, 256, (40, 61), np.uint8),
    ],
    ids=["1x1", "black", "16-bit with alpha", "grey"],
)
def test_any_photo_comes_back_whole(tmp_path: Path, photo: Any) -> None:
    made = conservator.add_tool(blur(tmp_path / "blur.onnx"), treats="noise")
    result = conservator.treat(photo, made.name)
    again = result.photo
    assert again.size == photo.shape[:2] and again.depth == 8 * photo.dtype.itemsize
    assert (again.alpha is None) == (result.original.alpha is None)
    assert again.alpha is None or (again.alpha == result.original.alpha).all()
    assert again.gray == (photo.ndim == 2)


def wrong(path: Path, kind: str) -> Path:
    same, kernel = [node("Identity", "image")], np.full((3, 1, 3, 3), 1 / 9, np.float32)
    files: dict[str, Callable[[], Path]] = {
        "channels last": lambda: network(path, same, takes=(1, 64, 64, 3)),
        "four channels": lambda: network(path, same, takes=(1, 4, "h", "w")),
        "two pictures": lambda: network(path, same, takes=(2, 3, "h", "w")),
        "oblong": lambda: network(path, same, takes=(1, 3, 48, 64)),
        "whole numbers": lambda: network(path, same, dtype=TensorProto.UINT8),
        "three axes": lambda: network(path, same, takes=(3, "h", "w"), gives=(3, "h", "w")),
        "second input": lambda: network(path, [node("Add", "image mask")], extra="mask"),
        "cropped": lambda: network(path, [node("Conv", "image kernel", group=3)], {"kernel": kernel}),
        "to grey": lambda: network(path, [node("ReduceMean", "image", axes=[1], keepdims=1)]),
        "one number": lambda: network(path, [node("ReduceMean", "image", keepdims=0)], gives=()),
    }
    return files[kind]()


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        ("channels last", UsageError, "takes 64 channels.*grey.*RGB"),
        ("four channels", UsageError, "takes 4 channels"),
        ("two pictures", UsageError, "takes 2 pictures at a time"),
        ("oblong", UsageError, "takes 64×48 px only"),
        ("whole numbers", UsageError, r"tensor\(uint8\).*one float picture"),
        ("three axes", UsageError, r"one float picture \(1, C, H, W\)"),
        ("second input", UsageError, "mask"),
        ("cropped", UsageError, "made 190×126 px of 192×128"),
        ("to grey", UsageError, "takes 3 channels and returns 1"),
        ("one number", ToolFailed, "picture"),
    ],
)
def test_a_network_of_the_wrong_shape_is_refused_when_added(
    tmp_path: Path, kind: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        conservator.add_tool(wrong(tmp_path / "wrong.onnx", kind), treats="noise")
    assert available().names == TOOLS.names


def test_damaged_and_absent_files_are_refused_when_added(tmp_path: Path) -> None:
    whole = blur(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("not a network")
    for name in ("cut", "text", "absent"):
        with pytest.raises(ModelMissing, match=f"{name}.onnx"):
            conservator.add_tool(tmp_path / f"{name}.onnx", treats="noise")
    with pytest.raises(UsageError, match=r"picture.png; wanted a file ending in .onnx, .pth"):
        conservator.add_tool(tmp_path / "picture.png", treats="noise")
    result = run("tools", "add", tmp_path / "absent.onnx", "--treats", "noise")
    assert result.exit_code == 7 and "Traceback" not in result.stderr


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_network_that_returns_nonsense_is_refused_when_added(tmp_path: Path, factor: float) -> None:
    with pytest.raises(ToolFailed, match="NaN or infinity"):
        conservator.add_tool(multiply(tmp_path / "nan.onnx", factor), treats="noise")


def test_nonsense_that_shows_only_later_costs_the_step_and_not_the_photo(tmp_path: Path) -> None:
    made = conservator.add_tool(blind_in_the_dark(tmp_path / "blind.onnx"), treats="noise")
    dark = picture(72, 104) // 4
    with pytest.raises(ToolFailed, match=r"blind on .*NaN or infinity.*photo is unchanged"):
        treated(made, dark)
    rng = np.random.default_rng(0)
    photo = np.clip(40 + rng.normal(0, 20, (96, 128, 3)), 0, 120).astype(np.uint8)
    result = conservator.treat(photo, "blind")
    failed = [event for event in result.record.data["events"] if event["type"] == "step_failed"]
    assert "NaN" in failed[0]["error"] and result.unchanged


def test_a_changed_or_vanished_file_is_an_error_at_use_and_not_in_the_listing(tmp_path: Path) -> None:
    file, samples = multiply(tmp_path / "dim.onnx", 0.5), picture(24, 24)
    made = conservator.add_tool(file, treats="noise")
    treated(made, samples)
    multiply(file, 0.25)
    assert "dim" in run("tools").stdout
    with pytest.raises(ModelMissing, match=r"dim.onnx have SHA-256 .* as when it was added.*add it again"):
        treated(made, samples)
    conservator.remove_tool("dim")
    again = conservator.add_tool(file, treats="noise")
    assert np.allclose(to_pixels(treated(again, samples)), to_pixels(samples) / 4, atol=1e-4)
    file.unlink()
    assert "dim" in run("tools").stdout
    with pytest.raises(ModelMissing, match=r"dim.onnx: No such file.*tools remove"):
        treated(again, samples)


def test_a_network_that_enlarges_says_so_on_its_card(tmp_path: Path) -> None:
    made = conservator.add_tool(enlarge(tmp_path / "twice.onnx"))
    assert (made.card.scale, made.card.treats) == (2, ("low_resolution",))
    assert made.card.summary.endswith("enlarges ×2.")


def test_without_pytorch_a_checkpoint_names_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"weights")
    code = (
        "import sys; sys.modules['torch'] = None; from conservator.cli import app; "
        f"app(['tools', 'add', {str(tmp_path / 'net.pth')!r}, '--treats', 'noise'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 7
    assert "pip install 'conservator[torch]'" in done.stderr and "Traceback" not in done.stderr
