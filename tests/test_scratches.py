"""Scratches: fills go on where the picture went on, what no mark covers stays to the byte, nothing happens unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_pictures import clean_pictures, nothing_found
from conservator.benchmarks import scratches as bench
from conservator.benchmarks.photos import photographs, to_bytes, to_unit
from conservator.errors import UsageError
from conservator.pixels.inpainting import DEEPEST, filled, grain
from conservator.pixels.types import Pixels
from conservator.plan import Step
from conservator.policies import POLICIES
from conservator.policies.scripted import ScriptedPolicy
from conservator.synthesis import Damage, apply, degrade
from conservator.synthesis.ageing import MARKS
from conservator.treatment import Treatment, replay, restore
from scenes import scene

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Hole = np.ndarray[Any, np.dtype[np.bool_]]
MARRED = {"density": 300.0, "width": 2.5, "opacity": 1.0, "light": 1.0}


def lines(shape: tuple[int, int]) -> Hole:
    """Two thin strokes and a speck."""
    hole = np.zeros(shape, np.bool_)
    hole[20:23, 10:90] = True
    hole[40:90, 60:62] = True
    hole[70:75, 20:26] = True
    return hole


def smooth(shape: tuple[int, int] = (96, 128)) -> Pixels:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / 128
    return np.stack([0.2 + 0.5 * x, 0.7 - 0.4 * y, 0.3 + 0.3 * x * y], axis=2).astype(np.float32)


def asked(photo: Any, mask: Any = None, *, tile: int | None = None, **options: Any) -> Treatment:
    """What `treat` does, without a look before and after."""
    script = ScriptedPolicy([Step("scratches", ("scratches",), options=options)])
    return restore(photo, policy=script, mask=mask, perceiver=nothing_found, tile=tile)


@pytest.fixture(scope="module")
def marred() -> tuple[Bytes, Bytes]:
    """A scene and the same, scratched."""
    sample = degrade(scene(192, 256, 3), [Damage("scratches", MARRED, 5)])
    return to_bytes(sample.clean), to_bytes(sample.degraded)


# synthesis


@pytest.mark.parametrize("kind", MARKS)
def test_every_kind_of_mark_hides_what_its_truth_says_and_nothing_else(clean: Pixels, kind: str) -> None:
    damage = Damage("scratches", MARRED | {"kinds": (kind,)}, 1)
    damaged, hidden = damage.inflict(clean)
    assert 0 < (hidden > 0.5).mean() < 0.4 and hidden.min() >= 0 and hidden.max() <= 1
    assert np.array_equal(damaged[hidden == 0], clean[hidden == 0])
    assert np.abs(damaged - clean).max(axis=2)[hidden > 0.9].mean() > 0.1
    again, _ = damage.inflict(clean)
    assert np.array_equal(again, damaged)
    assert not np.array_equal(Damage("scratches", damage.parameters, 2).inflict(clean)[0], damaged)


def test_width_and_opacity_mean_what_they_say(clean: Pixels) -> None:
    def hidden(**changes: Any) -> Any:
        return Damage("scratches", MARRED | {"softness": 0.0} | changes, 4).inflict(clean)[1]

    assert hidden(width=4.0).mean() > 1.5 * hidden(width=1.5).mean()
    assert hidden(opacity=0.5).max() <= 0.51 < 0.95 < hidden().max()
    assert hidden(density=600.0).mean() > hidden(density=60.0).mean()


def test_marks_lie_on_the_scanned_picture_with_their_own_map(clean: Pixels) -> None:
    _, truth = apply(clean, [Damage("scratches", MARRED, 1)])
    assert truth[-1].max() > 0.2 and not truth[:-1].any()


# filling


def test_a_thin_hole_in_a_smooth_picture_is_filled_as_it_was() -> None:
    pixels, hole = smooth(), lines((96, 128))
    broken = np.where(hole[..., None], 1, pixels).astype(np.float32)
    result = filled(broken, hole)
    assert np.abs(result - pixels)[hole].max() < 0.01
    assert np.array_equal(result[~hole], pixels[~hole])


def test_grain_runs_on_and_edges_are_not_mirrored() -> None:
    rng, hole = np.random.default_rng(0), lines((96, 128))
    grainy = np.clip(smooth() + 0.03 * rng.standard_normal((96, 128, 3)), 0, 1).astype(np.float32)
    added = grain(np.where(hole[..., None], 1, grainy).astype(np.float32), hole)
    assert not added[~hole].any()
    assert 0.015 < added[hole].std() < 0.035
    edge = np.zeros((64, 64, 3), np.float32)
    edge[:, 32:] = 1
    cut = np.zeros((64, 64), np.bool_)
    cut[30:33] = True
    assert np.abs(grain(edge, cut)).max() < 0.02


# the tool


def test_a_drawn_mask_is_filled_and_all_else_stays_to_the_byte() -> None:
    truth, hole = to_bytes(smooth()), lines((96, 128))
    before = np.where(hole[..., None], np.uint8(250), truth)
    after = to_bytes(asked(before, hole, find=False).pixels)
    assert np.array_equal(after[~hole], before[~hole])
    assert np.abs(after.astype(int) - truth)[hole].max() <= 3


def test_a_mask_too_wide_to_be_a_scratch_is_refused() -> None:
    hole = np.zeros((96, 128), np.bool_)
    hole[: 3 * DEEPEST, : 3 * DEEPEST] = True
    with pytest.raises(UsageError, match=r"hole \d+ px wide.*mark scratches only"):
        asked(to_bytes(smooth()), hole, find=False)
    with pytest.raises(UsageError, match="hole"):
        asked(to_bytes(smooth()), find=False)


def test_marks_are_found_and_a_picture_without_any_stays_as_it_is(marred: tuple[Bytes, Bytes]) -> None:
    clean, before = marred
    case = bench.Case("x", before, clean)
    after = to_bytes(asked(before).pixels)
    inside = bench._inside(case, after)
    assert inside["gain_inside_db"] > 4.0 and inside["harm_outside_levels"] < 0.5
    assert asked(clean).unchanged
    told = bench._inside(case, to_bytes(asked(before, case.marred, find=False).pixels))
    assert told["gain_inside_db"] > max(6.0, inside["gain_inside_db"]) and told["harm_outside_levels"] == 0


def test_tiles_do_not_show(marred: tuple[Bytes, Bytes]) -> None:
    whole, tiled = (asked(marred[1], tile=tile).photo.samples.astype(int) for tile in (512, 64))
    assert np.abs(whole - tiled).max() <= 3 * 257, "three of 255 levels: a fill ends where its tile ends"


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 9), (33, 17)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_of_any_size_stay_as_they_are(shape: tuple[int, int], value: int) -> None:
    assert asked(np.full((*shape, 3), value, np.uint8)).unchanged


def test_strength_fades_the_repair(marred: tuple[Bytes, Bytes]) -> None:
    before = to_unit(marred[1])
    script = ScriptedPolicy([Step("scratches", ("scratches",))])
    full, half = (
        restore(marred[1], policy=script, strength=s, perceiver=nothing_found).pixels - before for s in (1.0, 0.5)
    )
    assert np.abs(half - full / 2).max() < 1e-3 < np.abs(full).max()


# asked for in words


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"oracle", "llm"}))
def test_every_policy_leaves_marks_unless_they_are_named(marred: tuple[Bytes, Bytes], policy: str) -> None:
    assert restore(marred[1], policy=policy, perceiver=nothing_found).unchanged
    named = restore(marred[1], policy=policy, instruction="remove the scratches", perceiver=nothing_found)
    repaired = [step["tool"] for step in named.record.data["plan"]] == ["scratches"]
    assert repaired or named.record.data["cannot_treat"], policy


@pytest.mark.parametrize("words", ["remove dust and scratches", "restore the photo, remove the cracks", "去除划痕"])
def test_words_call_the_tool_and_the_record_replays(marred: tuple[Bytes, Bytes], words: str) -> None:
    treatment = restore(marred[1], instruction=words, perceiver=nothing_found)
    assert np.array_equal(treatment.photo.samples, asked(marred[1]).photo.samples)


def test_places_are_kept_to(marred: tuple[Bytes, Bytes]) -> None:
    after = to_bytes(restore(marred[1], instruction="去划痕，但不要动左边", perceiver=nothing_found).pixels)
    assert np.array_equal(after[:, :120], marred[1][:, :120]) and not np.array_equal(after, marred[1])
    kept = restore(marred[1], instruction="keep the scratches", perceiver=nothing_found)
    assert kept.unchanged


def test_a_record_replays(marred: tuple[Bytes, Bytes], tmp_path: Path) -> None:
    from conservator.photo import open_photo, save

    save(open_photo(marred[1]), tmp_path / "old.png")
    treatment = restore(tmp_path / "old.png", instruction="remove the scratches")
    assert np.array_equal(replay(treatment.record).photo.samples, treatment.photo.samples)


# the benchmark


def test_the_benchmark_tells_a_repair_from_a_smear(tmp_path: Path) -> None:
    photos = photographs(clean_pictures(tmp_path / "clean", 2))
    contestants = {
        "input": lambda case: case.before,
        bench.OURS: lambda case: case.truth,
        "black": lambda case: np.zeros_like(case.before),
    }
    found = bench.run(photos, unmarred=photos[:1], contestants=contestants)
    lines = {row["method"]: row for row in found.summary["repairs"]}
    assert lines[bench.OURS]["psnr_inside_db"] == 100.0 and lines[bench.OURS]["harm_outside_levels"] == 0.0
    assert lines["input"]["gain_inside_db"] == 0.0 and lines["black"]["worse_percent"] == 100.0
    marks = {row["method"]: row for row in found.summary["found"]}
    assert marks[bench.OURS]["recall_percent"] == 100.0 == marks[bench.OURS]["precision_percent"]
    (alarms,) = found.summary["photographs without marks"]
    assert (alarms["photos"], alarms["photos_touched_percent"]) == (3, 0.0)
