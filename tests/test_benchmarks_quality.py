"""Benchmarks of quality: what is known must come out as known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_pictures import clean_pictures, found, giving, nothing_found, picture, write_noise_pairs
from conservator.benchmarks import brackets, contact, noise_pairs, perception
from conservator.benchmarks.contest import damaged_pixels, judged, noticeable
from conservator.benchmarks.controls import one_pass, told, true_diagnosis
from conservator.benchmarks.draws import TRACKS, global_sample, spatial_sample
from conservator.benchmarks.measuring import BEST, compared, decibel
from conservator.benchmarks.photos import photographs, to_bytes, to_unit
from conservator.benchmarks.results import load_result, table, write_result
from conservator.benchmarks.spatialbench import run
from conservator.degradations import BY_NAME, INDEX, NAMES
from conservator.errors import InputError
from conservator.photo import open_photo, save
from conservator.session import Session
from conservator.synthesis import Sample
from conservator.tools.registry import Registry
from conservator.tools.testing import FakeTool
from conservator.treatment import Treatment


@pytest.fixture
def clean_folder(tmp_path: Path) -> Path:
    return clean_pictures(tmp_path / "clean", 3)


# what is inflicted and measured


def test_damage_depends_on_seed_and_photo_alone() -> None:
    clean = to_unit(picture())
    first, again, other = (spatial_sample(clean, 3, i, TRACKS["treatable"]) for i in (5, 5, 6))
    assert np.array_equal(first.degraded, again.degraded) and np.array_equal(first.truth, again.truth)
    assert not np.array_equal(first.degraded, other.degraded)
    everything = spatial_sample(clean, 3, 5)
    assert all(np.array_equal(a, b) for a, b in zip(first.regions, everything.regions, strict=True))
    assert {d.kind for d in first.damages} <= set(TRACKS["treatable"])


def test_global_damage_is_everywhere() -> None:
    sample = global_sample(to_unit(picture()), 0, 0)
    assert not sample.untouched.any() and sample.regions == ()
    assert 1 <= len(sample.damages) <= 2


def test_equal_pictures_count_a_finite_number() -> None:
    same = picture()
    assert decibel(same, same) == BEST
    assert compared(picture(1), same, same)["gain_db"] > 0
    assert math.isfinite(compared(same, same, same)["gain_db"])


def mixed_sample() -> Sample:
    candidates = (spatial_sample(to_unit(picture(i)), 1, i, TRACKS["treatable"]) for i in range(20))
    return next(s for s in candidates if len(noticeable(s)) >= 2 and s.untouched.mean() > 0.15)


def test_a_touched_clean_pixel_shows() -> None:
    sample = mixed_sample()
    before = to_bytes(sample.degraded)
    assert judged(sample, before)["identical_percent"] == 100.0
    assert judged(sample, before)["gain_db"] == 0.0
    y, x = np.argwhere(sample.untouched > 0)[0]
    touched = before.copy()
    touched[y, x, 0] ^= 1
    identical = judged(sample, touched)["identical_percent"]
    assert identical < 100.0
    assert judged(sample, to_bytes(sample.clean))["gain_db"] > 10


def test_gain_inside_counts_only_where_that_kind_is() -> None:
    sample = mixed_sample()
    kind = noticeable(sample)[0]
    mask = damaged_pixels(sample, kind)
    healed = np.where(mask[..., None] > 0, to_bytes(sample.clean), to_bytes(sample.degraded))
    inside = judged(sample, healed)["inside_db"]
    assert inside[kind] == max(inside.values()) > 10
    assert mask.shape == sample.clean.shape[:2] and 0 < mask.mean() < 1


# controls


def test_the_true_diagnosis_treats_nothing_that_nobody_sees() -> None:
    truth = np.zeros((len(NAMES), 12, 16), np.float32)
    noise = BY_NAME["noise"].threshold
    truth[INDEX["noise"], :6], truth[INDEX["noise"], 6:] = 0.9 * noise, 1.1 * noise
    diagnosis = true_diagnosis(truth, open_photo(picture()).samples)
    assert not diagnosis.cells("noise")[:6].any()
    assert (diagnosis.cells("noise")[6:] == np.float32(1.1 * noise)).all()
    assert set(np.unique(diagnosis.presence)) == {0.0, 1.0}


def test_being_told_one_half_leaves_the_other_half_to_the_perceiver() -> None:
    samples = open_photo(picture()).samples
    truth = np.full((len(NAMES), 12, 16), 0.8, np.float32)
    guess = np.full_like(truth, 0.3)
    mixed = told(truth, ("haze",), lambda seen: found(guess, seen))(samples)
    assert (mixed.cells("haze") == np.float32(0.8)).all()
    assert (mixed.cells("noise") == np.float32(0.3)).all()
    alone = told(truth, ("haze",))(samples)
    assert alone.degradations == ("haze",)
    assert (guess == np.float32(0.3)).all(), "the perceiver's own maps were written over"


def test_one_pass_runs_every_tool_once_and_takes_nothing_back() -> None:
    maps = np.full((len(NAMES), 12, 16), 0.5, np.float32)
    harmful = FakeTool("harmful", treats=("haze",), gain=0.0)
    tools = Registry([harmful, FakeTool("local", treats=("noise", "jpeg"), gain=1.0)])
    session = Session(open_photo(picture()), tools=tools, perceiver=lambda seen: found(maps, seen))
    one_pass(session)
    assert [(step.tool, step.treats) for step in session.steps] == [
        ("local", ("noise", "jpeg")),
        ("harmful", ("haze",)),
    ]
    assert session.budget.calls == 2


def test_one_pass_survives_a_broken_tool() -> None:
    maps = np.full((len(NAMES), 12, 16), 0.5, np.float32)
    tools = Registry([FakeTool("broken", treats=("noise",), fault="nan"), FakeTool("sound", treats=("haze",))])
    session = Session(open_photo(picture()), tools=tools, perceiver=lambda seen: found(maps, seen))
    one_pass(session)
    assert [step.tool for step in session.steps] == ["sound"]


# SpatialBench


def rivals() -> dict[str, Callable[[Sample], Treatment]]:
    """Policies whose worth is known: the truth, the input, and a photograph thrown away."""
    return {
        "true_maps": lambda s, scale: giving(lambda _: to_bytes(s.clean))(to_bytes(s.degraded)),
        "one_pass": lambda s, scale: giving(lambda before: before)(to_bytes(s.degraded)),
        "spatial": lambda s, scale: giving(lambda before: 255 - before)(to_bytes(s.degraded)),
    }


def without_seconds(rows: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def test_spatialbench_ranks_what_is_known(clean_folder: Path, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    photos = photographs(clean_folder)
    result = run(photos, seed=1, among=rivals(), pictures=tmp_path / "sheets", on_row=seen.append)
    assert len(result.rows) == len(seen) == 2 * 3 * 4
    policies = {row["policy"]: row for row in result.summary["treatable: policies"]}
    assert policies["true_maps"]["psnr_db"] == BEST and policies["true_maps"]["worse_percent"] == 0.0
    assert policies["input"]["gain_db"] == policies["one_pass"]["gain_db"] == 0.0
    assert policies["spatial"]["worse_percent"] == policies["spatial"]["below_0_percent"] == 100.0
    identical = {name: row["identical_in_clean_percent"] for name, row in policies.items()}
    assert identical == {"input": 100.0, "one_pass": 100.0, "true_maps": 100.0, "spatial": 0.0}
    owed = {row["what"]: row["mean_db"] for row in result.summary["treatable: where the gain is lost"]}
    assert owed["perception, all of it"] == pytest.approx(policies["true_maps"]["gain_db"])
    assert owed["looking again and taking back"] < 0
    kinds = result.summary["treatable: kind by kind, true_maps"]
    assert all(row["gain_inside_db"] > 10 and row["missed_percent"] == 100.0 for row in kinds if row["photos"])
    assert {path.name for path in (tmp_path / "sheets" / "all").iterdir()} == {"0.png", "1.png", "2.png"}
    again = run(photos, seed=1, among=rivals())
    assert without_seconds(again.rows) == without_seconds(result.rows)


def test_spatialbench_fits_the_report_format(clean_folder: Path, tmp_path: Path) -> None:
    result = run(photographs(clean_folder, 1), among=rivals(), tracks={"treatable": TRACKS["treatable"]})
    text = table(load_result(write_result("spatialbench", result, seed=0, path=tmp_path / "s.json", command="cmd")))
    assert "**treatable: policies**" in text and "| true_maps | 1 | 100.00 |" in text


def test_kinds_wrongly_treated_are_counted_among_photos_without_them() -> None:
    from conservator.benchmarks.spatialsummary import kinds

    with_rain = {"inflicted": ["rain"], "traces": ["rain"], "treated": [], "inside_db": {"rain": 0.0}}
    traces = {"inflicted": [], "traces": ["rain"], "treated": ["rain"], "inside_db": {}}
    without = {"inflicted": [], "traces": [], "treated": ["rain"], "inside_db": {}}
    (row,) = kinds([with_rain, traces, without, without | {"treated": []}])
    assert (row["photos"], row["missed_percent"]) == (1, 100.0)
    assert (row["photos_without"], row["wrongly_treated_percent"]) == (2, 50.0)


# perception


def test_a_perfect_perceiver_gets_perfect_marks(clean_folder: Path) -> None:
    photos = photographs(clean_folder)
    clean = [to_unit(np.asarray(open_photo(p).samples // 257, np.uint8)) for p in photos]
    samples = iter([make(c, 2, i) for make in (spatial_sample, global_sample) for i, c in enumerate(clean)])
    result = perception.run(photos, seed=2, perceiver=lambda seen: true_diagnosis(next(samples).truth, seen))
    rows = [row for title, part in result.summary.items() if "kind by kind" in title for row in part]
    assert rows
    for row in rows:
        assert row["auc"] in (None, 1.0) and row["mean_error"] == 0.0 and row["calibration_error"] == 0.0
        assert row["treated_of_present_percent"] == 100.0 and row["treated_of_absent_percent"] in (None, 0.0)
        assert row["map_iou"] == 1.0 and row["within_deviation_percent"] == 100.0


def test_a_blind_perceiver_gets_no_marks(clean_folder: Path) -> None:
    result = perception.run(photographs(clean_folder, 2), perceiver=nothing_found)
    for row in result.summary["spatial damage, kind by kind"]:
        assert row["auc"] in (None, 0.5) and row["treated_of_present_percent"] == 0.0 and row["map_iou"] == 0.0
        assert row["mean_error"] > 0
    assert result.summary["regions against the true partition"][0]["region_iou"] == 0.0


# real pairs and brackets


@pytest.fixture
def noise_folder(tmp_path: Path) -> Path:
    return write_noise_pairs(tmp_path)


def test_a_harmed_noise_pair_is_named(noise_folder: Path) -> None:
    harmed = np.asarray(open_photo(noise_folder / "noisy" / "1.png").samples // 257, np.uint8)
    treat = giving(lambda before: 255 - before if np.array_equal(before, harmed) else before)
    ways = {"nothing": treat, "remove the noise": giving(lambda before: before)}
    row, untouched = noise_pairs.run(noise_folder, ways=ways).summary["camera noise"]
    assert (row["worst"], row["harmed"], row["photos"]) == ("1", 1, 3)
    assert row["below_0_percent"] == pytest.approx(100 / 3) and row["untreated_percent"] == 100.0
    assert (untouched["asked"], untouched["harmed"], untouched["gain_db"]) == ("remove the noise", 0, 0.0)


def test_a_noise_pair_without_partner_is_refused(noise_folder: Path) -> None:
    (noise_folder / "clean" / "2.png").unlink()
    with pytest.raises(InputError, match="2 is in one"):
        noise_pairs.pairs(noise_folder)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for seed in range(2):
        scene = tmp_path / f"{seed:03d}"
        scene.mkdir()
        reference = picture(seed)
        save(open_photo(reference), scene / "reference.png")
        for factor in (0.3, 1.0, 1.7):
            exposed = to_bytes(to_unit(reference) * np.float32(factor))
            save(open_photo(exposed), scene / f"luma{round(float(exposed.mean())):03d}.png")
    return tmp_path


def test_brackets_compare_with_the_classics_exposure_by_exposure(scenes: Path) -> None:
    exposed = [e.exposed for e in brackets.exposures(scenes)]
    assert sorted(exposed) == ["bright"] * 2 + ["dark"] * 2 + ["near"] * 2
    result = brackets.run(scenes, treat=giving(lambda before: before))
    overall = {row["method"]: row for row in result.summary["all exposures (interval over scenes)"]}
    assert set(overall) == {brackets.OURS, "gamma 2.2", "CLAHE"}
    assert overall[brackets.OURS]["gain_db"] == 0.0
    parts = {(row["exposed"], row["method"]): row for row in result.summary["by exposure"]}
    assert parts["dark", "gamma 2.2"]["gain_db"] > 3, "gamma 2.2 must brighten what is dark"
    assert parts["near", "gamma 2.2"]["worse_percent"] == 100.0


def test_gamma_darkens_what_is_bright() -> None:
    bright = np.full((8, 8, 3), 200, np.uint8)
    assert brackets.gamma(bright).max() < 200
    assert brackets.clahe(bright).shape == bright.shape


def test_a_scene_without_reference_is_refused(scenes: Path) -> None:
    (scenes / "001" / "reference.png").unlink()
    with pytest.raises(InputError, match="0 references"):
        brackets.exposures(scenes)
    (scenes / "000" / "luma1x.png").write_bytes((scenes / "000" / "reference.png").read_bytes())
    with pytest.raises(InputError, match="no exposure"):
        [e.exposed for e in brackets.exposures(scenes, 1)]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        photographs(tmp_path)
    with pytest.raises(InputError):
        photographs(tmp_path / "nowhere")


def test_a_contact_sheet_holds_every_photograph(clean_folder: Path, tmp_path: Path) -> None:
    told_of: list[dict[str, Any]] = []
    treat = giving(lambda before: 255 - before)
    sheet = contact.run(
        photographs(clean_folder), tmp_path / "sheet.png", treat=treat, width=400, on_row=told_of.append
    )
    assert [row["photo"] for row in told_of] == ["0.png", "1.png", "2.png"]
    height, width = open_photo(sheet).size
    assert width == 400 and height > 3 * 96
