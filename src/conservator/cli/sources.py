"""Which photographs a command line names: files, folders, patterns and standard input."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conservator.errors import InputError, UsageError
from conservator.folders.pictures import is_picture, pictures_below

STREAM = "-"
"""Stands for standard input among the photographs and for standard output behind -o."""

@dataclass(frozen=True)
class Source:
    """One photograph to work on.

    path    its file; None is standard input
    folder  where it lies below the argument that named it; an output folder mirrors this
    found   True when a folder or a pattern led to it, False when it was named itself
    """

    path: Path | None
    folder: Path = Path()
    found: bool = False

    @property
    def label(self) -> str:
        """What messages call it."""
        return "standard input" if self.path is None else str(self.path)


LeaveOut = Callable[[Path, Path], bool]
"""Takes a file and the folder of the argument that led to it; True drops the file."""


def find_sources(arguments: Sequence[str], leave_out: LeaveOut = lambda file, root: False) -> list[Source]:
    """The photographs named by the arguments, in their order, folders and patterns sorted, none twice.

    leave_out   asked about every file that a folder or pattern leads to, not about those named themselves
    Raises InputError when a folder or pattern leads to nothing, UsageError when standard input is not alone.
    A file that is named but absent is not an error here: opening it will say so.
    """
    if STREAM in arguments:
        if len(arguments) > 1:
            raise UsageError("standard input among other photographs", "'-' alone", "run the command once for each")
        return [Source(None)]
    return list(_unique(source for argument in arguments for source in _expand(argument, leave_out)))


def _expand(argument: str, leave_out: LeaveOut) -> list[Source]:
    path = Path(argument)
    if path.is_dir():
        root, pictures = path, sorted(pictures_below(path))
    elif path.exists() or not glob.has_magic(argument):
        return [Source(path)]
    else:
        root = _fixed_part(path)
        files = (Path(name) for name in glob.iglob(argument, recursive=True))
        pictures = sorted(file for file in files if is_picture(file, root))
    kept = [Source(file, file.relative_to(root).parent, True) for file in pictures if not leave_out(file, root)]
    if not kept:
        got = f"only results of earlier runs in {argument}" if pictures else f"no picture in {argument}"
        raise InputError(got, "a file, folder or pattern with photographs", "check the path")
    return kept


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern that come before its first wildcard."""
    parts: list[str] = []
    for part in pattern.parent.parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _unique(sources: Iterable[Source]) -> Iterator[Source]:
    seen: set[Path] = set()
    for source in sources:
        key = Path() if source.path is None else source.path.resolve()
        if key not in seen:
            seen.add(key)
            yield source
