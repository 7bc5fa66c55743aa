"""The load benchmark, small: turned away, killed, and still nothing lost and nothing done twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import run
from conservator.benchmarks.load import picture, summary
from conservator.benchmarks.results import load_result
from conservator.photo import open_photo


def test_a_server_killed_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    output = tmp_path / "load.json"
    done = run("bench", "load", "--jobs", 4, "--clients", 3, "--max-queue", 1, "--side", 48, "--kills", 1, "-o", output)
    assert done.exit_code == 0, done.output
    result = load_result(output)
    (fates,) = result["summary"]["jobs"]
    assert (fates["jobs"], fates["kills"], fates["lost"], fates["doubled"]) == (4, 1, 0, 0)
    assert sorted(row["number"] for row in result["rows"]) == [0, 1, 2, 3]
    assert all(row["times_done"] == 1 and row["result_seconds"] > 0 for row in result["rows"])
    assert "lost" in done.stdout and "p99 (s)" in done.stdout


def test_what_never_came_back_counts_as_lost_and_what_came_twice_as_doubled() -> None:
    fine = {"number": 0, "state": "done", "rejected": 2, "times_done": 1}
    fine |= {"accepted_seconds": 1.0, "result_seconds": 3.0}
    rows = [
        fine,
        fine | {"number": 1, "times_done": 2},
        fine | {"number": 2, "state": "never accepted", "accepted_seconds": None, "result_seconds": None},
    ]
    tables = summary(rows, 6.0, {"clients": 1, "workers": 1, "kills": 0})
    (fates,) = tables["jobs"]
    assert (fates["lost"], fates["doubled"], fates["rejected"]) == (1, 1, 6)
    assert fates["per_job_seconds"] == pytest.approx(2.0)
    assert [row["p50_seconds"] for row in tables["waiting"]] == [1.0, 3.0]


def test_photographs_are_computed_the_same_from_the_same_seed() -> None:
    assert picture(32, 1) == picture(32, 1) != picture(32, 2)
    assert open_photo(picture(32, 1)).size == (32, 32)
