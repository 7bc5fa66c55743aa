"""Files for the photo tests, made on the fly with other writers than our own where one exists."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc:title="a photo"/></x:xmpmeta>'
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def smooth(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A gradient that lossy codecs keep nearly unchanged; every corner differs."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [40 + 150 * x / width, 40 + 150 * y / height, 30 + 80 * (x + y) / (width + height), 90 + 100 * y / height]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8)


def noise(shape: tuple[int, ...], dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    """Uniform random samples of the whole range."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def saved(array: NDArray[np.uint8] | Image.Image, format_name: str, **options: Any) -> bytes:
    """A file written by Pillow."""
    buffer = BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    if format_name == "JPEG" and "exif" in options:
        options["exif"] = b"Exif\0\0" + options["exif"]
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png16(array: NDArray[np.uint16], *extra: tuple[bytes, bytes]) -> bytes:
    """A plain 16-bit PNG (filter 0) from (H, W, 1…4), with further chunks before the pixels."""
    height, width, channels = array.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0), array.astype(">u2"), *extra)


def png(header: bytes, rows: NDArray[Any], *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG from its IHDR and its rows as stored."""
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    """A file written by tifffile."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def exif(turn: int = 1, order: str = "<", size: tuple[int, int] = (10, 20)) -> bytes:
    """An EXIF block: camera, orientation, pixel size and maker note one level down, GPS, a thumbnail directory."""
    width, height = size[::-1]
    details = [(0x9003, 2, b"2026:11:21 10:00:00\0"), (0x927C, 7, b"MAKER" * 9)]
    details += [(0xA002, 4, struct.pack(order + "I", width)), (0xA003, 4, struct.pack(order + "I", height))]
    gps = [(1, 2, b"N\0"), (2, 5, struct.pack(order + "6I", 52, 1, 30, 1, 0, 1))]
    first = [(0x010F, 2, b"A Camera Maker\0"), (0x0112, 3, struct.pack(order + "H", turn))]
    start = 8 + _ifd_size([*first, (0x8769, 4, bytes(4)), (0x8825, 4, bytes(4))])
    pointers = [(0x8769, 4, struct.pack(order + "I", start))]
    pointers += [(0x8825, 4, struct.pack(order + "I", start + _ifd_size(details)))]
    thumbnail = start + _ifd_size(details) + _ifd_size(gps)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    blocks = [_ifd([*first, *pointers], 8, order, thumbnail), _ifd(details, start, order)]
    blocks += [
        _ifd(gps, start + _ifd_size(details), order),
        _ifd([(0x0103, 3, struct.pack(order + "H", 6))], thumbnail, order),
    ]
    return head + b"".join(blocks)


def _ifd_size(entries: list[tuple[int, int, bytes]]) -> int:
    return 6 + 12 * len(entries) + sum(len(value) for _, _, value in entries if len(value) > 4)


def _ifd(entries: list[tuple[int, int, bytes]], offset: int, order: str, following: int = 0) -> bytes:
    at = offset + 6 + 12 * len(entries)
    table, values = struct.pack(order + "H", len(entries)), b""
    for tag, kind, value in entries:
        table += struct.pack(order + "HHI", tag, kind, len(value) // _TYPE_SIZES[kind])
        table += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", at + len(values))
        values += value if len(value) > 4 else b""
    return table + struct.pack(order + "I", following) + values


def read_exif(block: bytes) -> Image.Exif:
    """The block as Pillow reads it."""
    parsed = Image.Exif()
    parsed.load(block)
    return parsed


@cache
def srgb_icc() -> bytes:
    """An sRGB profile, once: it holds the second in which it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def look(array: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """What a colour-managed viewer with an sRGB screen shows."""
    source = ImageCms.ImageCmsProfile(BytesIO(icc))
    shown = ImageCms.profileToProfile(Image.fromarray(array), source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert shown is not None
    return np.asarray(shown)
