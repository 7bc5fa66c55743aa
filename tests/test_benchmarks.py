"""Benchmarks: a wrong figure here is a wrong claim in the docs."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_pictures import found, giving, nothing_found, picture, write_noise_pairs
from conservator.benchmarks import figures, machine, masks, noise_pairs, speed, tables
from conservator.benchmarks.mosaic import mosaic
from conservator.benchmarks.results import Findings, heading, load_result, table, write_result
from conservator.degradations import NAMES
from conservator.errors import InputError, OutputError, ToolFailed, UsageError
from conservator.photo import open_photo, save
from conservator.plan import Step
from conservator.session import Session
from conservator.tools.registry import Registry
from conservator.tools.testing import FakeTool

# figures


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_chance_that_a_damaged_cell_outranks_a_clean_one(cells: list[tuple[int, bool]]) -> None:
    score, label = np.array([c[0] for c in cells]), np.array([c[1] for c in cells])
    pairs = [(a, b) for a in score[label] for b in score[~label]]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]
    expected = pytest.approx(sum(wins) / len(wins)) if wins else None
    assert figures.auc(score, label) == expected


def test_calibration_error_is_the_gap_between_what_is_said_and_what_is_so() -> None:
    said, so = np.full(100, 0.9), np.arange(100) < 60
    assert figures.calibration_error(said, so) == pytest.approx(0.3)
    assert figures.calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0


def test_an_interval_of_grouped_values_is_wider_than_of_independent_ones() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 5.0], 20)
    groups = [str(i // 20) for i in range(80)]
    low, high = figures.interval(values)
    wide_low, wide_high = figures.interval(values, groups)
    assert None not in (low, high, wide_low, wide_high)
    assert wide_low < low < values.mean() < high < wide_high  # type: ignore[operator]
    assert figures.interval(values, groups) == (wide_low, wide_high), "the same seed gave another interval"
    assert figures.interval([1.0]) == (None, None)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_an_interval_stays_inside_what_was_measured(values: list[float]) -> None:
    low, high = figures.interval(values)
    assert low is not None and high is not None
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_overlap_of_nothing_with_nothing_is_not_a_success() -> None:
    empty = np.zeros((4, 4), bool)
    assert figures.overlap(empty, empty) is None
    assert figures.overlap(empty, ~empty) == 0.0
    assert figures.overlap(~empty, ~empty) == 1.0


# results and tables


def findings(value: float = 1.25) -> Findings:
    rows = [{"photo": "a.png", "gain_db": np.float32(value)}, {"photo": "b.png", "gain_db": float("inf")}]
    summary = {"policies": [{"policy": "spatial", "gain_db": value, "worse_percent": 50.0, "worst": None}]}
    return Findings("A benchmark", summary, rows, {"photos": 2})


def test_a_result_says_how_it_can_be_measured_again(tmp_path: Path) -> None:
    path = write_result(
        "some-bench", findings(), seed=7, path=tmp_path / "deep" / "r.json", command="conservator bench x"
    )
    result = load_result(path)
    assert (result["command"], result["seed"], result["settings"]) == ("conservator bench x", 7, {"photos": 2})
    assert result["machine"]["packages"]["numpy"] == np.__version__
    assert all(len(digest) == 64 for digest in result["machine"]["models"].values())
    assert result["machine"]["cores"] >= 1 and result["machine"]["processor"]
    assert [row["gain_db"] for row in result["rows"]] == [1.25, None], "infinity is not JSON"
    assert sum('"photo":' in line for line in path.read_text().splitlines()) == 2, "one measurement a line"


def test_a_result_of_another_make_is_refused(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"schema": 99, "summary": {}}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            load_result(tmp_path / name)
    with pytest.raises(OutputError):
        write_result("x", findings(), seed=None, path=tmp_path / "a" / "x.json")
    with pytest.raises(UsageError):
        write_result("../elsewhere", findings(), seed=None)


def test_a_table_shows_units_and_not_more_digits_than_mean_anything(tmp_path: Path) -> None:
    text = table(load_result(write_result("x", findings(-1.23456), seed=0, path=tmp_path / "x.json", command="cmd")))
    assert "| policy | gain (dB) | worse (%) | worst |" in text
    assert "| spatial | −1.23 | 50.0 | – |" in text
    assert "`cmd`" in text and machine.processor() in text
    assert heading("untouched_percent") == "untouched (%)" and heading("ssim_before") == "ssim before"


def test_a_command_names_no_place_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["/usr/local/bin/conservator", "bench", "x", "--clean", str(tmp_path / "my photos"), "--seed", "3"]
    assert machine.command_line(typed) == "conservator bench x --clean 'my photos' --seed 3"
    assert machine.command_line(["/site/conservator/__main__.py", "bench"]) == "python -m conservator bench"


def test_tables_leave_the_words_around_them_alone(tmp_path: Path) -> None:
    results, page = tmp_path / "results", tmp_path / "docs" / "benchmarks.md"
    write_result("x", findings(1.0), seed=0, path=results / "x.json", command="cmd")
    assert tables.write_tables(results, page)
    page.write_text(page.read_text().replace("## A benchmark", "## A benchmark\n\nWhat it means.") + "\nThe end.\n")
    assert not tables.write_tables(results, page), "nothing changed, yet the page was written"
    write_result("x", findings(9.0), seed=0, path=results / "x.json", command="cmd")
    assert tables.write_tables(results, page)
    text = page.read_text()
    assert "9.00" in text and "1.00" not in text
    assert "What it means." in text and text.endswith("The end.\n")


def test_a_table_nobody_measured_is_refused(tmp_path: Path) -> None:
    write_result("x", findings(), seed=0, path=tmp_path / "x.json", command="cmd")
    measured = tables.load_all(tmp_path)
    with pytest.raises(InputError, match="ghost"):
        tables.with_tables("<!-- result: ghost -->\n<!-- end: ghost -->", measured)
    with pytest.raises(InputError, match="end: x"):
        tables.with_tables("<!-- result: x -->", measured)
    with pytest.raises(InputError):
        tables.load_all(tmp_path / "nowhere")


# speed


def test_a_mosaic_is_clean_in_a_third_and_uneven_elsewhere() -> None:
    tile = picture()
    frame = mosaic(tile, 0.5)
    assert frame.shape[0] * frame.shape[1] == pytest.approx(0.5e6, rel=0.01)
    copies = frame[:96, :256].reshape(96, 2, 128, 3)
    assert np.array_equal(copies[:, 0], tile) and np.array_equal(copies[:, 1], tile[:, ::-1])
    assert not np.array_equal(frame[:96, -256:-128], tile) and not np.array_equal(frame[:96, -256:-128], tile[:, ::-1])
    assert np.array_equal(frame, mosaic(tile, 0.5))


class SlowTool(FakeTool):
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__("slow", gain=1.0)
        fast = self.treat

        def treat(*arrays: Any, **options: Any) -> Any:
            time.sleep(seconds)
            return fast(*arrays, **options)

        object.__setattr__(self, "treat", treat)


def test_time_in_a_tool_is_told_from_time_around_it() -> None:
    maps = np.full((len(NAMES), 12, 16), 0.5, np.float32)

    def policy(session: Session) -> None:
        session.apply(Step("slow", ("noise",)))
        time.sleep(0.05)

    session = Session(open_photo(picture()), tools=Registry([SlowTool(0.1)]), perceiver=lambda seen: found(maps, seen))
    timed = speed.TimedPolicy(policy)
    timed(session)
    assert 0.1 <= timed.tools < session.ledger.seconds["tools"]
    assert 0.05 <= timed.planning < 0.1, "waiting for the tool was counted as planning"


def test_stages_add_up_to_the_whole() -> None:
    split, kept = speed.stages(speed.jpeg_mosaic(picture(), 0.05, 0), perceiver=nothing_found)
    assert min(split.values()) >= 0 and split["decode"] > 0 and split["encode"] > 0
    assert split["tools"] == 0 and kept == []
    rows = {row["stage"]: row for row in speed.stage_rows(split, 0.05)}
    assert rows["whole"]["share_percent"] == pytest.approx(100)
    assert sum(rows[stage]["seconds"] for stage in split) == pytest.approx(rows["whole"]["seconds"])


def test_the_fastest_run_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = save(open_photo(picture()), tmp_path / "photo.png")
    names = ("decode", "perceive", "plan and guard", "tools", "composite", "encode", "record")
    smalls = (1.0, 2.0, 5.0, 3.0, 3.0, 8.0, 3.0)
    runs = iter([(dict.fromkeys(names, seconds), ["joint"]) for seconds in (9.0, 2.0, 1.0, 3.0, *smalls)])
    monkeypatch.setattr(speed, "stages", lambda file: next(runs))
    monkeypatch.setattr(speed, "peak", lambda file, size, folder: {"photo_megapixels": size})
    monkeypatch.setattr(speed, "import_row", dict)
    result = speed.run(photo, megapixels=0.1, sizes=(0.05,), repeat=3)
    rows = {row["stage"]: row for row in result.summary["0.1 MP, stage by stage; kept: joint"]}
    assert rows["whole"]["seconds"] == 7.0, "the run that loads the networks, or not the fastest, was taken"
    assert rows["perceive+plan and guard+composite"]["share_percent"] == pytest.approx(300 / 7)
    assert len(result.rows) == 3
    (small,) = result.summary["1 MP, the median of differently damaged photographs"]
    assert (small["photos"], small["seconds"], small["slowest_seconds"]) == (7, 21.0, 56.0)
    assert small["overhead_percent"] == pytest.approx(300 / 7) and small["kept"] == "joint 7"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel keeps no mark of a process's own peak")
def test_peak_memory_is_not_that_of_the_process_that_asked() -> None:
    ballast = np.ones(400_000_000, np.uint8)
    own = float(speed.python_output("-c", "from conservator.benchmarks.peak import peak_megabytes as p; print(p())"))
    assert 5 < own < 200 and ballast.any()


def test_a_run_that_dies_is_not_measured() -> None:
    with pytest.raises(ToolFailed, match="no such thing"):
        speed.python_output("-c", "raise SystemExit('no such thing')")


def test_peak_memory_and_import_time_are_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    row = speed.peak(speed.jpeg_mosaic(picture(), 0.05, 0), 0.05, tmp_path)
    assert row["peak_mb"] > 20 and row["per_megapixel_seconds"] == pytest.approx(row["seconds"] / 0.05)
    assert (tmp_path / "restored.jpg").exists()
    assert speed.import_row(1)["to_python_ratio"] > 0


def test_outlines_come_closer_with_more_points_and_files_lose_nothing() -> None:
    found = masks.run(count=2)
    for outlines in ("points", "polygons"):
        ious = [row["worst_iou"] for row in found.summary[outlines]]
        assert ious[0] < 0.9 and ious == sorted(ious) and ious[-1] == 1.0
        budgets = ((row["used"], row[outlines]) for row in found.rows if row.get(outlines, "exact") != "exact")
        assert all(used <= int(points) for used, points in budgets)
    assert all(row["worst_iou"] == 1.0 for row in found.summary["files"])


# the command line


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    from typer.testing import CliRunner

    from conservator.benchmarks.commands import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONSERVATOR_THREADS", raising=False)
    yield lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_every_benchmark_has_a_command(bench: Callable[..., Any]) -> None:
    shown = bench("--help").output
    for name in ("spatialbench", "perception", "noise-pairs", "brackets", "masks", "speed", "contact", "tables"):
        assert name in shown
        assert bench(name, "--help").exit_code == 0


def test_noise_pairs_end_in_a_result_file_and_a_page(
    bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_really = noise_pairs.run
    counter = itertools.count()

    def quick(folder: Path, **options: Any) -> Findings:
        next(counter)
        return run_really(folder, ways={"nothing": giving(lambda before: before)}, **options)

    monkeypatch.setattr(noise_pairs, "run", quick)
    done = bench("noise-pairs", "--folder", write_noise_pairs(tmp_path), "--limit", 2)
    assert done.exit_code == 0, done.output
    result = json.loads(Path("benchmarks/results/noise-pairs.json").read_text())
    assert (result["name"], len(result["rows"]), next(counter)) == ("noise-pairs", 2, 1)
    assert bench("tables").exit_code == 0
    assert "Real camera noise" in Path("docs/benchmarks.md").read_text()


def test_the_command_line_loads_without_the_machinery() -> None:
    heavy = "{'cv2', 'onnxruntime', 'skimage', 'scipy', 'torch'}"
    code = f"import sys, conservator.benchmarks.commands; print({heavy} & set(sys.modules))"
    assert speed.python_output("-c", code).strip() == "set()"
