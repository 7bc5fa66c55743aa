"""Where results go, and what they never replace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conservator.cli.sources import Source
from conservator.cli.targets import Layout, Originals, is_result, plan_targets
from conservator.errors import OutputError, UsageError
from conservator.folders.results import Targets, check_new

STREET = Source(Path("in/street.jpg"))


def pictures(sources: list[Source], layout: Layout) -> list[str]:
    return [str(targets.picture) for targets in plan_targets(sources, layout)]


def found(path: str, root: str) -> Source:
    return Source(Path(path), Path(path).relative_to(root).parent, True)


def test_everything_lies_beside_the_photograph_by_default() -> None:
    (targets,) = plan_targets([STREET], Layout(report=True, compare=True))
    assert [str(file) for file in targets.files] == [
        "in/street.restored.jpg",
        "in/street.restored.record.json",
        "in/street.restored.html",
        "in/street.restored.compare.png",
    ]


@pytest.mark.parametrize(
    ("name", "ext", "result"),
    [
        ("a.jpg", "auto", "a.restored.jpg"),
        ("a.JPEG", "auto", "a.restored.JPEG"),
        ("a.tif", "png", "a.restored.png"),
        ("a.cr2", "auto", "a.restored.png"),
        ("a.b.heic", "auto", "a.b.restored.png"),
        ("a", "auto", "a.restored.png"),
        ("a.png", ".WEBP", "a.restored.webp"),
    ],
)
def test_the_extension_is_the_photographs_own_where_it_can_be_written(name: str, ext: str, result: str) -> None:
    assert pictures([Source(Path(name))], Layout(ext=ext)) == [result]


def test_a_tree_is_mirrored_below_the_output_folder() -> None:
    sources = [found("in/a.jpg", "in"), found("in/x/y/b.png", "in")]
    assert pictures(sources, Layout("out")) == ["out/a.restored.jpg", "out/x/y/b.restored.png"]


def test_one_photograph_may_be_given_a_file_or_a_folder(tmp_path: Path) -> None:
    assert pictures([STREET], Layout("new.webp")) == ["new.webp"]
    assert pictures([STREET], Layout("new/")) == ["new/street.restored.jpg"]
    assert pictures([STREET], Layout(str(tmp_path))) == [str(tmp_path / "street.restored.jpg")]


def test_a_folder_with_one_photograph_still_goes_into_a_folder() -> None:
    assert pictures([found("in/a.jpg", "in")], Layout("out")) == ["out/a.restored.jpg"]


def test_a_raw_file_and_its_jpeg_keep_apart() -> None:
    planned = plan_targets([found("in/a.cr2", "in"), found("in/a.jpg", "in"), found("in/b.jpg", "in")], Layout("out"))
    assert [str(targets.picture) for targets in planned] == [
        "out/a.cr2.restored.png",
        "out/a.jpg.restored.jpg",
        "out/b.restored.jpg",
    ]
    assert len({targets.record for targets in planned}) == 3


def test_records_of_a_tree_may_have_a_folder_of_their_own() -> None:
    planned = plan_targets([found("in/x/a.jpg", "in")], Layout("out", record=Path("records")))
    assert planned[0].record == Path("records/x/a.restored.record.json")


def test_a_single_record_may_have_any_name() -> None:
    assert plan_targets([STREET], Layout(record=Path("r.json")))[0].record == Path("r.json")
    assert plan_targets([STREET], Layout(records=False))[0].record is None


def test_standard_output_gets_the_picture_and_a_record_only_when_asked() -> None:
    assert plan_targets([STREET], Layout("-")) == [Targets(None)]
    assert plan_targets([Source(None)], Layout()) == [Targets(None)]
    assert plan_targets([Source(None)], Layout(record=Path("r.json"))) == [Targets(None, Path("r.json"))]
    assert plan_targets([Source(None)], Layout("a.png"))[0].picture == Path("a.png")


@pytest.mark.parametrize(
    ("sources", "layout"),
    [
        ([STREET, Source(Path("b.jpg"))], Layout("-")),
        ([STREET, Source(Path("b.jpg"))], Layout("out.jpg")),
        ([found("in/a.jpg", "in")], Layout("out.jpg")),
        ([STREET], Layout("-", report=True)),
        ([STREET], Layout("-", compare=True)),
        ([STREET], Layout("out.gif")),
        ([STREET], Layout("out.png", ext="jpg")),
        ([STREET], Layout(ext="gif")),
        ([Source(None)], Layout("out/")),
        ([Source(Path("x/a.jpg")), Source(Path("y/a.jpg"))], Layout("out")),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused_before_any_work(sources: list[Source], layout: Layout) -> None:
    with pytest.raises(UsageError):
        plan_targets(sources, layout)


@pytest.mark.parametrize("reach", ["itself", "symlink", "hard link", "record"])
def test_nothing_that_is_read_is_ever_replaced(tmp_path: Path, reach: str) -> None:
    photo, link = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo.write_bytes(b"x")
    if reach == "symlink":
        link.symlink_to(photo)
    elif reach == "hard link":
        os.link(photo, link)
    targets = {"itself": Targets(photo), "record": Targets(None, photo)}.get(reach, Targets(link))
    with pytest.raises(OutputError, match="never written over"):
        Originals([photo]).check(targets)
    Originals([photo]).check(Targets(tmp_path / "c.jpg"))


def test_a_file_beside_the_picture_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        check_new(Targets(tmp_path / "a.png", report=tmp_path / "a.html"))


def test_results_of_an_earlier_run_are_recognised() -> None:
    root = Path("in")
    assert is_result(Path("in/a.restored.jpg"), root, Layout())
    assert is_result(Path("in/a.restored.compare.png"), root, Layout())
    assert is_result(Path("in/out/a.png"), root, Layout("in/out", suffix=""))
    assert not is_result(Path("in/a.jpg"), root, Layout("in", suffix=""))
    assert not is_result(Path("in/a.jpg"), root, Layout("."))
    assert not is_result(Path("in/restored.jpg"), root, Layout())
