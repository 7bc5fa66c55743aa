"""A folder restored into another: what is done, what is not done again, what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

import conservator
from batches import Here, Listener, album, results, rows
from command_line import contents, photograph, run
from conservator.benchmarks import throughput
from conservator.errors import InputError, OutputError, UsageError
from conservator.folders.batch import KEPT, Folder
from conservator.folders.manifest import Manifest


def batch(source: Path, output: Path, **options: object) -> dict[str, str]:
    """Statuses by name of a batch in this process."""
    listener = Listener()
    conservator.batch(source, output, executor=Here(), on_photo=listener, **options)
    return listener.statuses


def test_the_command_mirrors_the_tree_and_one_bad_file_stops_nothing(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 2)
    (source / "1/broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    before = contents(source)
    done = run(
        "batch", source, tmp_path / "out", "--workers", 2, "--records", "--json", "--contact-sheet", tmp_path / "s.png"
    )
    assert done.exit_code == 3, done.stderr
    names = {"0/p0.png", "1/p1.png"}
    assert results(tmp_path / "out").keys() == names | {f"{name}.record.json" for name in names}
    assert "2 done, 1 failed" in done.stderr and "damage gone" in done.stderr
    lines = {Path(line["input"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert (lines["broken.jpg"]["code"], lines["p0.png"]["status"]) == (3, "done")
    assert {"steps", "diagnosis", "output_sha256"} <= lines["p0.png"].keys()
    assert Image.open(tmp_path / "s.png").width == 1600
    assert contents(source) == before
    assert not (tmp_path / "out" / KEPT / "unfinished").exists()


def test_results_and_records_are_those_of_restore(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 1)
    batch(source, tmp_path / "out", records=True, strength=0.7)
    assert run("restore", source, "-o", tmp_path / "one", "--suffix", "", "--strength", 0.7).exit_code == 0
    assert results(tmp_path / "out")["0/p0.png"] == results(tmp_path / "one")["0/p0.png"]
    ours, theirs = (
        json.loads((tmp_path / name).read_text("utf-8"))
        for name in ("out/0/p0.png.record.json", "one/0/p0.record.json")
    )
    assert {key: ours[key] for key in ("input", "output", "call", "plan")} == {
        key: theirs[key] for key in ("input", "output", "call", "plan")
    }
    assert run("replay", tmp_path / "out/0/p0.png.record.json", "-o", tmp_path / "again.png").exit_code == 0


def test_what_is_done_stays_done_until_it_changes_or_its_result_is_gone(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in"), tmp_path / "out"
    assert set(batch(source, output).values()) == {"done"}
    known, files = rows(output), {path: (output / path).stat().st_ino for path in results(output)}
    assert batch(source, output) == dict.fromkeys(("p0.png", "p1.png", "p2.png"), "skipped")
    assert rows(output) == known
    assert {path: (output / path).stat().st_ino for path in results(output)} == files
    photograph(source / "0/p0.png", seed=9)
    os.utime(source / "1/p1.png", ns=(0, 0))  # older than ever: a clock that jumped must not hide a change
    (output / "0/p2.png").unlink()
    assert batch(source, output) == dict.fromkeys(("p0.png", "p1.png", "p2.png"), "done")
    assert all(row["state"] == "done" and row["tries"] == 2 for row in rows(output).values())


def test_what_failed_is_reported_again_and_tried_again_when_asked(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    broken = photograph(source / "a.png")
    good = broken.read_bytes()
    broken.write_bytes(good[:2000].ljust(len(good), b"\0"))
    time = broken.stat()
    assert batch(source, output) == {"a.png": "failed"}
    assert (rows(output)["a.png"]["code"], "png" in rows(output)["a.png"]["reason"].lower()) == (3, True)
    broken.write_bytes(good)
    os.utime(broken, ns=(time.st_atime_ns, time.st_mtime_ns))
    again = run("batch", source, output)
    assert (again.exit_code, results(output)) == (3, {})
    assert str(broken) in again.stderr
    assert batch(source, output, retry_failed=True) == {"a.png": "done"}
    assert batch(source, output) == {"a.png": "skipped"}


def test_results_of_two_calls_do_not_mix(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    batch(source, output)
    before = results(output)
    refused = run("batch", source, output, "--strength", 0)
    assert refused.exit_code == 2
    assert "strength 1.0, not 0.0" in refused.stderr
    with pytest.raises(UsageError, match="input"):
        batch(album(tmp_path / "other", 1), output)
    assert results(output) == before
    assert batch(source, output, strength=0.0, overwrite=True) == {"p0.png": "unchanged"}
    assert results(output)["0/p0.png"] == (source / "0/p0.png").read_bytes()


def test_a_file_of_somebody_else_is_not_replaced_however_often_one_tries(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    (output / "0").mkdir(parents=True)
    (output / "0/p0.png").write_bytes(b"mine")
    assert batch(source, output) == {"p0.png": "failed"}
    assert batch(source, output, retry_failed=True) == {"p0.png": "failed"}
    assert rows(output)["0/p0.png"]["code"] == OutputError.exit_code
    assert results(output) == {"0/p0.png": b"mine"}
    assert batch(source, output, overwrite=True) == {"p0.png": "done"}


def test_a_link_in_the_output_folder_leads_no_result_out_of_it(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 2), tmp_path / "out"
    output.mkdir()
    (output / "0").symlink_to(source / "0")
    before = contents(source)
    assert batch(source, output, overwrite=True) == {"p0.png": "failed", "p1.png": "done"}
    assert contents(source) == before


def test_one_batch_at_a_time(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    with Manifest(output / KEPT, {}):
        refused = run("batch", source, output)
    assert refused.exit_code == 2
    assert "another batch is at work" in refused.stderr


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    (output / KEPT).mkdir(parents=True)
    (output / KEPT / "manifest.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match=r"manifest\.sqlite"):
        batch(source, output)
    assert results(output) == {}


@pytest.mark.parametrize(
    ("name", "ext", "result"),
    [
        ("a.jpg", "auto", "a.jpg"),
        ("x/a.JPEG", "auto", "x/a.JPEG"),
        ("a.cr2", "auto", "a.cr2.png"),
        ("a.jpg", "png", "a.jpg.png"),
        ("a.png", "png", "a.png"),
    ],
)
def test_no_two_photographs_share_a_result_whichever_come_later(name: str, ext: str, result: str) -> None:
    targets = Folder(Path("in"), Path("out"), ext, 95, True, {}).targets(name)
    assert targets.picture == Path("out", result)
    assert targets.record == Path("out", f"{result}.record.json")


@pytest.mark.parametrize(
    ("ext", "converted"), [("png", "a.jpg"), ("auto", "a.heic"), ("auto", "a.CR2"), ("webp", "a.png")]
)
def test_a_photograph_named_like_the_result_of_another_has_a_place_of_its_own(ext: str, converted: str) -> None:
    folder = Folder(Path("in"), Path("out"), ext, 95, True, {})
    ending = ".png" if ext == "auto" else f".{ext}"
    names = [converted + ending * times for times in range(4)] + [f"b.jpg{ending.upper()}", "b.jpg"]
    places = [str(file).lower() for name in names for file in folder.targets(name).files]
    assert len(set(places)) == len(places) == 2 * len(names)


def test_both_results_are_there_when_a_name_looks_converted(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    photograph(source / "a.jpg", seed=1)
    photograph(source / "a.jpg.png", seed=2)
    wanted = {"a.jpg": "done", "a.jpg.png": "done"}
    assert batch(source, output, ext="png") == wanted
    assert results(output).keys() == {"a.jpg.png", "a.jpg.png.png"}
    assert batch(source, output, ext="png") == dict.fromkeys(wanted, "skipped")


def test_results_inside_the_input_folder_are_no_photographs(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 1)
    assert batch(source, source / "out") == {"p0.png": "done"}
    assert batch(source, source / "out") == {"p0.png": "skipped"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["in", "in"], 2, "apart"),
        (["in", "."], 2, "apart"),
        (["absent", "out"], 3, "absent"),
        (["empty", "out"], 3, "no picture"),
        (["in", "out", "--policy", "nobody"], 2, "spatial"),
        (["in", "out", "--instruction", "make it purple"], 2, "purple"),
        (["in", "out", "--prefer", "nothing"], 2, "nothing"),
        (["in", "out", "--ext", "gif"], 2, "gif"),
        (["in", "out", "--watch", "--contact-sheet", "s.png"], 2, "sheet"),
        (["in", "out", "--contact-sheet", "in/0/p0.png"], 4, "exists"),
    ],
)
def test_a_wrong_call_costs_one_line_and_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    album(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    before = contents(tmp_path / "in")
    result = run("batch", *arguments)
    assert result.exit_code == code
    assert says in result.stderr and "Traceback" not in result.stderr
    assert contents(tmp_path / "in") == before
    assert not results(tmp_path / "out")


def test_a_name_that_is_no_valid_text_is_a_name_like_any_other(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    odd = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(source / "0/p0.png", source / odd)
    except OSError:
        pytest.skip("this file system takes only valid names")
    done = run("batch", source, output, "--workers", 1, "--records", "--json")
    assert done.exit_code == 0, done.stderr
    assert results(output)[odd] == results(output)["0/p0.png"]
    assert str(source / odd) in {json.loads(line)["input"] for line in done.stdout.splitlines()}
    assert conservator.Record.load(output / f"{odd}.record.json").data["input"]["path"] == str(source / odd)
    assert batch(source, output, records=True) == {"p0.png": "skipped", odd: "skipped"}


def test_options_that_make_no_sense_for_a_folder_are_named(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 1)
    with pytest.raises(UsageError, match="mask"):
        batch(source, tmp_path / "out", mask="sky.png")
    with pytest.raises(InputError, match="no folder"):
        batch(source / "0/p0.png", tmp_path / "out")


def test_the_workers_of_a_batch_share_their_experience(tmp_path: Path) -> None:
    source, output, file = album(tmp_path / "in"), tmp_path / "out", tmp_path / "known.db"
    wrong = run("batch", source, output, "--memory", file)
    assert wrong.exit_code == 2 and "agenticir" in wrong.stderr and not file.exists()
    assert run("batch", source, output, "--memory", file, "--ray", "local").exit_code == 2
    done = run("batch", source, output, "--policy", "agenticir", "--memory", file, "--workers", 2)
    assert done.exit_code == 0, done.stderr
    with conservator.Memory(file) as memory:
        assert len(memory) > 0
    without = run("batch", source, output, "--policy", "agenticir")
    assert without.exit_code == 2 and "memory" in without.stderr
    (tmp_path / "other.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"other\.db"):
        batch(source, tmp_path / "new", policy="agenticir", memory=tmp_path / "other.db")
    with pytest.raises(UsageError, match="path of a file"):
        batch(source, tmp_path / "new", policy="agenticir", memory=conservator.Memory())


def test_throughput_counts_every_photograph_and_compares_with_the_first(tmp_path: Path) -> None:
    source = album(tmp_path / "in")
    found = throughput.run(sorted(source.rglob("*.png")), workers=[1, 2], threads=2)
    (table,) = found.summary.values()
    assert [(row["workers"], row["photos"]) for row in found.rows] == [(1, 3), (2, 3)]
    one, two = table
    assert all(row["startup_seconds"] > 0 and row["seconds"] > 0 for row in table)
    assert (one["faster_ratio"], one["efficiency_percent"]) == (1.0, 100.0)
    assert two["efficiency_percent"] == pytest.approx(50.0 * two["faster_ratio"])
    assert one["photos per hour"] == round(3600 * 3 / one["seconds"])
    assert one["per_megapixel_seconds"] == pytest.approx(one["seconds"] / (3 * 72 * 104 / 1e6))
