"""Enlarging: once and last of all, without seams, repeatable, and never a reason to lose the photograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import conservator
from bench_pictures import nothing_found
from command_line import run
from conservator import Treatment, UsageError, open_photo
from conservator.degradations import INDEX, NAMES
from conservator.pixels.enlarge import enlarged, taps
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Samples, to_pixels, to_samples
from conservator.plan import Step
from conservator.policies.enlarging import Enlarge, enlarging
from conservator.policies.scripted import ScriptedPolicy
from conservator.quality.reference import psnr
from conservator.session import Session
from conservator.tools.added import preferring
from conservator.tools.card import Tiles, Tool
from conservator.tools.engine import apply
from conservator.tools.registry import TOOLS, Registry
from conservator.tools.testing import FakeTool
from onnx_files import enlarge, network, node
from scenes import scene

OURS = TOOLS.get("super_resolution")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder per test: added networks change what enlarges."""
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / "home"))


def picture(height: int = 40, width: int = 56) -> NDArray[np.uint8]:
    return np.rint(scene(height, width) * 255).astype(np.uint8)


def larger(photo: Any, scale: int, **arguments: Any) -> Treatment:
    return conservator.restore(photo, scale=scale, perceiver=nothing_found, **arguments)


def plain(photo: NDArray[np.uint8], scale: int) -> Samples:
    """Interpolation alone."""
    return to_samples(enlarged(to_pixels(photo.astype(np.uint16) * 257), scale))


def interpolated(samples: Samples, photo: NDArray[np.uint8], scale: int) -> bool:
    """Whether samples are that, to the last bit but one: sums of floats depend on a processor's order."""
    return samples.shape == plain(photo, scale).shape and _apart(samples, plain(photo, scale)) <= 1


def _apart(one: Samples, other: Samples) -> int:
    return int(np.abs(one.astype(int) - other).max())


