"""The few EXIF fields a treatment report needs; places are named as present, never printed."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator

from PIL import ExifTags, Image

_EXIF, _GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_BASE = ExifTags.Base


def camera_facts(exif: bytes | None) -> Iterator[tuple[str, str]]:
    """Camera, time and copyright as (name, value); values are the file's own words and must be escaped.

    A block that cannot be read is reported as such: the photo still carries it.
    """
    if not exif:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of damaged blocks, and reads on in what is left
            found = list(_facts(exif))
    # Pillow lets all of these through for a damaged block.
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, struct.error, Warning) as error:
        yield "EXIF", f"carried over, but it cannot be read ({type(error).__name__})"
        return
    yield from found


def _facts(exif: bytes) -> Iterator[tuple[str, str]]:
    tags = Image.Exif()
    tags.load(exif)
    details = tags.get_ifd(_EXIF)
    camera = " ".join(_text(tags[tag]) for tag in (_BASE.Make, _BASE.Model) if tag in tags)
    named = (
        ("Camera", camera),
        ("Taken", _text(details.get(_BASE.DateTimeOriginal, ""))),
        ("Artist", _text(tags.get(_BASE.Artist, ""))),
        ("Copyright", _text(tags.get(_BASE.Copyright, ""))),
        ("Place", "stored in the file; not shown here" if tags.get_ifd(_GPS) else ""),
    )
    yield from ((name, value) for name, value in named if value)


def _text(value: object) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip("\0 ")
