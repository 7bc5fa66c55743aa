"""The boxes that AVIF and HEIC files are made of. (ISO/IEC 14496-12 and 23008-12.)"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_TEXTS = {2: 8, 3: 10}
"""Where the text of an item's entry begins, by its version: behind flags, number and protection come type and names."""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body) of each box up to one that is damaged; pixels are left out."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = at + length if length else len(data)
        if end < at + head:
            return
        if kind != b"mdat":
            yield kind, data[at + head : end]
        at = end


def item_texts(data: bytes) -> Iterator[bytes]:
    """Types and names of the items of a file, which should be UTF-8."""
    for meta in (body for kind, body in boxes(data) if kind == b"meta"):
        for found in re.finditer(rb"(?s)(....)infe", meta):
            entry = meta[found.end() : found.start() + int.from_bytes(found[1], "big")]
            yield entry[_TEXTS.get(entry[0], 8) if entry else 0 :]
