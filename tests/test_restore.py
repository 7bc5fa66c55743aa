"""The public call with the shipped networks, end to end."""

import io
import json

import numpy as np
import pytest
from landscape import landscape
from PIL import Image

import conservator
from conservator import InputError, Record, UsageError, diagnose, replay, restore, treat
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy
from conservator.quality.reference import psnr
from conservator.synthesis import Damage, degrade

HALF = np.zeros((240, 320), np.float32)
HALF[:, 176:] = 1.0


@pytest.fixture(scope="module")
def mixed():
    """Noise and compression in the right half, the left one clean."""
    damages = [Damage("noise", {"sigma": 30.0}, 1, HALF), Damage("jpeg", {"quality": 20}, 2, HALF)]
    return degrade(landscape(240, 320), damages)


@pytest.fixture(scope="module")
def photo(mixed):
    return np.rint(mixed.degraded * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def treatment(photo):
    # The landscape's own horizon is hazy: that is for SpatialBench to judge, not for these tests.
    return restore(photo, instruction="remove the noise, remove the compression")


def test_an_unevenly_damaged_photo_gets_better(mixed, treatment):
    assert psnr(treatment.pixels, mixed.clean) > psnr(mixed.degraded, mixed.clean) + 1.0
    assert not treatment.unchanged
    assert {"noise", "jpeg"} & set(treatment.diagnosis.degradations)


def test_a_clean_region_comes_back_to_the_byte(photo, treatment):
    after = np.rint(treatment.pixels * 255).astype(np.uint8)
    assert np.array_equal(after[:, :144], photo[:, :144])


def test_a_clean_photo_comes_back_as_the_same_file(tmp_path):
    path = tmp_path / "clean.png"
    Image.fromarray(np.rint(landscape(120, 160) * 255).astype(np.uint8)).save(path, pnginfo=None)
    result = restore(path)
    if result.diagnosis.clean:
        assert result.unchanged
    flat = tmp_path / "flat.png"
    Image.new("RGB", (300, 200), (90, 120, 200)).save(flat)
    result = restore(flat)
    assert result.unchanged
    assert result.save(tmp_path / "out.png").read_bytes() == flat.read_bytes()
    assert result.record.data["budget"]["calls"] == 0


def test_a_record_replays_to_the_same_samples(tmp_path, photo):
    path = tmp_path / "street.png"
    Image.fromarray(photo).save(path)
    first = restore(path, instruction="remove the noise", strength=0.8)
    file = tmp_path / "record.json"
    file.write_text(first.record.to_json(), encoding="utf-8")
    again = replay(file)
    assert np.array_equal(again.photo.samples, first.photo.samples)
    assert first.record.data["output"]["sha256"] == again.record.data["output"]["sha256"]
    other = tmp_path / "other.png"
    Image.fromarray(photo[::-1].copy()).save(other)
    with pytest.raises(InputError):
        replay(file, other)


def test_a_tool_for_local_damage_is_looked_for_in_no_frame_and_does_the_same(photo):
    first = treat(photo, "denoise")
    full = restore(photo, policy=ScriptedPolicy([Step("denoise", ("noise",))]))
    assert np.array_equal(first.photo.samples, full.photo.samples) and not first.unchanged
    assert np.array_equal(replay(first.record, photo).photo.samples, first.photo.samples)
    assert "haze" not in first.diagnosis.degradations and not first.diagnosis.cells("haze").any()


def test_a_plan_with_places_replays_from_the_same_masks_only(tmp_path, photo):
    mask = np.zeros((240, 320), np.uint8)
    mask[:120] = 255
    Image.fromarray(mask).save(tmp_path / "sky.png")
    plan = ScriptedPolicy([Step("joint", ("jpeg", "noise"), ("sky",))])
    told = {"policy": plan, "instruction": "remove the noise, remove the compression"}
    first = restore(photo, **told, places={"sky": tmp_path / "sky.png"})
    changed = (first.photo.samples != first.original.samples).any(axis=2)
    assert changed[:120].any() and not changed[120:].any()
    assert np.array_equal(replay(first.record, photo).photo.samples, first.photo.samples)
    unnamed = restore(photo, **told, places={"sky": mask})
    with pytest.raises(UsageError, match="sky"):
        replay(unnamed.record, photo)
    assert replay(unnamed.record, photo, places={"sky": mask}).record.data["output"] == first.record.data["output"]
    with pytest.raises(InputError):
        replay(unnamed.record, photo, places={"sky": mask[::-1]})
    for wrong in ({"sky": None}, {"sky": []}, {"sky": [1]}, [1]):
        data = unnamed.record.to_dict()
        with pytest.raises(InputError, match="something else"):
            Record.from_dict({**data, "call": {**data["call"], "places": wrong}})


def test_a_record_replays_with_as_many_threads_as_it_was_made_with(photo):
    made = restore(photo, instruction="remove the noise", threads=1).record
    assert replay(made, photo).record.data["call"]["threads"] == 1
    foreign = {**made.data, "call": made.data["call"] | {"threads": 64}, "output": {"sha256": "0" * 64}}
    with pytest.raises(UsageError, match="64 cores"):
        replay(Record(foreign), photo)
    unsaid = {**foreign, "call": foreign["call"] | {"threads": None}}
    with pytest.raises(UsageError, match="replay gave"):
        replay(Record(unsaid), photo)


def test_a_record_says_everything_and_is_json(treatment):
    data = json.loads(treatment.record.to_json())
    assert data["schema"] == 1
    assert len(data["input"]["sha256"]) == 64
    assert set(data["models"]) >= {"perceiver_local", "perceiver_frame"}
    assert [e["seq"] for e in data["events"]] == list(range(len(data["events"])))
    assert data["plan"], "the damaged photo was treated"
    assert {"perceive", "tools"} <= set(data["timings"])
    assert Record.from_dict(data).to_dict() == data


def test_a_mask_protects_to_the_byte(photo):
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:120] = 255
    after = np.rint(restore(photo, mask=mask).pixels * 255).astype(np.uint8)
    assert np.array_equal(after[120:], photo[120:])
    assert not np.array_equal(after[:120], photo[:120])
    first = restore(photo, mask=mask)
    assert np.array_equal(replay(first.record, photo, mask).photo.samples, first.photo.samples)
    with pytest.raises(UsageError, match="pass mask"):
        replay(first.record, photo)
    with pytest.raises(InputError, match="mask"):
        replay(first.record, photo, 255 - mask)
    with pytest.raises(UsageError, match="resize the mask"):
        restore(photo, mask=mask[:100])


