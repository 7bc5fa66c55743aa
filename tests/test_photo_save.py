"""Saving photos: complete or not at all, and never over an original."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from conservator.errors import OutputError
from conservator.photo import Photo, open_photo, save
from photo_files import noise, saved, smooth


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.png"
    path.write_bytes(saved(noise((8, 9, 3)), "PNG"))
    return path


def treated(path: Path) -> Photo:
    """The photo at a path with other pixels."""
    photo = open_photo(path)
    return photo.with_samples(65535 - photo.samples)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp", "a.tif", "a.TIFF", "a.avif", "a.bmp"])
def test_the_extension_chooses_the_container(tmp_path: Path, name: str) -> None:
    path = save(open_photo(smooth(9, 8)), str(tmp_path / name))
    assert path == tmp_path / name
    wanted = {"jpg": "jpeg", "tif": "tiff"}.get(path.suffix[1:].lower(), path.suffix[1:].lower())
    assert open_photo(path).container == wanted
    assert os.listdir(tmp_path) == [name]


def test_an_untouched_photo_is_saved_byte_by_byte(original: Path, tmp_path: Path) -> None:
    assert save(open_photo(original), tmp_path / "copy.png").read_bytes() == original.read_bytes()


def reach(original: Path, way: str) -> Path:
    """Another name that leads to the original."""
    other = original.with_name("other.png")
    if way == "symbolic link":
        other.symlink_to(original)
    elif way == "hard link":
        other.hardlink_to(original)
    elif way == "linked folder":
        (original.parent / "folder").symlink_to(original.parent)
        other = original.parent / "folder" / original.name
    else:
        other = original.parent / "x" / ".." / original.name
        (original.parent / "x").mkdir()
    return other


@pytest.mark.parametrize("way", ["symbolic link", "hard link", "linked folder", "detour"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_the_original_is_never_overwritten(original: Path, way: str, overwrite: bool) -> None:
    before = original.read_bytes()
    for path in (original, reach(original, way)):
        with pytest.raises(OutputError, match="original"):
            save(treated(original), path, overwrite=overwrite)
    assert original.read_bytes() == before


def test_originals_read_as_streams_and_pil_images_are_protected_too(original: Path) -> None:
    from PIL import Image

    before = original.read_bytes()
    with original.open("rb") as stream, Image.open(original) as image:
        for photo in (open_photo(stream), open_photo(image)):
            with pytest.raises(OutputError, match="original"):
                save(photo.with_samples(65535 - photo.samples), original, overwrite=True)
    assert original.read_bytes() == before


def test_the_original_stays_protected_after_a_change_of_folder(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(original.parent)
    photo = treated(Path(original.name))
    monkeypatch.chdir("/")
    with pytest.raises(OutputError, match="original"):
        save(photo, original, overwrite=True)


def test_further_files_can_be_protected(original: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"precious")
    with pytest.raises(OutputError, match="original"):
        save(treated(original), mask, overwrite=True, protect=[str(mask)])
    assert mask.read_bytes() == b"precious"


def test_existing_files_are_replaced_only_when_asked(original: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        save(treated(original), taken)
    assert taken.read_bytes() == b"mine"
    save(treated(original), taken, overwrite=True)
    assert open_photo(taken).size == (8, 9)


def test_a_link_is_replaced_and_its_target_left_alone(original: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    target.write_bytes(b"mine")
    link.symlink_to(target)
    save(treated(original), link, overwrite=True)
    assert target.read_bytes() == b"mine" and not link.is_symlink()
    dangling = tmp_path / "dangling.png"
    dangling.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(OutputError, match="exists"):
        save(treated(original), dangling)


def test_somebody_who_takes_the_name_meanwhile_keeps_it(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "race.png"
    fsync = os.fsync

    def meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        path.write_bytes(b"theirs")

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(OutputError, match="exists"):
        save(treated(original), path)
    assert path.read_bytes() == b"theirs" and sorted(os.listdir(tmp_path)) == ["original.png", "race.png"]


def test_file_systems_without_links_still_get_the_file(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert open_photo(save(treated(original), tmp_path / "new.png")).size == (8, 9)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_rubbish(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(b"old")

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OutputError, match="No space left"):
        save(treated(original), old, overwrite=True)
    assert old.read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == ["old.png", "original.png"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing/a.png", "does not exist"),
        ("a.gif", "extension"),
        ("a", "extension"),
        ("a.dng", "extension"),
        ("a.heic", "heic"),
        ("folder.png", "folder"),
        ("original.png/a.png", "cannot be written"),
        ("n" * 300 + ".png", "cannot be written"),
        ("a\0b.png", "cannot be written"),
    ],
)
def test_places_that_cannot_be_written_are_named(original: Path, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=says) as caught:
        save(treated(original), tmp_path / name, overwrite=True)
    assert caught.value.fix
    assert sorted(os.listdir(tmp_path)) == ["folder.png", "original.png"]


def test_an_unwritable_folder_is_named(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match="cannot be written"):
        save(treated(original), folder / "a.png")


def test_new_files_get_the_usual_permissions(original: Path, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    assert save(treated(original), tmp_path / "new.png").stat().st_mode == usual.stat().st_mode
