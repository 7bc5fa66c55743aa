"""Reading sources and writing results: whole or not at all, and never over an original."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from conservator.errors import InputError, OutputError, UsageError

_PIECE = 2**24  # bytes read at a time from a stream whose length is unknown


def read_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """All bytes of a regular file of at most `limit` bytes; InputError otherwise."""
    try:
        if not os.path.isfile(path):
            raise _not_a_file(Path(path))
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise _too_long(limit, str(path))
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        raise InputError(f"{path!s} cannot be read ({error})", "a readable file", "check its permissions") from error


def read_stream(stream: BinaryIO, limit: int) -> bytes:
    """The rest of a binary stream, at most `limit` bytes; UsageError when it yields text."""
    pieces, length = [], 0
    try:
        while piece := stream.read(_PIECE):
            if not isinstance(piece, bytes):
                raise UsageError(f"a stream of {type(piece).__name__}", "bytes", "open it in binary mode")
            pieces.append(piece)
            length += len(piece)
            if length > limit:
                raise _too_long(limit, "the stream")
    except UsageError:  # is a ValueError, too
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"the stream cannot be read ({error})", "an open binary stream", "open it again") from error
    return b"".join(pieces)


def _too_long(limit: int, name: str) -> InputError:
    return InputError(f"more than {limit / 1e6:.0f} MB in {name}", "a photograph", "raise max_pixels if it is one")


def _not_a_file(path: Path) -> InputError:
    if path.is_dir():
        return InputError(f"{path} is a folder", "a file", "name one of the pictures in it")
    if path.exists():
        return InputError(f"{path} is not a regular file", "a file", "pass an open stream to read from a device")
    return InputError(f"{path} does not exist", "an existing file", "check the spelling and the current folder")


def file_behind(stream: object) -> Path | None:
    """The path of the file that a stream or picture object says it was read from."""
    name = getattr(stream, "name", None) or getattr(stream, "filename", None)
    if not isinstance(name, str | os.PathLike) or not os.path.isfile(name):
        return None
    return Path(name).absolute()


def write_atomically(path: Path, data: bytes, *, overwrite: bool = False, protect: Iterable[Path] = ()) -> None:
    """Put a file in place complete, or leave everything as it was; behind this a power cut cannot undo it.

    overwrite  whether an existing file may be replaced; a symbolic link is replaced, not followed
    protect    files that are never replaced, by whatever name or link `path` reaches them
    OutputError when the place is taken, protected, missing or not writable.
    """
    check_place(path, overwrite=overwrite, protect=protect)
    temporary = path.with_name(f".conservator-{secrets.token_hex(8)}.tmp")
    try:
        write_through(temporary, data)
        _move(temporary, path, overwrite)
        settle(path.parent)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, for good; OutputError when that is impossible."""
    try:
        create_folder(folder)
    except OSError as error:
        raise OutputError(f"folder {folder}: {error.strerror}", "a place to write", "choose another") from error


def create_folder(folder: Path) -> None:
    """The same with an OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        settle(place.parent)


def check_place(path: Path, *, overwrite: bool, protect: Iterable[Path]) -> None:
    """OutputError when a file must not or cannot be written there; ask before long work."""
    try:
        if any(_same_file(path, original) for original in protect):
            raise OutputError(f"{path} is the original", "another file", "originals are never overwritten")
        if path.is_dir():
            raise OutputError(f"{path} is a folder", "a file name", "add one")
        if not path.parent.is_dir():
            raise OutputError(f"the folder {path.parent} does not exist", "an existing folder", "create it first")
        if os.path.lexists(path) and not overwrite:
            raise _taken(path)
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: Exception) -> OutputError:
    return OutputError(f"{path} cannot be written ({error})", "a writable folder", "choose another one")


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path} exists", "a new name", "choose one, or allow overwriting")


def _same_file(path: Path, original: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(original):
        return True
    try:
        return os.path.samefile(path, original)
    except FileNotFoundError:
        return False


def write_through(path: Path, data: bytes) -> None:
    """Write to the disk itself, so that a power cut after the move cannot leave an empty file."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def settle(folder: Path) -> None:
    """Have the names in a folder on the disk itself: a file that was moved there is there after a power cut, too."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written and not read
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that know no such thing
            raise
    finally:
        os.close(opened)


def _move(temporary: Path, path: Path, overwrite: bool) -> None:
    """Into place in one step; without `overwrite`, linking fails if somebody took the name meanwhile."""
    if not overwrite:
        try:
            os.link(temporary, path)
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise FileExistsError(path) from None
    os.replace(temporary, path)