def test_instruction_strength_and_budget(photo):
    assert restore(photo, instruction="keep the noise, keep the compression, keep the haze").unchanged
    assert restore(photo, strength=0.0).unchanged
    stopped = restore(photo, max_calls=0)
    assert stopped.unchanged
    assert "max_calls" in stopped.record.data["events"][-1]["reason"]


def test_tiles_do_not_show(photo):
    small, large = (restore(photo, tile=t).pixels for t in (64, 512))
    assert np.abs(small - large).max() < 1 / 255


def test_one_tool_alone(photo):
    result = treat(photo, "joint")
    assert [s["tool"] for s in result.record.data["plan"]] == ["joint"]
    assert not result.unchanged
    with pytest.raises(UsageError, match="did you mean joint"):
        treat(photo, "jiont")


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (13, 5), (9, 16, 1), (31, 40, 4), (40, 31, 2)])
def test_any_shape_works(shape):
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    result = restore(image)
    assert result.photo.size == shape[:2]
    assert result.after.size == shape[:2]


def test_sixteen_bits_and_transparency_survive(tmp_path):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 65535, (64, 80, 4), dtype=np.uint16)
    result = restore(image)
    path = result.save(tmp_path / "out.png")
    again = conservator.open_photo(path)
    assert again.depth == 16
    assert np.array_equal(again.alpha, image[..., 3])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"policy": "magic"}, UsageError),
        ({"scale": 5}, UsageError),
        ({"strength": 3.0}, UsageError),
        ({"strength": float("nan")}, UsageError),
        ({"instruction": "make it pop"}, UsageError),
        ({"threads": 0}, UsageError),
    ],
)
def test_wrong_calls_are_named(photo, arguments, error):
    with pytest.raises(error):
        restore(photo, **arguments)


def test_bad_input_is_named():
    with pytest.raises(InputError):
        diagnose(b"not a picture")
    with pytest.raises(InputError):
        restore(io.BytesIO(b""))
