"""Which photographs a command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from conservator.cli.sources import Source, find_sources
from conservator.errors import InputError, UsageError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.tif", "sub/deep/d.CR2", ".hidden/e.jpg", "sub/._a.png"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(sources: list[Source]) -> list[str]:
    return [source.label for source in sources]


def test_a_folder_gives_its_whole_tree_sorted_without_hidden_and_foreign_files(tree: Path) -> None:
    sources = find_sources(["scans"])
    assert names(sources) == ["scans/a.PNG", "scans/b.jpg", "scans/sub/c.tif", "scans/sub/deep/d.CR2"]
    assert [str(source.folder) for source in sources] == [".", ".", "sub", "sub/deep"]


def test_a_pattern_mirrors_what_lies_below_its_fixed_part(tree: Path) -> None:
    sources = find_sources(["scans/**/*.tif"])
    assert [(source.label, str(source.folder)) for source in sources] == [("scans/sub/c.tif", "sub")]


def test_a_file_named_itself_is_taken_whatever_its_extension(tree: Path) -> None:
    assert names(find_sources(["scans/notes.txt", "absent.jpg"])) == ["scans/notes.txt", "absent.jpg"]


def test_brackets_in_a_real_name_are_no_pattern(tree: Path) -> None:
    (tree / "a[1].jpg").write_bytes(b"x")
    assert names(find_sources(["a[1].jpg"])) == ["a[1].jpg"]


def test_a_photograph_named_twice_is_treated_once(tree: Path) -> None:
    assert len(find_sources(["scans/b.jpg", "scans", "./scans/b.jpg"])) == 4


@pytest.mark.parametrize("argument", ["scans/*.bmp", "empty"])
def test_nothing_found_is_an_error_that_names_the_argument(tree: Path, argument: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=r"no picture in (scans/\*\.bmp|empty)"):
        find_sources([argument])


def test_only_earlier_results_is_an_error_of_its_own(tree: Path) -> None:
    with pytest.raises(InputError, match="only results of earlier runs"):
        find_sources(["scans"], lambda file, root: True)


def test_what_is_left_out_of_folders_can_still_be_named(tree: Path) -> None:
    assert names(find_sources(["scans/b.jpg"], lambda file, root: True)) == ["scans/b.jpg"]


def test_standard_input_stands_alone(tree: Path) -> None:
    assert find_sources(["-"]) == [Source(None)]
    with pytest.raises(UsageError, match="alone"):
        find_sources(["-", "scans"])
