"""Files that appear whole, together, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.errors import OutputError

Write = Callable[[Path], object]
"""Fills the empty file it is given."""


class Staging:
    """Collects finished files under hidden names and moves all of them into place when its block ends well.

    After an error or Ctrl-C none of them appears. Use as a context manager. OutputError when a place cannot be written.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None:
                for unfinished, path in self._waiting:
                    _move(unfinished, path)
        finally:
            for unfinished, _ in self._waiting:
                with contextlib.suppress(OSError):
                    unfinished.unlink(missing_ok=True)

    def add(self, path: Path, write: Write) -> None:
        """Let `write` fill what will become `path`; folders are made as needed."""
        unfinished = _reserve(path)
        self._waiting.append((unfinished, path))
        try:
            write(unfinished)
        except OSError as error:
            raise _unwritable(path, error) from error

    def add_text(self, path: Path, text: str) -> None:
        """UTF-8 text."""
        self.add(path, lambda place: place.write_text(text, "utf-8"))

    def add_json(self, path: Path, data: Mapping[str, Any]) -> None:
        """Indented JSON."""
        self.add_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def add_picture(self, path: Path, picture: NDArray[np.uint8]) -> None:
        """uint8 (H, W, 3) or (H, W), in the format of the path's extension."""
        from PIL import Image

        self.add(path, lambda place: Image.fromarray(picture).save(place))


def _reserve(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".conservator-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(handle)
    return Path(name)


def _move(unfinished: Path, path: Path) -> None:
    try:
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _umask() -> int:
    """The process's mask; reading it means setting it for a moment."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written ({error.strerror or error})", "a writable place", "choose another")
