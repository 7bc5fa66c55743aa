"""What a file is, by its first bytes; names lie too often."""

from __future__ import annotations

import re

from conservator.errors import InputError
from conservator.pixels.ifd import FIRST, read_header, read_ifd

READABLE = "JPEG, PNG, WebP, TIFF, AVIF, BMP, HEIC or camera RAW"

_RAW_SUFFIX = re.compile(
    r"\.(3fr|arw|cr[23]|dcr|dng|erf|fff|iiq|k25|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|x3f)",
    re.IGNORECASE,
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")
_OTHERS = {
    b"GIF8": "GIF",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"<svg": "SVG",
    b"<?xml": "XML",
}
_DNG_VERSION = 50706
_REDUCED_RESOLUTION = 1


def container_of(data: bytes, suffix: str = "") -> str:
    """Container name of a file's bytes: "jpeg", "png", "webp", "tiff", "avif", "bmp", "heic" or "raw".

    suffix  the file's extension with its dot; consulted only to tell camera RAW, which looks like TIFF, from TIFF
    InputError names the format when it is a known one that is not read.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM":
        return "bmp"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data.startswith(_RAW_STARTS) or data[8:10] == b"CR":
        return "raw"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "raw" if _is_raw(data, suffix) else "tiff"
    raise _unknown(data)


def _by_brand(data: bytes) -> str:
    """ISO base media files: the major brand, then the compatible ones, say which codec is inside."""
    length = min(max(int.from_bytes(data[:4], "big"), 16), 256)
    brands = [data[8:12]] + [data[i : i + 4] for i in range(16, length, 4)]
    for brand in brands:
        if brand in (b"avif", b"avis"):
            return "avif"
        if brand in _HEIC_BRANDS:
            return "heic"
        if brand == b"crx ":
            return "raw"
    raise _unknown(data)


def _is_raw(data: bytes, suffix: str) -> bool:
    """RAW files open with a small preview; DNG says so in a tag."""
    if _RAW_SUFFIX.fullmatch(suffix):
        return True
    order = read_header(data)
    if order is None:
        return False
    entries = {entry.tag: entry for entry in read_ifd(data, FIRST, order)}
    subfile = entries.get(254)
    return _DNG_VERSION in entries or (subfile is not None and bool(subfile.number(order) & _REDUCED_RESOLUTION))


def _unknown(data: bytes) -> InputError:
    if not data:
        return InputError("an empty file", READABLE, "get the file again; this copy holds no bytes")
    name = next((name for start, name in _OTHERS.items() if data.startswith(start)), "")
    got = f"a {name} file" if name else "a file of unknown format"
    return InputError(got, READABLE, "save it as PNG or TIFF in the program it came from")
