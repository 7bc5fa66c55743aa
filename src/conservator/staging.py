"""Files that appear whole, together, or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.errors import OutputError
from conservator.files import create_folder, settle, write_through

Write = Callable[[Path], object]
"""Makes the file it is given the path of."""


class Staging:
    """Collects finished files in hidden folders and moves all of them into place when its block ends well.

    After an error or Ctrl-C none of them appears. Use as a context manager. OutputError when a place cannot be written.

    room   folder for the hidden ones, on the file system of the files; None makes each beside its file
    """

    def __init__(self, room: Path | None = None) -> None:
        self._room = room
        self._waiting: list[tuple[Path, Path]] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None:
                for unfinished, path in self._waiting:
                    _move(unfinished, path)
                for folder in {path.parent for _, path in self._waiting} - {self._room}:
                    _settle(folder)
        finally:
            for unfinished, _ in self._waiting:
                shutil.rmtree(unfinished.parent, ignore_errors=True)

    def add(self, path: Path, write: Write) -> None:
        """Let `write` make what will become `path`; folders are made as needed."""
        unfinished = _hidden(path, self._room)
        self._waiting.append((unfinished, path))
        try:
            write(unfinished)
        except OSError as error:
            raise _unwritable(path, error) from error

    def add_text(self, path: Path, text: str) -> None:
        """UTF-8 text."""
        self.add_bytes(path, text.encode())

    def add_bytes(self, path: Path, data: bytes) -> None:
        """A whole file, on the disk before it is moved."""
        self.add(path, lambda place: write_through(place, data))

    def add_json(self, path: Path, data: Mapping[str, Any]) -> None:
        """Indented JSON."""
        self.add_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def add_picture(self, path: Path, picture: NDArray[np.uint8]) -> None:
        """uint8 (H, W, 3) or (H, W), in the format of the path's extension."""
        from PIL import Image

        self.add(path, lambda place: Image.fromarray(picture).save(place))


def _hidden(path: Path, room: Path | None) -> Path:
    """The same name in a hidden folder: on the same file system, and free."""
    home = room or path.parent
    try:
        create_folder(path.parent)
        home.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".conservator-", dir=home)) / path.name
    except OSError as error:
        raise _unwritable(path, error) from error


def _move(unfinished: Path, path: Path) -> None:
    try:
        unfinished.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _settle(folder: Path) -> None:
    try:
        settle(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written ({error.strerror or error})", "a writable place", "choose another")
