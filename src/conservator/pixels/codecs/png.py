"""PNG: chunks, 16-bit pixels, metadata. (W3C PNG Specification, third edition.)

Pillow decodes 8-bit pixels; it would quietly cut 16-bit colour down to 8 bits, so those go through OpenCV, which in
turn knows no metadata. Chunks are therefore read and written here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from conservator.errors import InputError
from conservator.pixels.codecs.pillow import animation_error, image_planes, load, open_image
from conservator.pixels.frame import (
    Frame,
    Metadata,
    Planes,
    Rows,
    assemble,
    bands,
    build,
    check_size,
    output_channels,
    output_rows,
)
from conservator.pixels.profiles import coded_profile, measured_profile

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_INFLATED_LIMIT = 64 * 2**20  # bytes that a compressed profile or XMP packet may grow to
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of colour types grey, RGB, grey and alpha, RGB and alpha
_COLOUR_TYPES = {channels: colour_type for colour_type, channels in _CHANNELS.items()}


class Chunk(NamedTuple):
    """One chunk: its four-letter kind, its data, and all its bytes."""

    kind: bytes
    data: memoryview
    whole: memoryview


class Header(NamedTuple):
    """IHDR."""

    width: int
    height: int
    depth: int
    colour_type: int
    compression: int
    filter: int
    interlace: int


def decode_png(data: bytes, max_pixels: int) -> Frame:
    """A frame from a PNG file of 1 to 16 bits."""
    chunks = list(_chunks(data))
    first = {chunk.kind: chunk.data for chunk in reversed(chunks)}
    header = Header._make(struct.unpack(">IIBBBBB", first[b"IHDR"]))
    check_size(header.width, header.height, max_pixels)
    if b"acTL" in first and (frames := int.from_bytes(first[b"acTL"][:4], "big")) > 1:
        raise animation_error(frames)
    metadata = Metadata(_profile(first, header), bytes(first.get(b"eXIf", b"")), _xmp(chunks))
    if header.depth == 16:
        planes = _deep_planes(chunks, header, first.get(b"tRNS"), metadata.turn)
    else:
        image = open_image(_only(chunks, b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"), PngImageFile, max_pixels)
        load(image)
        planes = image_planes(image, metadata.turn)
    return build(planes, 16 if header.depth == 16 else 8, "png", metadata)


def _chunks(data: bytes) -> Iterator[Chunk]:
    """All chunks up to IEND; InputError when the file stops before it or a checksum is wrong."""
    view, at, kind = memoryview(data), len(_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", view[at : at + 8].tobytes().ljust(8, b"\0"))
        end = at + 12 + length
        if end > len(data):
            raise InputError("a PNG file that stops in the middle", "a complete file", "get it again")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise InputError(f"a PNG file whose {kind!r} chunk is damaged", "an undamaged file", "get it again")
        yield Chunk(kind, view[at + 8 : end - 4], view[at:end])
        at = end


def _only(chunks: list[Chunk], *kinds: bytes) -> bytes:
    """The same file with these kinds of chunks only: decoders need no metadata, and have limits of their own on it."""
    return b"".join([_SIGNATURE, *(chunk.whole for chunk in chunks if chunk.kind in kinds)])


def _deep_planes(chunks: list[Chunk], header: Header, key: memoryview | None, turn: int) -> Planes:
    import cv2

    file = np.frombuffer(_only(chunks, b"IHDR", b"IDAT", b"IEND"), np.uint8)
    array = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise InputError("a PNG file whose pixels cannot be read", "an undamaged file", "get it again")
    channels = _CHANNELS[header.colour_type]
    order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]  # OpenCV: BGR, and grey and alpha as BGRA
    transparent = np.frombuffer(key, ">u2") if key is not None and channels in (1, 3) else None
    rows = _deep_rows(
        np.reshape(array, (header.height, header.width, -1)).astype(np.uint16, copy=False), order, transparent
    )
    return assemble((header.height, header.width), channels + (transparent is not None), rows, turn)


def _deep_rows(array: NDArray[np.uint16], order: list[int], transparent: NDArray[np.uint16] | None) -> Rows:
    for band in bands(*array.shape[:2]):
        block = array[band][..., order]
        if transparent is not None:
            opaque = (block != transparent).any(axis=-1, keepdims=True)
            block = np.concatenate([block, opaque.astype(np.uint16) * np.uint16(65535)], axis=-1)
        yield band.start, block


def _profile(chunks: dict[bytes, memoryview], header: Header) -> bytes | None:
    """The ICC profile, found or made from cICP, gAMA and cHRM; the order of precedence is the specification's."""
    gray = _CHANNELS.get(header.colour_type, 3) <= 2
    if cicp := chunks.get(b"cICP"):
        return coded_profile(cicp[0], cicp[1], gray)
    if iccp := chunks.get(b"iCCP"):  # name, method, deflated profile
        _, _, rest = bytes(iccp).partition(b"\0")
        return _inflated(rest[1:])
    if b"sRGB" in chunks:
        return None
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    chrm = chunks.get(b"cHRM")
    points = np.frombuffer(chrm, ">u4").reshape(4, 2) / 1e5 if chrm else None
    chromaticities = tuple((float(x), float(y)) for x, y in points) if points is not None else None
    return measured_profile(1e5 / gamma if gamma else None, chromaticities, gray)


