"""The files that come from one photograph: where they go and what is in them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conservator.errors import InputError, OutputError

if TYPE_CHECKING:
    from conservator.treatment import Treatment

CONTAINERS = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".png": "png",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".avif": "avif",
    ".bmp": "bmp",
}
"""Extensions that can be written and their containers: a copy of what the codecs know, for those are slow to load."""

LOSSLESS = ".png"
"""What "auto" gives a photograph whose own format cannot be written, such as camera RAW."""

AUTO = "auto"
"""The photograph's own format."""


@dataclass(frozen=True)
class Targets:
    """The files that come from one photograph; None is "not written", for the picture "to standard output"."""

    picture: Path | None
    record: Path | None = None
    report: Path | None = None
    compare: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that will be written."""
        return tuple(file for file in (self.picture, self.record, self.report, self.compare) if file is not None)


def check_new(targets: Targets) -> None:
    """OutputError when one of the files exists already."""
    for file in targets.files:
        if file.exists():
            raise OutputError(f"{file} exists", "a new file", "move it away or pass --overwrite")


def files_of(treatment: Treatment, targets: Targets, *, quality: int) -> dict[Path, bytes]:
    """What is to be written after a treatment, by place, the picture last: once it is there, everything is."""
    files: dict[Path, bytes] = {}
    if targets.record is not None:
        # A name that is no valid text can still be written down, and read again.
        files[targets.record] = treatment.record.to_json().encode("utf-8", "backslashreplace")
    if targets.report is not None:
        from conservator.report import render

        files[targets.report] = render(treatment).encode()
    if targets.compare is not None:
        files[targets.compare] = _comparison(treatment)
    if targets.picture is not None:
        from conservator.photo import encode

        files[targets.picture] = encode(treatment.photo, targets.picture.suffix, quality=quality)
    return files


def _comparison(treatment: Treatment) -> bytes:
    from PIL import Image

    from conservator.report import compare

    buffer = io.BytesIO()
    Image.fromarray(compare(treatment)).save(buffer, "PNG")
    return buffer.getvalue()


def check_still(source: Path, sha256: str) -> None:
    """InputError unless the file still is what was read: a result of half a photograph must not be kept."""
    try:
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{source} went away while it was treated", "a file that stays", "run it again") from error
    if found != sha256:
        raise InputError(f"{source} changed while it was treated", "a file that stays as it is", "run it again")


def facts_of(treatment: Treatment, targets: Targets) -> dict[str, Any]:
    """What --json says about a treated photograph."""
    files = {"output": targets.picture, "record": targets.record, "report": targets.report, "compare": targets.compare}
    data = treatment.record.data
    return {
        **{name: str(file) for name, file in files.items() if file is not None},
        "understood": [event for event in data["events"] if event["type"] == "understood"],
        "diagnosis": data["diagnosis"],
        "after": data["after"],
        "steps": data["plan"],
        "cannot_treat": data["cannot_treat"],
    }


def said_of(treatment: Treatment) -> str:
    """In words, for people."""
    if treatment.unchanged:
        return "unchanged"
    steps = len(treatment.record.data["plan"])
    return f"{steps} step{'s' if steps != 1 else ''} kept"
