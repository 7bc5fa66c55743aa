"""Tags of TIFF files (and so of EXIF blocks): reading, filtering, writing. TIFF 6.0 §2; classic TIFF only."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

Order: TypeAlias = Literal["<", ">"]
"""Byte order of a TIFF file, as struct and numpy write it."""

FIRST = -1
"""Stands for the offset of the first directory, which the header holds."""

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, CHANNELS, STRIP_ROWS, STRIP_SIZES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC = 317, 338, 339, 700, 34675
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
_POINTERS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)

BYTE, SHORT, LONG, UNDEFINED = 1, 3, 4, 7
_BYTES_PER_VALUE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", 13: "I"}

_LAYOUT_TAGS = {*range(254, 267), *range(277, 282), *range(288, 294), *range(320, 329), *range(332, 343)}
_RAW_TAGS = {33421, 33422, *range(50706, 52600)}  # colour filter array and DNG: a developed picture is neither
_ABOUT_THE_FILE = frozenset(
    _LAYOUT_TAGS
    | _RAW_TAGS
    | {STRIP_OFFSETS, PLANAR, 301, PREDICTOR, 330, 347, *range(512, 533), XMP, 34377, ICC, 37724}
)
"""Tags that describe how the picture is stored (or hold other things than EXIF): not for the next file."""


class Entry(NamedTuple):
    """One tag: how many numbers of which kind, their raw bytes in the file's order, and where its 12 bytes start."""

    tag: int
    kind: int
    length: int
    value: bytes
    start: int = 0

    def numbers(self, order: Order) -> tuple[int, ...]:
        """The values of a BYTE, SHORT or LONG tag; () for other kinds."""
        code = _FORMATS.get(self.kind)
        return struct.unpack(f"{order}{self.length}{code}", self.value) if code else ()

    def number(self, order: Order, default: int = 0) -> int:
        """The first value of a BYTE, SHORT or LONG tag."""
        return next(iter(self.numbers(order)), default)


def entry(tag: int, kind: int, values: Sequence[int] | bytes, order: Order) -> Entry:
    """An entry from numbers, or from bytes as they are."""
    raw = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
    return Entry(tag, kind, len(values), raw)


def read_header(data: bytes | bytearray) -> Order | None:
    """Byte order of a classic TIFF file for struct, "<" or ">"; None for anything else, BigTIFF too."""
    if len(data) < 8 or data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    return "<" if data[:2] == b"II" else ">"


def read_ifd(data: bytes | bytearray, offset: int, order: Order) -> list[Entry]:
    """Entries of the directory at `offset` (or FIRST).

    Entries that point outside the file are left out, and so is what would make the values larger than the file.
    """
    if offset == FIRST:
        offset = first_ifd(data, order)
    if not 8 <= offset <= len(data) - 2:
        return []
    (count,) = struct.unpack_from(order + "H", data, offset)
    entries: list[Entry] = []
    budget = len(data)
    for start in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        found = _read_entry(data, start, order, budget)
        if found:
            entries.append(found)
            budget -= len(found.value)
    return entries


def first_ifd(data: bytes | bytearray, order: Order) -> int:
    """Offset of the first directory; `data` holds at least the header."""
    return int(struct.unpack_from(order + "I", data, 4)[0])


def _read_entry(data: bytes | bytearray, start: int, order: Order, budget: int) -> Entry | None:
    tag, kind, count = struct.unpack_from(order + "HHI", data, start)
    size = _BYTES_PER_VALUE.get(kind, 0) * count
    at = start + 8
    if size > 4:
        (at,) = struct.unpack_from(order + "I", data, at)
    if not 0 < size <= budget or at + size > len(data):
        return None
    return Entry(tag, kind, count, bytes(data[at : at + size]), start)


def ifd_bytes(entries: Iterable[Entry], offset: int, order: Order) -> bytes:
    """A directory that will stand at `offset`, its long values right behind it, and no next directory."""
    ordered = sorted(entries)
    at = offset + 2 + 12 * len(ordered) + 4
    table, values = [struct.pack(order + "H", len(ordered))], []
    for tag, kind, count, value, _ in ordered:
        table.append(struct.pack(order + "HHI", tag, kind, count))
        if len(value) <= 4:
            table.append(value.ljust(4, b"\0"))
        else:
            table.append(struct.pack(order + "I", at))
            values.append(value + b"\0" * (len(value) % 2))  # values start on even offsets
            at += len(values[-1])
    return b"".join([*table, b"\0\0\0\0", *values])


def descriptive(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that are about the photograph rather than about how this file stores it."""
    return [found for found in entries if found.tag not in _ABOUT_THE_FILE]


def extract_exif(data: bytes) -> bytes | None:
    """The EXIF block of a TIFF file: its descriptive tags, with the EXIF, GPS and interoperability directories."""
    order = read_header(data)
    if order is None:
        return None
    entries = descriptive(read_ifd(data, FIRST, order))
    if not entries:
        return None
    return data[:4] + struct.pack(order + "I", 8) + _moved(data, entries, 8, order)


def _moved(data: bytes, entries: list[Entry], offset: int, order: Order) -> bytes:
    """The directory rewritten to stand at `offset`, followed by the directories it points to."""
    own = len(ifd_bytes(entries, offset, order))
    behind, rewritten = b"", []
    for found in entries:
        if found.tag in _POINTERS:
            at = offset + own + len(behind)
            behind += _moved(data, _nested(data, found, order), at, order)
            found = entry(found.tag, LONG, [at], order)
        rewritten.append(found)
    return ifd_bytes(rewritten, offset, order) + behind


def _nested(data: bytes, pointer: Entry, order: Order) -> list[Entry]:
    """Only the EXIF directory points further, and only to the interoperability one: no file can send us in circles."""
    allowed = (INTEROP_IFD,) if pointer.tag == EXIF_IFD else ()
    nested = read_ifd(data, pointer.number(order), order)
    return [found for found in nested if found.tag not in _POINTERS or found.tag in allowed]
