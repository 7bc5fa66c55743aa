"""conservator restore: results, what is skipped, what is refused, and what the exit code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import conservator
from command_line import contents, photograph, run
from conservator.cli.failures import worst
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two photographs and a broken one, in a tree."""
    photograph(tmp_path / "album/a.png", seed=1)
    photograph(tmp_path / "album/1998/b.png", seed=2)
    (tmp_path / "album/1998/broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return tmp_path / "album"


def test_result_and_record_lie_beside_the_untouched_original(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    before = contents(tmp_path)
    result = run("restore", photo)
    assert result.exit_code == 0, result.stderr
    after = contents(tmp_path)
    assert after.keys() - before.keys() == {"street.restored.png", "street.restored.record.json"}
    assert after["street.png"] == before["street.png"]
    assert Image.open(tmp_path / "street.restored.png").size == (104, 72)
    assert result.stdout == ""
    assert "street.restored.png" in result.stderr


def test_the_record_replays_to_the_same_picture(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    assert run("restore", photo).exit_code == 0
    replayed = run("replay", tmp_path / "street.restored.record.json")
    assert replayed.exit_code == 0, replayed.stderr
    assert (tmp_path / "street.replayed.png").read_bytes() == (tmp_path / "street.restored.png").read_bytes()
    other = photograph(tmp_path / "other.png", seed=5)
    refused = run("replay", tmp_path / "street.restored.record.json", other)
    assert refused.exit_code == 3
    assert not (tmp_path / "other.replayed.png").exists()


def test_masks_of_single_steps_are_named_when_a_record_is_replayed(tmp_path: Path) -> None:
    photo, left = photograph(tmp_path / "street.png"), np.zeros((72, 104), np.uint8)
    left[:, 52:] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    plan = ScriptedPolicy([Step("denoise", ("noise",), ("left",))])
    treated = conservator.restore(photo, policy=plan, places={"left": left})
    record = tmp_path / "record.json"
    record.write_text(treated.record.to_json(), "utf-8")
    assert not treated.unchanged
    for wrong in ((), ("--place", "left.png"), ("--place", f"right={tmp_path / 'left.png'}")):
        refused = run("replay", record, *wrong)
        assert refused.exit_code == 2 and "left" in refused.stderr, refused.stderr
    replayed = run("replay", record, "--place", f"left={tmp_path / 'left.png'}")
    assert replayed.exit_code == 0, replayed.stderr
    assert np.array_equal(np.asarray(Image.open(tmp_path / "street.replayed.png")), np.rint(treated.pixels * 255))


def test_what_is_not_changed_comes_back_to_the_byte(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.jpg")
    result = run("restore", photo, "--strength", 0)
    assert result.exit_code == 0, result.stderr
    assert "unchanged" in result.stderr
    assert (tmp_path / "street.restored.jpg").read_bytes() == photo.read_bytes()


def test_one_bad_file_does_not_stop_a_folder(album: Path, tmp_path: Path) -> None:
    result = run("restore", album, "-o", tmp_path / "out", "--no-record")
    assert result.exit_code == 3
    assert contents(tmp_path / "out").keys() == {"a.restored.png", "1998/b.restored.png"}
    assert re.search(r"^3 photographs: 2 (done|unchanged), 1 failed$", result.stderr, re.MULTILINE)
    assert str(album / "1998/broken.jpg") in result.stderr.splitlines()[-2]
    assert "Traceback" not in result.stderr


def test_a_second_run_does_only_what_is_missing(album: Path) -> None:
    (album / "1998/broken.jpg").unlink()
    assert run("restore", album).exit_code == 0
    first = contents(album)
    (album / "a.restored.png").unlink()
    (album / "a.restored.record.json").unlink()
    again = run("restore", album)
    assert again.exit_code == 0
    assert re.search(r"^2 photographs: 1 (done|unchanged), 1 skipped$", again.stderr, re.MULTILINE)
    assert contents(album).keys() == first.keys()
    assert contents(album)["a.restored.png"] == first["a.restored.png"]


def test_overwrite_replaces_results_and_never_photographs(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    before = contents(tmp_path)
    (tmp_path / "street.restored.png").write_bytes(b"old")
    assert run("restore", photo).exit_code == 0
    assert (tmp_path / "street.restored.png").read_bytes() == b"old"
    assert run("restore", photo, "--overwrite").exit_code == 0
    assert Image.open(tmp_path / "street.restored.png").size == (104, 72)
    for refused in (("-o", photo), ("--suffix", ""), ("-o", tmp_path, "--suffix", "")):
        result = run("restore", photo, *refused, "--overwrite")
        assert result.exit_code == 4
        assert "never written over" in result.stderr
        assert contents(tmp_path)["street.png"] == before["street.png"]


@pytest.mark.parametrize("name", ["street.restored.record.json", "street.restored.html"])
def test_a_file_in_the_way_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    photo = photograph(tmp_path / "street.png")
    (tmp_path / name).write_text("mine")
    result = run("restore", photo, "--report")
    assert result.exit_code == 4
    assert (tmp_path / name).read_text() == "mine"
    assert "found" not in result.stderr


def test_report_and_comparison_are_written_on_request(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    result = run("restore", photo, "-o", f"{tmp_path}/out/", "--report", "--compare")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "out/street.restored.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    width, height = Image.open(tmp_path / "out/street.restored.compare.png").size
    assert width >= 2 * 104 and height >= 72


def test_json_has_a_line_per_photograph_and_stdout_nothing_else(album: Path, tmp_path: Path) -> None:
    result = run("restore", album, "-o", tmp_path / "out", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["input"]).name for line in lines] == ["b.png", "broken.jpg", "a.png"]
    good, bad = lines[0], lines[1]
    assert (good["status"] in ("done", "unchanged"), bad["status"]) == (True, "failed")
    assert bad["code"] == result.exit_code == 3
    assert "jpeg" in bad["error"]["message"]
    assert Path(good["output"]).is_file() and Path(good["record"]).is_file()
    assert {"diagnosis", "after", "steps"} <= good.keys()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--policy", "nobody"], 2, "spatial"),
        (["--instruction", "make it purple"], 2, "purple"),
        (["--strength", "3"], 2, "strength"),
        (["--quality", "101"], 2, "quality"),
        (["--scale", "5"], 2, "scale"),
        (["--ext", "gif"], 2, "gif"),
        (["--mask", "absent.png"], 3, "absent.png"),
        (["-o", "-", "--json"], 2, "standard output"),
    ],
)
def test_a_wrong_call_costs_one_line_and_the_right_code(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    photo = photograph(tmp_path / "street.png")
    result = run("restore", photo, *arguments)
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert contents(tmp_path).keys() == {"street.png"}


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    Image.new("L", (10, 20), 255).save(tmp_path / "mask.png")
    result = run("restore", photo, "--mask", tmp_path / "mask.png")
    assert result.exit_code == 2
    assert "10×20" in result.stderr and "104×72" in result.stderr


def test_a_mask_protects_to_the_byte_and_is_never_written_over(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    mask = tmp_path / "mask.png"
    Image.new("L", (104, 72), 255).save(mask)
    assert run("restore", photo, "--protect", f"{mask}:1", "-o", mask, "--overwrite").exit_code == 4
    assert run("restore", photo, "--protect", mask).exit_code == 0
    assert (np.asarray(Image.open(tmp_path / "street.restored.png")) == np.asarray(Image.open(photo))).all()


def test_an_absent_photograph_is_an_input_error(tmp_path: Path) -> None:
    result = run("restore", tmp_path / "absent.jpg")
    assert result.exit_code == 3
    assert len(result.stderr.strip().splitlines()) <= 3


def test_a_spent_budget_is_said_and_is_no_failure(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    result = run("restore", photo, "--max-calls", 0)
    assert result.exit_code == 0
    assert "max_calls=0" in result.stderr
    assert (tmp_path / "street.restored.png").read_bytes() == photo.read_bytes()


def test_quiet_says_nothing_but_errors(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    assert run("restore", photo, "--quiet").output == ""
    assert "absent.jpg" in run("restore", tmp_path / "absent.jpg", "--quiet").stderr


def test_the_ledger_holds_every_event(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    assert run("restore", photo, "--ledger", tmp_path / "events.jsonl").exit_code == 0
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    record = json.loads((tmp_path / "street.restored.record.json").read_text("utf-8"))
    assert events == record["events"]


def test_what_nobody_foresaw_keeps_its_traceback_and_the_folder_goes_on(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = conservator.restore

    def fragile(photo: Path, **options: object) -> object:
        if photo.name == "a.png":
            raise RuntimeError("bang")
        return restore(photo, **options)

    monkeypatch.setattr(conservator, "restore", fragile, raising=False)
    result = run("restore", album, "-o", tmp_path / "out", "--no-record")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and "RuntimeError: bang" in result.stderr
    assert contents(tmp_path / "out").keys() == {"1998/b.restored.png"}


def test_the_worst_failure_gives_the_exit_code() -> None:
    assert worst([]) == 0
    assert worst([0, 3, 0, 7, 3]) == 7
    assert worst([7, 1, 0]) == 1
