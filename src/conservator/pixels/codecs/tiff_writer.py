"""Writing TIFF: one upright picture, deflated strips, with every tag of its EXIF block. (TIFF 6.0; deflate: TTN2.)

An EXIF block is a TIFF file without a picture, so the picture is appended to it: maker notes and all directories
inside keep their places, and only the first directory is written anew, with the picture's own tags among the old.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from conservator.errors import OutputError
from conservator.pixels import ifd
from conservator.pixels.frame import Frame, output_channels, output_rows

_EMPTY = {"<": b"II*\0\0\0\0\0", ">": b"MM\0*\0\0\0\0"}
_DEFLATE, _HORIZONTAL_DIFFERENCES, _STRAIGHT_ALPHA, _CONTIGUOUS = 8, 2, 2, 1
_LARGEST = 2**32 - 1  # offsets have 32 bits


def encode_tiff(frame: Frame) -> bytes:
    """A TIFF file of the frame's depth, with its profile, EXIF and XMP. OutputError above 4 GB."""
    order = ifd.read_header(frame.exif or b"") or "<"
    parts = [_even(frame.exif if frame.exif else _EMPTY[order])]
    at, strips, rows_per_strip = len(parts[0]), [], 0
    for _, block in output_rows(frame, frame.depth):
        rows_per_strip = max(rows_per_strip, len(block))
        strip = zlib.compress(_differences(block).astype(block.dtype.newbyteorder(order)).tobytes())
        strips.append((at, len(strip)))
        parts.append(_even(strip))
        at += len(parts[-1])
    parts.append(ifd.ifd_bytes(_tags(frame, strips, rows_per_strip, order), at, order))
    if at + len(parts[-1]) > _LARGEST:
        raise OutputError("a TIFF of more than 4 GB", "less than 4 GB", "save as PNG")
    parts[0] = parts[0][:4] + struct.pack(order + "I", at) + parts[0][8:]
    return b"".join(parts)


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _differences(block: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Each sample less its left neighbour's, modulo 2⁸ or 2¹⁶."""
    difference = block.copy()
    difference[:, 1:] -= block[:, :-1]
    return difference


def _tags(frame: Frame, strips: list[tuple[int, int]], rows_per_strip: int, order: ifd.Order) -> list[ifd.Entry]:
    height, width = frame.size
    channels = output_channels(frame)
    longs = {
        ifd.WIDTH: [width],
        ifd.HEIGHT: [height],
        ifd.STRIP_ROWS: [rows_per_strip],
        ifd.STRIP_OFFSETS: [offset for offset, _ in strips],
        ifd.STRIP_SIZES: [size for _, size in strips],
    }
    shorts = {
        ifd.BITS: [frame.depth] * channels,
        ifd.COMPRESSION: [_DEFLATE],
        ifd.PHOTOMETRIC: [1 if frame.gray else 2],
        ifd.CHANNELS: [channels],
        ifd.PLANAR: [_CONTIGUOUS],
        ifd.PREDICTOR: [_HORIZONTAL_DIFFERENCES],
    }
    if frame.alpha is not None:
        shorts[ifd.EXTRA_SAMPLES] = [_STRAIGHT_ALPHA]
    blobs = {tag: data for tag, data in ((ifd.ICC, frame.icc), (ifd.XMP, frame.xmp)) if data}
    own = [ifd.entry(tag, ifd.LONG, values, order) for tag, values in longs.items()]
    own += [ifd.entry(tag, ifd.SHORT, values, order) for tag, values in shorts.items()]
    own += [ifd.entry(tag, ifd.UNDEFINED if tag == ifd.ICC else ifd.BYTE, data, order) for tag, data in blobs.items()]
    return own + _from_exif(frame.exif, {entry.tag for entry in own}, order)


def _from_exif(exif: bytes | None, taken: set[int], order: ifd.Order) -> list[ifd.Entry]:
    if not exif:
        return []
    entries = ifd.descriptive(ifd.read_ifd(exif, ifd.FIRST, order))
    return [entry for entry in entries if entry.tag not in taken]
