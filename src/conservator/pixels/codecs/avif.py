"""AVIF: 8 bits through Pillow, 10 and 12 bits through OpenCV. (AVIF 1.1; ISO/IEC 14496-12 and 23008-12.)"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.AvifImagePlugin import AvifImageFile

from conservator.errors import InputError
from conservator.pixels.codecs.boxes import boxes
from conservator.pixels.codecs.pillow import image_planes, load, metadata_of, open_image, refuse_animation
from conservator.pixels.frame import Frame, Metadata, Planes, Rows, assemble, bands, build
from conservator.pixels.profiles import coded_profile

_HIGH_DEPTH, _TWELVE_BITS = 0x40, 0x20  # flags in the third byte of av1C


def decode_avif(data: bytes, max_pixels: int) -> Frame:
    """A frame from a still AVIF; 10 and 12 bits become 16."""
    image = open_image(data, AvifImageFile, max_pixels)
    refuse_animation(image)
    properties = dict(reversed(list(_properties(data))))  # the first of a kind is the picture's
    metadata = metadata_of(image)
    nclx = properties.get(b"nclx", b"")
    if not metadata.icc and len(nclx) >= 4:
        primaries, transfer = struct.unpack(">HH", nclx[:4])
        metadata = metadata._replace(icc=coded_profile(primaries, transfer, image.mode == "L"))
    depth = _depth(properties.get(b"av1C", b""))
    if depth > 8:
        return build(_deep_planes(data, depth, image.size, metadata), 16, "avif", metadata)
    load(image)
    return build(image_planes(image, metadata.turn), 8, "avif", metadata)


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Item properties by kind; colour information under its own sub-kind, "nclx" or "prof"."""
    meta = next((body for kind, body in boxes(data) if kind == b"meta"), b"")
    iprp = next((body for kind, body in boxes(meta[4:]) if kind == b"iprp"), b"")
    ipco = next((body for kind, body in boxes(iprp) if kind == b"ipco"), b"")
    for kind, body in boxes(ipco):
        yield (body[:4], body[4:]) if kind == b"colr" else (kind, body)


def _depth(av1c: bytes) -> int:
    flags = av1c[2] if len(av1c) > 2 else 0
    return 12 if flags & _TWELVE_BITS else 10 if flags & _HIGH_DEPTH else 8


def _deep_planes(data: bytes, depth: int, size: tuple[int, int], metadata: Metadata) -> Planes:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16 or array.shape[1::-1] != size:
        raise InputError("an AVIF file whose pixels cannot be read", "an undamaged file", "get it again")
    width, height = size
    rows = _widened(array.reshape(height, width, -1), 2**depth - 1)
    return assemble((height, width), array.size // (height * width), rows, metadata.turn)


def _widened(array: NDArray[Any], largest: int) -> Rows:
    order = [0] if array.shape[2] == 1 else [2, 1, 0, 3][: array.shape[2]]  # OpenCV: BGR and alpha
    for band in bands(*array.shape[:2]):
        block = array[band][..., order].astype(np.uint32)
        yield band.start, ((block * 65535 + largest // 2) // largest).astype(np.uint16)
