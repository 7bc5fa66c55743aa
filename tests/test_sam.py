"""SAM-class pairs from files: masks lie where things are, whatever shape photograph and export have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import conservator
from blobs import iou
from channels import look
from command_line import run
from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.photo import open_photo
from conservator.pixels.reduce import into_cells, mask_cells
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy
from conservator.selection import VOCABULARY, Found, MaskSource, Outlined, Prompt, select, source_named
from conservator.selection.sam import Sam
from conservator.selection.scene import Scene
from onnx_files import blur
from sam_files import colour_pair, fastsam
from test_selection import diagnosed

Things = tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]


def things(height: int, width: int) -> Things:
    """A grey picture with a red disc and a blue corner, and where these are."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 0.4 * height) ** 2 + (x - 0.3 * width) ** 2 < (0.25 * min(height, width)) ** 2
    corner = (y > 0.6 * height) & (x > 0.55 * width)
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[disc], picture[corner] = (200, 60, 40), (40, 90, 220)
    return picture, disc, corner


def named(folder: Path, **kind: Any) -> MaskSource:
    colour_pair(folder, **kind)
    return source_named(f"sam:{folder}")


def at(x: float, y: float, inside: bool = True) -> Prompt:
    return Prompt(points=((x, y, inside),))


def of_size(mask: NDArray[Any], thing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A thing at the size of a mask: what is found before it is asked for is found in a smaller picture."""
    rows, columns = ((np.arange(n) + 0.5) * m / n for n, m in zip(mask.shape, thing.shape, strict=True))
    return np.asarray(thing[np.ix_(rows.astype(int), columns.astype(int))])


EXPORTS = {
    "sam": {},
    "one mask per call, other names": {"names": ("embeddings", "masks"), "wanted": "image_embeddings"},
    "channels last": {"last": True},
    "not square": {"height": 176},
    "sam 2, in batches": {"fine": True, "batch": "prompts"},
}


@pytest.mark.parametrize("size", [(120, 200), (200, 120), (301, 500), (96, 96), (61, 640)])
@pytest.mark.parametrize("kind", EXPORTS.values(), ids=EXPORTS)
def test_masks_lie_where_things_are(kind: dict[str, Any], size: tuple[int, int], tmp_path: Path) -> None:
    picture, disc, corner = things(*size)
    source = named(tmp_path, **kind)
    finer = 0.97 if size != (61, 640) else 0.84  # a cell is 10 px there
    for thing, x, y in ((disc, 0.3, 0.4), (corner, 0.8, 0.8)):
        found = select(picture, at(x * size[1], y * size[0]), diagnosis=diagnosed(size), sources=[source])
        assert iou(found.mask > 0.5, thing) > finer, str(size)
        assert found.confidence == pytest.approx(0.95) and not found.missing


def test_everything_is_found_once(tmp_path: Path) -> None:
    picture, disc, corner = things(150, 250)
    scene, source = Scene(open_photo(picture).samples, diagnosed((150, 250))), named(tmp_path)
    found = source.find(scene, Prompt())
    assert len(found) == 3, "disc, corner and what is behind, though 150 points lie on them"
    for thing in (disc, corner, ~disc & ~corner):
        assert max(iou(one.mask > 0.5, thing) for one in found) > 0.94
    assert all(0.9 < one.confidence <= 0.95 for one in found)
    again = source.find(scene, Prompt())
    assert all(np.array_equal(one.mask, other.mask) for one, other in zip(found, again, strict=True))
    other = source_named(f"sam:{tmp_path}").find(Scene(open_photo(picture).samples, diagnosed((150, 250))), Prompt())
    assert all(np.array_equal(one.mask, two.mask) for one, two in zip(found, other, strict=True))


def test_what_the_network_is_sure_of_counts_in_full_and_its_doubts_are_the_feather(tmp_path: Path) -> None:
    """Red that rises slowly: by the network's own logits the thing ends over 25 px, and where that is is known."""
    red = np.linspace(90, 200, 320)
    picture = np.full((96, 320, 3), 90, np.uint8)
    picture[..., 0] = np.rint(red)
    mask = select(picture, at(2, 48), diagnosis=diagnosed((96, 320)), sources=[named(tmp_path)]).mask[48]
    sure = 1 / (1 + np.exp(-40 * (1.6 - (red - red[2]) / 58.395)))
    assert (mask[sure > 0.99] == 1).all() and not mask[sure < 0.01].any()
    assert np.abs(mask - sure).max() < 0.2 and ((mask > 0.1) & (mask < 0.9)).sum() >= 10
    assert (np.diff(mask) <= 1e-3).all()


def test_what_the_network_doubts_is_no_thing(tmp_path: Path) -> None:
    picture, *_ = things(120, 200)
    scene = Scene(open_photo(picture).samples, diagnosed((120, 200)))
    assert named(tmp_path, quality=0.5).find(scene, Prompt()) == []


@pytest.mark.parametrize("size", [(120, 200), (200, 120), (301, 500)])
def test_a_detector_that_takes_no_prompts_is_asked_for_what_it_found(size: tuple[int, int], tmp_path: Path) -> None:
    picture, disc, corner = things(*size)
    source = source_named(f"sam:{fastsam(tmp_path / 'fastsam.onnx')}")
    height, width = size
    box = Prompt(box=(0.0, 0.0, width, height))
    both = Prompt(points=((0.3 * width, 0.4 * height, True), (0.8 * width, 0.8 * height, False)))
    for prompt, thing, sure in (
        (at(0.3 * width, 0.4 * height), disc, 0.9), (at(0.8 * width, 0.8 * height), corner, 0.7), (box, disc, 0.9),
        (both, disc, 0.9), (at(0.3 * width, 0.4 * height, False), corner, 0.7),
    ):  # fmt: skip
        found = select(picture, prompt, diagnosis=diagnosed(size), sources=[source])
        assert iou(found.mask > 0.5, thing) > 0.97 and found.confidence == pytest.approx(sure)
    nothing = select(picture, at(2, height - 2), diagnosis=diagnosed(size), sources=[source])
    assert nothing.missing and not nothing.mask.any()
    every = source.find(Scene(open_photo(picture).samples, diagnosed(size)), Prompt())
    assert [round(one.confidence, 1) for one in every] == [0.9, 0.7], "a score of 0.7 is no predicted IoU of 0.7"
    for one, thing in zip(every, (disc, corner), strict=True):
        assert iou(one.mask > 0.5, of_size(one.mask, thing)) > 0.96


def test_what_a_detector_found_is_missed_by_no_grid(tmp_path: Path) -> None:
    """It is told what there is by itself: a thing of which no point is on the grid is there all the same."""
    picture, disc, _ = things(300, 500)
    source = source_named(f"sam:{fastsam(tmp_path / 'fastsam.onnx')}")
    sparse = Sam("sam:sparse", source.network, grid=1)  # type: ignore[attr-defined]
    found = sparse.find(Scene(open_photo(picture).samples, diagnosed((300, 500))), Prompt())
    assert len(found) == 2 and iou(found[0].mask > 0.5, of_size(found[0].mask, disc)) > 0.96


@pytest.mark.parametrize(("quality", "sam", "sam_2"), [(0.9, 3, 3), (0.82, 0, 3), (0.7, 0, 0)])
def test_each_kind_has_the_floor_of_its_own_authors(quality: float, sam: int, sam_2: int, tmp_path: Path) -> None:
    picture, *_ = things(120, 200)
    scene = Scene(open_photo(picture).samples, diagnosed((120, 200)))
    assert len(named(tmp_path / "one", quality=quality).find(scene, Prompt())) == sam
    assert len(named(tmp_path / "two", quality=quality, fine=True).find(scene, Prompt())) == sam_2


def test_detectors_of_another_kind_are_refused(tmp_path: Path) -> None:
    picture, *_ = things(80, 90)
    source = source_named(f"sam:{fastsam(tmp_path / 'many.onnx', classes=80)}")
    with pytest.raises(ToolFailed, match="one class"):
        select(picture, at(20, 20), diagnosis=diagnosed((80, 90)), sources=[source])
    with pytest.raises(UsageError, match=r"blur\.onnx takes"):
        source_named(f"sam:{blur(tmp_path / 'blur.onnx')}")


def test_words_are_none_of_its_business(tmp_path: Path) -> None:
    source = named(tmp_path)
    assert not source.knows(Prompt("sky")) and source.knows(Prompt()) and source.knows(at(1, 2))
    assert isinstance(source, MaskSource) and len(source.weights) == 2
    with pytest.raises(UsageError, match="sky"):
        select(things(80, 90)[0], "sky", diagnosis=diagnosed((80, 90)), sources=[source])
    with pytest.raises(UsageError, match="at 1,2"):
        select(things(80, 90)[0], at(1, 2), diagnosis=diagnosed((80, 90)))


@pytest.mark.parametrize(
    "prompt", [at(91, 2), at(5, -1), Prompt(box=(0, 0, 91, 80)), Prompt(box=(40, 10, 20, 30))], ids=str
)
def test_points_and_boxes_lie_in_the_photo(prompt: Prompt, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        select(things(80, 90)[0], prompt, diagnosis=diagnosed((80, 90)), sources=[named(tmp_path)])


# regions


def test_regions_are_the_things_and_keep_their_names(tmp_path: Path) -> None:
    picture, disc, _ = things(150, 250)
    samples = open_photo(picture).samples
    whole = {samples.shape[:2]: {"noise": disc}}
    seen = Outlined(named(tmp_path), lambda given: diagnosed(given.shape[:2], **whole.get(given.shape[:2], {})))
    one = seen(samples)
    assert [region.id for region in one.regions] == ["r1", "r2", "r3"]
    assert {region.source for region in one.regions} == {"sam"}
    assert np.allclose(sum(region.mask for region in one.regions), 1)
    worst = one.regions[0]
    assert iou(worst.mask > 0.5, mask_cells(disc) > 0.5) > 0.9 and worst.severities["noise"] > 0.4
    assert all(not region.severities.get("noise", 0) > 0.1 for region in one.regions[1:])
    later = seen(samples // 2)
    assert all(a.mask is b.mask for a, b in zip(one.regions, later.regions, strict=True)), "drawn once"
    assert not seen(samples[:64, :64]).regions, "a crop has the perceiver's own"


def test_many_things_are_at_most_eight_regions() -> None:
    class Stripes:
        name, weights = "stripes", {}

        def knows(self, prompt: Prompt) -> bool:
            return prompt == Prompt()

        def find(self, scene: Scene, prompt: Prompt) -> list[Found]:
            masks = np.zeros((20, 160, 200), np.float32)
            for i, mask in enumerate(masks):
                mask[8 * i : 8 * i + 8] = 1
            return [Found(mask, 1.0) for mask in masks]

    where = np.zeros((160, 200), np.bool_)
    where[96:112] = True
    seen = Outlined(Stripes(), lambda given: diagnosed((160, 200), haze=where))
    regions = seen(np.zeros((160, 200, 3), np.uint16)).regions
    assert len(regions) == 8 and np.allclose(sum(region.mask for region in regions), 1)
    assert [bool(region.severities) for region in regions] == [True] * 2 + [False] * 6


def test_cells_take_what_lies_in_them() -> None:
    rng = np.random.default_rng(0)
    for size in ((37, 52), (8, 8), (5, 90)):
        mask = rng.random(size).astype(np.float32)
        assert np.allclose(into_cells(mask[None], size)[0], mask_cells(mask), atol=1e-6)


def test_a_step_on_a_region_stays_inside_and_replays(tmp_path: Path) -> None:
    """Regions by a network keep their ids between looks, so that a record's plan means the same again."""
    picture, *_ = things(96, 160)
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
    photo = tmp_path / "photo.png"
    Image.fromarray(noisy).save(photo)
    colour_pair(tmp_path / "pair")
    spec = f"sam:{tmp_path / 'pair'}"
    found = conservator.diagnose(photo, regions=spec)
    step = next(r for r in found.regions if "noise" in r.severities)
    treatment = conservator.restore(photo, policy=ScriptedPolicy([Step("joint", ("noise",), (step.id,))]), regions=spec)
    outside = np.kron(step.mask, np.ones((8, 8)))[:96, :160] == 0
    assert not treatment.unchanged
    assert np.array_equal(treatment.photo.samples[outside], treatment.original.samples[outside])
    record = treatment.record.data
    assert record["call"]["regions"] == spec and {"encoder.onnx", "decoder.onnx"} <= record["models"].keys()
    assert {region["source"] for region in record["diagnosis"]["regions"]} == {"sam"}
    again = conservator.replay(treatment.record)
    assert np.array_equal(again.photo.samples, treatment.photo.samples)


def test_a_source_that_finds_nothing_by_itself_draws_no_regions() -> None:
    with pytest.raises(UsageError, match="vocabulary"):
        Outlined(VOCABULARY, look)


# what goes wrong


def test_files_that_are_no_such_pair(tmp_path: Path) -> None:
    encoder, decoder = colour_pair(tmp_path / "pair")
    swapped = source_named(f"sam:{decoder},{encoder}")
    assert swapped.weights == source_named(f"sam:{encoder},{decoder}").weights
    blur(tmp_path / "blur.onnx")
    (tmp_path / "none").mkdir()
    for name, says in (
        ("vocabulary", "sam:FOLDER"), ("sam:", "sam:FOLDER"), (f"sam:{tmp_path}", "blur.onnx takes"),
        (f"sam:{tmp_path / 'none'}", "0 .onnx files"), (f"sam:{encoder}", "encoder.onnx takes"),
        (f"sam:{encoder},{encoder}", "encoder.onnx takes"), (f"sam:{decoder},{decoder}", "decoder.onnx takes"),
        (f"sam:{encoder},{tmp_path / 'blur.onnx'}", "blur.onnx takes"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            source_named(name)
    for name in (f"sam:{tmp_path / 'absent'}", f"sam:{encoder},{tmp_path / 'absent.onnx'}"):
        with pytest.raises(ModelMissing):
            source_named(name)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    encoder, _ = colour_pair(tmp_path)
    encoder.write_bytes(encoder.read_bytes()[:-40])
    with pytest.raises(ModelMissing, match=r"encoder\.onnx cannot be loaded"):
        source_named(f"sam:{tmp_path}")


def test_nan_is_an_error_and_no_mask(tmp_path: Path) -> None:
    picture, *_ = things(80, 90)
    source = named(tmp_path, quality=float("nan"))
    with pytest.raises(ToolFailed, match="iou_predictions holds NaN"):
        select(picture, at(20, 20), diagnosis=diagnosed((80, 90)), sources=[source])


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    one = named(tmp_path)
    assert source_named(f"sam:{tmp_path}") is one
    other = named(tmp_path, quality=0.5)
    assert other.weights != one.weights


# the command line


def test_diagnose_outlines_what_a_point_shows(tmp_path: Path) -> None:
    picture, disc, _ = things(120, 200)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    colour_pair(tmp_path / "pair")
    source = ["--regions", f"sam:{tmp_path / 'pair'}"]
    done = run("diagnose", tmp_path / "photo.png", *source, "--point", "60,48", "--masks", tmp_path / "disc.png")
    assert done.exit_code == 0, done.output
    assert "at 60,48" in done.output
    mask = np.asarray(Image.open(tmp_path / "disc.png")) > 32767
    assert iou(mask, disc) > 0.97
    every = run("diagnose", tmp_path / "photo.png", *source, "--masks", tmp_path / "all.json")
    assert every.exit_code == 0, every.output
    for wrong in (["--point", "60,48"], [*source, "--point", "60"], [*source, "--point", "1,2", "--select", "sky"]):
        refused = run("diagnose", tmp_path / "photo.png", *wrong)
        assert refused.exit_code == 2, refused.output
