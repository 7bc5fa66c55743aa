"""Which files below a folder are photographs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from conservator.errors import InputError

PICTURES = re.compile(
    r"\.(jpe?g|jpe|jfif|png|webp|tiff?|avif|bmp|hei[cf]|hif"
    r"|3fr|arw|cr[23]|dcr|dng|erf|fff|iiq|k25|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|x3f)",
    re.IGNORECASE,
)
"""Extensions looked for in folders; a file that is named itself may have any."""

OnError = Callable[[InputError], None]


def pictures_below(root: Path, on_error: OnError | None = None) -> Iterator[Path]:
    """Every picture file in a folder and those below it, in no order; hidden ones and linked folders are left out.

    on_error   told about what cannot be read, which is then left out; without it the error is raised
    """

    def told(error: InputError) -> None:
        if on_error is None:
            raise error
        on_error(error)

    def unreadable(error: OSError) -> None:
        told(InputError(f"folder {error.filename}: {error.strerror}", "a readable folder", "check its permissions"))

    for folder, below, names in os.walk(root, onerror=unreadable):
        below[:] = [name for name in below if not name.startswith(".")]
        for file in (Path(folder, name) for name in names):
            try:
                if is_picture(file, root):
                    yield file
            except InputError as error:
                told(error)


def is_picture(file: Path, root: Path) -> bool:
    """True for a file with a picture's extension that is not hidden at or below `root`; InputError when its folder
    may be listed but not entered, so that nobody can tell."""
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    try:
        return PICTURES.fullmatch(file.suffix) is not None and not hidden and file.is_file()
    except OSError as error:
        got = f"{file} cannot be read ({error.strerror})"
        raise InputError(got, "a folder that may be entered", "check its permissions") from error
