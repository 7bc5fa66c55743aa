"""EXIF and XMP: read what decides the pixels, and correct what new pixels make untrue.

An EXIF block is a TIFF file without a picture. It is patched in place, never rebuilt, because maker notes hold
offsets that only stay true when nothing moves. (EXIF 3.0, CIPA DC-008.)
"""

from __future__ import annotations

import re
import struct

from conservator.pixels.ifd import (
    EXIF_IFD,
    FIRST,
    LONG,
    ORIENTATION,
    SHORT,
    Entry,
    Order,
    first_ifd,
    read_header,
    read_ifd,
)

_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>\s*))[1-8](?=\s*[\"'<])")


def exif_block(data: bytes | None) -> bytes | None:
    """EXIF from its TIFF header on, whatever prefix the container put before it; None when there is none."""
    if not data:
        return None
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    return data if read_header(data) else None


def orientation(exif: bytes | None) -> int:
    """EXIF orientation, 1…8; 1 when absent or nonsense."""
    entry = _find(exif, FIRST, ORIENTATION) if exif else None
    value = entry.number(_order(exif)) if exif and entry else 1
    return value if value in range(1, 9) else 1


def upright(exif: bytes | None) -> bytes | None:
    """The same block with orientation 1, for pixels that have been turned."""
    if exif is None:
        return None
    patched = bytearray(exif)
    _write(patched, _find(exif, FIRST, ORIENTATION), 1)
    return bytes(patched)


def upright_xmp(xmp: bytes | None) -> bytes | None:
    """The same packet with tiff:Orientation 1, for pixels that have been turned."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if xmp else None


def describing(exif: bytes | None, height: int, width: int) -> bytes | None:
    """The same block made true for new, upright pixels: their size, and no thumbnail of the old ones."""
    if exif is None:
        return None
    patched = bytearray(upright(exif) or exif)
    _unlink_thumbnail(patched)
    details = _find(exif, FIRST, EXIF_IFD)
    if details:
        at = details.number(_order(exif))
        _write(patched, _find(exif, at, _PIXEL_X), width)
        _write(patched, _find(exif, at, _PIXEL_Y), height)
    return bytes(patched)


def without_orientation(exif: bytes | None) -> bytes | None:
    """The same block with the orientation entry taken out, for containers that turn the picture themselves."""
    entry = _find(exif, FIRST, ORIENTATION) if exif else None
    if exif is None or entry is None:
        return exif
    order = _order(exif)
    first = first_ifd(exif, order)
    (count,) = struct.unpack_from(order + "H", exif, first)
    end = first + 2 + 12 * count + 4  # the offset of the next directory moves up with the entries
    moved = exif[entry.start + 12 : end]
    patched = bytearray(exif)
    patched[entry.start : entry.start + len(moved)] = moved
    struct.pack_into(order + "H", patched, first, count - 1)
    return bytes(patched)


def _order(exif: bytes | bytearray) -> Order:
    return read_header(exif) or "<"


def _find(exif: bytes, ifd: int, tag: int) -> Entry | None:
    """The entry of a tag that holds one number; None when absent."""
    entries = read_ifd(exif, ifd, _order(exif))
    return next((e for e in entries if e.tag == tag and e.length == 1 and e.kind in (SHORT, LONG)), None)


def _write(exif: bytearray, entry: Entry | None, value: int) -> None:
    if entry and value < 2 ** (8 * len(entry.value)):
        struct.pack_into(_order(exif) + ("H" if entry.kind == SHORT else "I"), exif, entry.start + 8, value)


def _unlink_thumbnail(exif: bytearray) -> None:
    order = _order(exif)
    first = first_ifd(exif, order)
    if not 8 <= first <= len(exif) - 2:
        return
    (count,) = struct.unpack_from(order + "H", exif, first)
    end = first + 2 + 12 * count
    if end + 4 <= len(exif):
        struct.pack_into(order + "I", exif, end, 0)
