"""Files appear whole, together, or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conservator.errors import OutputError
from conservator.files import make_folder, write_atomically
from conservator.staging import Staging


def test_all_files_appear_at_the_end_and_nothing_else_stays(tmp_path: Path) -> None:
    with Staging() as staging:
        staging.add_json(tmp_path / "deep/a.json", {"σ": 1})
        staging.add_picture(tmp_path / "b.png", np.full((4, 5, 3), 9, np.uint8))
        assert not (tmp_path / "deep/a.json").exists()
    assert json.loads((tmp_path / "deep/a.json").read_text("utf-8")) == {"σ": 1}
    assert Image.open(tmp_path / "b.png").size == (5, 4)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "b.png", "deep"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, stop: type[BaseException]) -> None:
    old = tmp_path / "a.txt"
    old.write_text("old")

    def half(place: Path) -> None:
        place.write_text("ha")
        raise stop

    with pytest.raises(stop), Staging() as staging:
        staging.add_text(old, "new")
        staging.add(tmp_path / "b.txt", half)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert old.read_text() == "old"


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), Staging() as staging:
        staging.add_text(tmp_path / "file" / "below.txt", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_results_have_the_usual_permissions_not_those_of_temporary_files(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    with Staging() as staging:
        staging.add_text(tmp_path / "a", "")
    assert (tmp_path / "a").stat().st_mode == usual.stat().st_mode


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files as Linux gives them")
def test_names_are_on_the_disk_before_anybody_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[Path, list[str]]] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        place = Path(f"/proc/self/fd/{handle}").resolve()
        if place.is_dir():
            synced.append((place.relative_to(tmp_path), sorted(path.name for path in place.iterdir())))

    monkeypatch.setattr(os, "fsync", noted)
    write_atomically(tmp_path / "a.txt", b"a")
    ((folder, names),) = synced
    assert folder == Path() and "a.txt" in names
    synced.clear()
    make_folder(tmp_path / "jobs/7")
    assert synced == [(Path("jobs"), ["7"]), (Path(), ["a.txt", "jobs"])]
    synced.clear()
    with Staging(tmp_path / "room") as staging:
        staging.add_text(tmp_path / "jobs/7/b.txt", "b")
        assert not synced
    assert synced == [(Path("jobs/7"), ["b.txt"])]


def test_a_folder_that_may_be_written_and_not_read_takes_files(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir(mode=0o333)
    write_atomically(box / "a.txt", b"a")
    assert (box / "a.txt").read_bytes() == b"a"
