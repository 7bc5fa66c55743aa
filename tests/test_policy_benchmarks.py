"""Benchmarks of policies: everybody on the same photographs, judged alike, and drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench_pictures import clean_pictures, giving, nothing_found, picture
from conservator.benchmarks import mixbench, plot, spatialbench
from conservator.benchmarks.commands import app
from conservator.benchmarks.contest import INPUT
from conservator.benchmarks.draws import TRACKS, before_enlarging, mixed_sample
from conservator.benchmarks.entrants import ABLATIONS, CONTROLS, STRATEGIES, chosen, entrants
from conservator.benchmarks.measuring import BEST
from conservator.benchmarks.photos import Bytes, photographs, to_bytes, to_unit
from conservator.benchmarks.results import load_result, table, write_result
from conservator.degradations import INDEX
from conservator.errors import InputError, UsageError
from conservator.policies import POLICIES
from conservator.quality.reference import gmsd
from conservator.synthesis import COMBINATIONS, Sample
from conservator.treatment import Treatment

EVERY = [(group, number) for group, some in COMBINATIONS.items() for number in range(len(some))]


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return photographs(clean_pictures(tmp_path / "clean", 2))


def rivals() -> dict[str, Callable[[Sample, int], Treatment]]:
    """The truth (of the first picture), the input, and a photograph thrown away."""
    truth = picture()

    def larger(before: Bytes, scale: int) -> Bytes:
        size = before.shape[1] * scale, before.shape[0] * scale
        return np.asarray(cv2.resize(before, size, interpolation=cv2.INTER_CUBIC), np.uint8) if scale > 1 else before

    def known(s: Sample, scale: int) -> Bytes:
        return truth[: scale * s.clean.shape[0], : scale * s.clean.shape[1]] if scale > 1 else to_bytes(s.clean)

    return {
        "oracle": lambda s, scale: giving(lambda _: known(s, scale))(to_bytes(s.degraded)),
        "spatial": lambda s, scale: giving(lambda before: larger(before, scale))(to_bytes(s.degraded)),
        "joint": lambda s, scale: giving(lambda before: 255 - larger(before, scale))(to_bytes(s.degraded)),
    }


# what is inflicted


def test_agenticirs_sixteen_combinations_are_inflicted_in_order_and_alike_every_time() -> None:
    clean = to_unit(picture())
    changed = []
    assert len(EVERY) == 16 and [len(some) for some in COMBINATIONS.values()] == [8, 4, 4]
    for group, number in EVERY:
        sample = mixed_sample(clean, 3, 5, (group, number))
        assert tuple(damage.kind for damage in sample.damages) == COMBINATIONS[group][number]
        assert not sample.untouched.any()
        again, other = (mixed_sample(clean, 3, index, (group, number)) for index in (5, 6))
        assert np.array_equal(sample.degraded, again.degraded)
        changed.append(not np.array_equal(sample.degraded, other.degraded))
    assert sum(changed) > 12, "other photographs get other damage, a few strengths excepted"


def test_low_resolution_enters_at_a_quarter_of_the_size_and_leaves_at_full_size() -> None:
    clean = to_unit(picture())
    sample = mixed_sample(clean, 0, 0, ("A", COMBINATIONS["A"].index(("rain", "low_resolution"))))
    assert sample.degraded.shape == clean.shape
    assert sample.truth[INDEX["low_resolution"]].min() == 1.0, "four times is the worst there is"
    quarter = cv2.resize(sample.without(["low_resolution"]), (32, 24), interpolation=cv2.INTER_CUBIC)
    back = cv2.resize(quarter, (128, 96), interpolation=cv2.INTER_CUBIC)
    assert np.abs(sample.degraded - np.clip(back, 0, 1)).max() < 1.5 / 255
    small = before_enlarging(sample)
    assert small is not None and np.array_equal(small.degraded, np.clip(quarter, 0, 1))
    assert small.truth[INDEX["rain"]].mean() == pytest.approx(sample.truth[INDEX["rain"]].mean(), rel=0.05)
    assert not small.truth[INDEX["low_resolution"]].any(), "what is small is not blurred"
    treatment = entrants(nothing_found)["spatial"](small, 4)
    assert treatment.photo.size == clean.shape[:2]
    assert before_enlarging(mixed_sample(clean, 0, 0, ("A", COMBINATIONS["A"].index(("noise", "jpeg"))))) is None


# who enters


def test_everybody_can_enter_by_name() -> None:
    every = entrants(nothing_found)
    assert set(POLICIES) | set(CONTROLS) | set(STRATEGIES) | set(ABLATIONS) | {"learned_critic"} == set(every)
    assert list(chosen(["qagent", "spatial"])) == ["qagent", "spatial"]
    assert list(chosen(["all"])) == [name for name in every if name != "llm"], "asking a server is never done unasked"
    with pytest.raises(UsageError, match=r"no policy mars.*mair"):
        chosen(["spatial", "mars"])


@pytest.mark.parametrize("name", ["oracle", "oracle_true_maps", "true_maps", "qagent"])
def test_entrants_know_what_they_are_told_and_no_more(name: str) -> None:
    """On a photograph where the perceiver finds nothing, only those who are told can do anything."""
    small = to_unit(picture(size=(48, 64)))
    sample = mixed_sample(small, 0, 0, ("A", COMBINATIONS["A"].index(("noise", "jpeg"))))
    treatment = entrants(nothing_found)[name](sample, 1)
    assert bool(treatment.record.data["plan"]) == ("true_maps" in name)


# the benchmarks


def test_mixbench_ranks_what_is_known(photos: list[Path], tmp_path: Path) -> None:
    result = mixbench.run(photos[:1], seed=1, groups=["B", "C"], among=rivals())
    assert len(result.rows) == (4 + 4) * 4
    for group in "BC":
        rows = {row["policy"]: row for row in result.summary[f"group {group}: policies"]}
        assert rows["oracle"]["psnr_db"] == BEST and rows["oracle"]["gmsd"] == 0
        assert rows[INPUT]["gain_db"] == 0 < rows["spatial"]["gmsd"]
        assert abs(rows["spatial"]["gain_db"]) < 0.3, "the small one has 8 bits, and so has no overshoot"
        assert rows["joint"]["worse_percent"] >= 75 and rows["joint"]["identical_in_clean_percent"] is None
        others = {row["against"]: row for row in result.summary[f"group {group}: spatial against the others"]}
        assert others["oracle"]["mean_db"] < -10 and others["oracle"]["worse_percent"] == 100
        assert others["joint"]["from_db"] > 0 and others["joint"]["better_percent"] >= 75
    by_combination = result.summary["gain by combination"]
    assert [row["combination"] for row in by_combination][:2] == ["B: motion_blur+jpeg", "B: haze+noise"]
    assert all(row["oracle_db"] == pytest.approx(BEST - row["input_psnr_db"]) for row in by_combination)
    text = table(load_result(write_result("mixbench", result, seed=1, path=tmp_path / "m.json", command="cmd")))
    assert "**group C: policies**" in text


def test_harm_and_further_metrics_are_measured(photos: list[Path]) -> None:
    tracks = {"treatable": TRACKS["treatable"]}
    result = spatialbench.run(photos, seed=1, among=rivals(), tracks=tracks, metrics=["psnr"])
    rows = {row["policy"]: row for row in result.summary["treatable: policies"]}
    assert rows["spatial"]["harm_in_clean_levels"] == 0 < 20 < rows["joint"]["harm_in_clean_levels"]
    assert rows["joint"]["psnr"] == pytest.approx(rows["joint"]["psnr_db"], abs=1e-4)
    first = result.rows[0]
    assert first["policy"] == INPUT and first["metrics"]["gmsd"] > gmsd(to_unit(picture()), to_unit(picture()))
    assert {"calls", "looks_ahead", "seconds", "critical_path_seconds"} <= first.keys()


# the drawing


def comparison(photos: list[Path], tmp_path: Path) -> Path:
    result = spatialbench.run(photos, seed=1, among=rivals())
    return write_result("spatialbench", result, seed=1, path=tmp_path / "spatialbench.json", command="cmd")


def test_compare_draws_every_policy_in_both_formats(photos: list[Path], tmp_path: Path) -> None:
    path = comparison(photos, tmp_path)
    done = CliRunner().invoke(app, ["compare", str(path)])
    assert done.exit_code == 0, done.output
    drawing = ElementTree.parse(tmp_path / "spatialbench.svg").getroot()
    said = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert said.count("spatial") == said.count("joint") == said.count("oracle") == 2, "one in each panel"
    assert "treatable: policies" in said and INPUT not in said
    with Image.open(tmp_path / "spatialbench.png") as image:
        assert image.size == (2 * plot.WIDTH * plot.SHARP, plot.HEIGHT * plot.SHARP)
        assert len(image.convert("P").getcolors() or ()) > 3
    first = (tmp_path / "spatialbench.svg").read_bytes(), (tmp_path / "spatialbench.png").read_bytes()
    assert CliRunner().invoke(app, ["compare", str(path), "-o", str(tmp_path / "new/plot")]).exit_code == 0
    assert first == tuple((tmp_path / "new" / f"plot.{ending}").read_bytes() for ending in ("svg", "png"))


def test_better_and_slower_lie_up_and_to_the_right() -> None:
    row = {"from_db": None, "to_db": None}
    rows = [
        row | {"policy": "spatial", "seconds": 0.2, "gain_db": 3.0},
        row | {"policy": "agenticir", "seconds": 9.0, "gain_db": 1.0},
        row | {"policy": "mair", "seconds": 4.0, "gain_db": 1.01},
    ]
    marks = list(plot.panel("title", rows))
    dots = {mark.colour: mark.at for mark in marks if isinstance(mark, plot.Dot)}
    assert dots[plot.OURS][0] < dots[plot.OTHERS][0] and dots[plot.OURS][1] < dots[plot.OTHERS][1]
    names = sorted(mark.at[1] for mark in marks if isinstance(mark, plot.Text) and mark.text in ("mair", "agenticir"))
    assert names[1] - names[0] >= 12, "names do not lie on each other"


def test_only_comparisons_of_policies_can_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compares no policies"):
        plot.draw({"name": "speed", "summary": {"stages": []}}, tmp_path / "plot")


# the command line


def test_wrong_names_are_refused_before_anything_is_measured(photos: list[Path]) -> None:
    folder = str(photos[0].parent)
    wrong = ["mixbench", "--group", "D"], ["mixbench", "--policies", "mars"], ["spatialbench", "--metric", "x"]
    for command in wrong:
        done = CliRunner().invoke(app, [*command, "--clean", folder])
        assert isinstance(done.exception, UsageError), done.output


def test_mixbench_runs_from_the_command_line(photos: list[Path], tmp_path: Path) -> None:
    result = tmp_path / "mix.json"
    options = ["--clean", str(photos[0].parent), "--limit", "1", "--group", "B", "--policies", "joint"]
    done = CliRunner().invoke(app, ["mixbench", *options, "-o", str(result)])
    assert done.exit_code == 0, done.output
    found = load_result(result)
    assert [row["policy"] for row in found["summary"]["group B: policies"]] == ["input", "joint"]
    assert found["settings"]["low_resolution"].startswith("enters at 1/4")


def test_ablations_are_compared_on_the_same_photographs(photos: list[Path], tmp_path: Path) -> None:
    result = tmp_path / "ablations.json"
    done = CliRunner().invoke(app, ["ablations", "--clean", str(photos[0].parent), "--limit", "1", "-o", str(result)])
    assert done.exit_code == 0, done.output
    summary = load_result(result)["summary"]
    assert [row["policy"] for row in summary["treatable: policies"]] == ["input", *ABLATIONS]
    assert [row["against"] for row in summary["treatable: spatial against the others"]] == list(ABLATIONS[1:])