def _xmp(chunks: list[Chunk]) -> bytes | None:
    """iTXt: keyword, whether deflated, method, language, translated keyword, text."""
    for chunk in chunks:
        if chunk.kind == b"iTXt" and bytes(chunk.data[: len(_XMP_KEYWORD) + 1]) == _XMP_KEYWORD + b"\0":
            body = bytes(chunk.data[len(_XMP_KEYWORD) + 1 :])
            text = body[2:].split(b"\0", 2)[-1]
            return _inflated(text) if body[:1] == b"\1" else text
    return None


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, _INFLATED_LIMIT)
    if not inflater.eof:
        raise InputError("PNG metadata that is damaged or larger than 64 MB", "sound metadata", "save the file again")
    return inflated


def encode_png(frame: Frame) -> bytes:
    """A PNG file of the frame's depth, with its profile, EXIF and XMP."""
    height, width = frame.size
    colour_type = _COLOUR_TYPES[output_channels(frame)]
    parts = [_SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, frame.depth, colour_type, 0, 0, 0))]
    if frame.icc:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(frame.icc)))
    if frame.exif:
        parts.append(_chunk(b"eXIf", frame.exif))
    if frame.xmp:
        parts.append(_chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + frame.xmp))
    parts += [_chunk(b"IDAT", data) for data in _deflated(frame)]
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _deflated(frame: Frame) -> Iterator[bytes]:
    deflater = zlib.compressobj()
    step = output_channels(frame) * frame.depth // 8
    above: NDArray[np.uint8] | None = None
    for _, block in output_rows(frame, frame.depth):
        rows = block.astype(">u2").view(np.uint8) if frame.depth == 16 else block
        rows = rows.reshape(len(rows), -1)
        above = np.zeros_like(rows[0]) if above is None else above
        yield deflater.compress(_filtered(rows, above, step).tobytes())
        above = rows[-1]
    yield deflater.flush()


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Each row predicted by Sub, Up or Paeth, whichever leaves the smallest residual; filter number first (§9)."""
    up = np.vstack([above[None], rows[:-1]])
    left, corner = _shifted(rows, step), _shifted(up, step)
    residuals = np.stack([rows - left, rows - up, rows - _paeth(left, up, corner)])
    best = np.abs(residuals.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64).argmin(axis=0)
    chosen = residuals[best, np.arange(len(rows))]
    return np.hstack([np.array([[1], [2], [4]], np.uint8)[best], chosen])


def _shifted(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    shifted = np.zeros_like(rows)
    shifted[:, step:] = rows[:, :-step]
    return shifted


def _paeth(left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Whichever neighbour is nearest to left + up - corner (§9.4)."""
    a, b, c = (plane.astype(np.int16) for plane in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