def made_by(tool: Any, samples: Samples, share: float = 1.0, **arguments: Any) -> Samples:
    maps = np.zeros((len(NAMES), *(-(-side // 8) for side in samples.shape[:2])), np.float32)
    maps[INDEX["low_resolution"]] = share
    return apply(tool, samples, maps, cell_means(samples), **arguments)


# interpolation


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_interpolation_is_what_others_call_bicubic(scale: int) -> None:
    pixels = scene(24, 30)
    size = (30 * scale, 24 * scale)
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in np.moveaxis(pixels, 2, 0)]
    inside = np.s_[2 * scale : -2 * scale, 2 * scale : -2 * scale]
    assert np.abs(enlarged(pixels, scale) - np.stack(planes, axis=2))[inside].max() < 1e-5
    assert np.allclose(taps(scale).sum(axis=1), 1, atol=1e-6)


# the network


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_network_knows_more_than_interpolation(scale: int) -> None:
    truth = data.astronaut()[60:252, 120:312]
    small = np.asarray(Image.fromarray(truth).resize((192 // scale, 192 // scale), Image.Resampling.BICUBIC))
    result, simple = larger(small, scale).pixels, to_pixels(plain(small, scale))
    wanted = truth.astype(np.float32) / 255
    assert psnr(result, wanted) > psnr(simple, wanted) + 0.5


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_cannot_be_seen(scale: int) -> None:
    samples = picture(90, 130).astype(np.uint16) * 257
    whole, tiled = (made_by(OURS, samples, tile=tile, options={"scale": scale}) for tile in (512, 48))
    assert whole.shape == (90 * scale, 130 * scale, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 2, "of 65535: the order of float sums"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (17, 8)])
def test_any_size_is_enlarged(size: tuple[int, int]) -> None:
    for shade in (0, 255):
        result = larger(np.full((*size, 3), shade, np.uint8), 3)
        assert result.photo.size == (3 * size[0], 3 * size[1])
        assert np.abs(result.pixels - shade / 255).max() < 0.02


# the engine


def test_tiles_are_smaller_the_more_they_are_enlarged() -> None:
    samples = picture(200, 300).astype(np.uint16) * 257
    tools = {scale: FakeTool(treats=("low_resolution",), scale=scale, radius=4) for scale in (2, 4)}
    for scale, tool in tools.items():
        assert made_by(tool, samples, tile=128).shape == (200 * scale, 300 * scale, 3)
    assert max(max(call) for call in tools[2].calls) <= 128 + 2 * 8
    assert max(max(call) for call in tools[4].calls) <= 64 + 2 * 8


def test_where_no_share_is_asked_for_pixels_are_interpolated() -> None:
    photo = picture(40, 64)
    samples = photo.astype(np.uint16) * 257
    tool = FakeTool(treats=("low_resolution",), scale=2)
    assert interpolated(made_by(tool, samples, 0.0), photo, 2) and not tool.calls
    mask = np.zeros((40, 64), np.float32)
    mask[:, 32:] = 1.0
    half = made_by(tool, samples, strength_mask=mask, tile=8)
    assert _apart(half[:, :64], plain(photo, 2)[:, :64]) <= 1
    assert _apart(half[:, 64:], made_by(tool, samples)[:, 64:]) <= 1
    assert not np.array_equal(half[:, 64:], plain(photo, 2)[:, 64:])


# the public call


def test_everything_a_photo_brings_along_is_enlarged_with_it(tmp_path: Path) -> None:
    alpha = np.zeros((20, 30), np.uint16)
    alpha[:, 15:] = 65535
    deep = np.dstack([scene(20, 30) * 65535, alpha]).astype(np.uint16)
    result = larger(deep, 2)
    again = open_photo(result.save(tmp_path / "large.png"))
    assert (again.size, again.depth) == ((40, 60), 16)
    assert again.alpha is not None and not again.alpha[:, :28].any() and again.alpha[:, 32:].min() == 65535
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying down
    Image.fromarray(picture(20, 30)).save(tmp_path / "down.jpg", exif=exif, icc_profile=None)
    turned = larger(tmp_path / "down.jpg", 2)
    assert turned.photo.size == (60, 40)
    with Image.open(turned.save(tmp_path / "up.jpg")) as file:
        assert (file.size, file.getexif().get(0x0112, 1)) == ((40, 60), 1)


def test_it_comes_last_and_once_and_replays_to_the_same_samples(tmp_path: Path) -> None:
    path = tmp_path / "street.png"
    Image.fromarray(picture()).save(path)
    mask = np.zeros((40, 56), np.float32)
    mask[10:30] = 1.0
    result = conservator.restore(path, scale=3, policy=ScriptedPolicy([Step("denoise", ("noise",))]), mask=mask)
    plan, output = result.record.data["plan"], result.record.data["output"]
    assert [step["tool"] for step in plan] == ["denoise", "super_resolution"]
    assert plan[-1]["options"] == {"scale": 3} and output["size"] == [120, 168] and not output["unchanged"]
    assert result.after.size == (40, 56), "what is left is judged at the photo's own size"
    assert result.record.data["models"]["super_resolution"]
    again = conservator.replay(result.record, mask=mask)
    assert np.array_equal(again.photo.samples, result.photo.samples)


def test_strength_and_masks_say_how_much_the_network_adds() -> None:
    photo = picture() // 2 + 64  # no overshoot is clipped
    full, half, none = (larger(photo, 2, strength=strength) for strength in (1.0, 0.5, 0.0))
    assert interpolated(none.photo.samples, photo, 2), "at 0 no network takes part"
    middle = (full.photo.samples.astype(int) + none.photo.samples) / 2
    assert np.abs(half.photo.samples - middle).max() <= 1, "half-way, to rounding"
    wishing = larger(photo, 2, instruction="remove the noise in the sky, sharpen the left")
    assert np.array_equal(wishing.photo.samples, full.photo.samples), "wishes are about damage"
    protected = np.zeros((40, 56), np.float32)
    protected[:, :16] = 1.0
    spared = larger(photo, 2, protect=protected).photo.samples
    assert _apart(spared[:, :32], none.photo.samples[:, :32]) == 0
    assert _apart(spared[:, 48:], full.photo.samples[:, 48:]) == 0


def test_one_tool_alone_enlarges_too() -> None:
    photo = picture()
    assert conservator.treat(photo, "super_resolution").photo.size == (80, 112), "twice unless told"
    result = conservator.treat(photo, "super_resolution", scale=4)
    assert result.photo.size == (160, 224)
    assert np.array_equal(result.photo.samples, larger(photo, 4).photo.samples)
    both = conservator.treat(photo, "denoise", scale=2)
    assert [step["tool"] for step in both.record.data["plan"]] == ["denoise", "super_resolution"]
    assert np.array_equal(conservator.replay(result.record, photo).photo.samples, result.photo.samples)


def test_a_spent_budget_leaves_interpolation_and_says_so() -> None:
    photo = picture()
    result = larger(photo, 2, max_calls=0)
    assert interpolated(result.photo.samples, photo, 2)
    (step,) = result.record.data["plan"]
    assert step["strength"] == 0 and step["reason"] == "interpolation alone: max_calls=0 used up"
    assert np.array_equal(conservator.replay(result.record, photo).photo.samples, result.photo.samples)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"scale": 5}, "scale=5; wanted one of 1, 2, 3, 4"),
        ({"scale": 0}, "scale=0"),
        ({"scale": -2}, "scale=-2"),
        ({"scale": 2.5}, "scale=2.5"),
        ({"scale": 1, "prefer": "super_resolution"}, "nobody asked for a larger photo"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        conservator.restore(b"not even looked at", **arguments)


def test_results_that_nobody_could_open_are_refused() -> None:
    wide = np.broadcast_to(np.uint8(90), (2, 13_000_000, 3))
    with pytest.raises(UsageError, match=r"52000000×8 pixels \(416 MP\) asked for with scale=4; wanted at most 400 MP"):
        larger(np.ascontiguousarray(wide), 4)


def test_nothing_follows_enlarging() -> None:
    session = Session(open_photo(picture()), perceiver=nothing_found)
    assert "super_resolution" not in session.tools, "no policy can choose it"
    session.keep(session.apply(Step("super_resolution", ("low_resolution",), options={"scale": 2})))
    assert session.scale == 2
    with pytest.raises(UsageError, match="denoise after enlarging"):
        session.apply(Step("denoise", ("noise",)))


# networks of the user's own


def test_an_added_network_enlarges_where_its_scale_is_asked_for(tmp_path: Path) -> None:
    photo = picture() // 2 + 64  # no overshoot is clipped
    conservator.add_tool(enlarge(tmp_path / "twice.onnx", 2))
    repeated = np.repeat(np.repeat(photo.astype(np.uint16) * 257, 2, 0), 2, 1)
    for result in (larger(photo, 2), larger(photo, 2, prefer="twice"), conservator.treat(photo, "twice")):
        assert np.array_equal(result.photo.samples, repeated)
        assert result.record.data["plan"][-1]["tool"] == "twice" and result.record.data["models"]["twice"]
        assert np.array_equal(conservator.replay(result.record, photo).photo.samples, repeated)
    assert larger(photo, 2, prefer="super_resolution").record.data["plan"][-1]["tool"] == "super_resolution"
    assert larger(photo, 3).record.data["plan"][-1]["tool"] == "super_resolution"
    mixed = conservator.treat(photo, "twice", mix=0.5).photo.samples
    assert np.abs(mixed - (repeated.astype(int) + plain(photo, 2)) / 2).max() <= 1
    with pytest.raises(UsageError, match="twice enlarges and scale=3 was asked for; wanted scale=2"):
        larger(photo, 3, prefer="twice")
    with pytest.raises(UsageError, match="twice ×3; wanted ×2"):
        conservator.treat(photo, "twice", scale=3)


def test_grey_networks_and_other_scales_enlarge(tmp_path: Path) -> None:
    scales = np.array([1, 1, 5, 5], np.float32)
    resize = node("Resize", "image  scales", mode="nearest")
    grey = network(tmp_path / "five.onnx", [resize], {"scales": scales}, takes=(1, 1, "h", "w"))
    made = conservator.add_tool(grey)
    assert made.scales == (5,)
    photo = picture(9, 11)
    assert np.array_equal(larger(photo, 5).photo.samples, photo.astype(np.uint16).repeat(5, 0).repeat(5, 1) * 257)


@pytest.mark.parametrize("narrow", [False, True])
def test_a_network_that_fails_costs_its_detail_only(narrow: bool) -> None:
    photo = picture()
    broken: Tool = FakeTool("broken", treats=("low_resolution",), scale=2, fault="nan")
    if narrow:
        broken = Tool(replace(broken.card, tiles=Tiles.FORBIDDEN, side=32), broken.treat)
    session = Session(open_photo(photo), tools=Registry([broken]), perceiver=nothing_found)
    Enlarge(enlarging(broken, 2))(session)
    assert interpolated(session.samples, photo, 2)
    assert [step.reason for step in session.steps] == ["interpolation alone: broken failed"]
    failed = [event for event in session.ledger.events if event["type"] == "step_failed"]
    assert len(failed) == 1 and ("at most 32×32" if narrow else "NaN") in failed[0]["error"]


def test_the_latest_network_added_comes_first_and_named_ones_before_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        conservator.add_tool(enlarge(tmp_path / f"{name}.onnx", 2))
    assert preferring((), 2).enlarging(2).name == "two"
    assert preferring("one", 2).enlarging(2).name == "one"
    assert preferring((), 4).enlarging(4).name == "super_resolution"
    assert preferring(()).enlargers.names == ("super_resolution",), "nothing is read where nothing is enlarged"


# the command line


def test_commands_enlarge(tmp_path: Path) -> None:
    photo = tmp_path / "street.png"
    Image.fromarray(picture()).save(photo)
    done = run("treat", "super_resolution", str(photo), "-o", str(tmp_path / "four.png"), "--scale", "4")
    assert done.exit_code == 0 and "super_resolution: enlarged ×4" in done.stderr
    assert open_photo(tmp_path / "four.png").size == (160, 224)
    done = run("restore", str(photo), "-o", str(tmp_path / "two.jpg"), "--scale", "2", "--report", "--compare")
    assert done.exit_code == 0 and open_photo(tmp_path / "two.jpg").size == (80, 112)
    assert "Enlarged to 112 × 80 pixels" in (tmp_path / "two.html").read_text()
    done = run("treat", "super_resolution", str(photo), "-o", str(tmp_path / "no.png"), "--set", "scale=7")
    assert done.exit_code == 2 and "scale" in done.stderr
