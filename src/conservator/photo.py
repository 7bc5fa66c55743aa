"""Photos: a picture with everything that must survive the trip from file to file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError, OutputError, UsageError
from conservator.files import check_place, file_behind, read_file, read_stream, write_atomically
from conservator.pixels.frame import Frame
from conservator.pixels.types import Pixels, Samples, to_pixels

if TYPE_CHECKING:
    from PIL import Image

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any] | Photo"

MAX_PIXELS = 400_000_000
"""Largest H·W that `open_photo` accepts unless told otherwise."""

_BYTES_PER_PIXEL = 16  # RGBA floats: no picture file needs more, whatever its container
_OVERHEAD = 256 * 2**20  # bytes of metadata and previews a file may carry beside its pixels


@dataclass(frozen=True, eq=False)
class Photo(Frame):
    """A photograph in memory: pixels (see `Frame`), where they came from, and the untouched file.

    source   absolute path of the file it was read from, or None
    encoded  the bytes of that file, or None; they stand for the whole photo, so drop them when you replace a field
    """

    source: Path | None = None
    encoded: bytes | None = field(default=None, repr=False)

    @property
    def file_name(self) -> str | None:
        """Name of that file without its folder, which is nobody's business but the owner's."""
        return self.source.name if self.source else None

    @property
    def pixels(self) -> Pixels:
        """float32 (H, W, 3) in [0, 1]: the whole frame at 12 bytes per pixel; work on tiles of `samples` instead."""
        return to_pixels(self.samples)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the file's bytes, or without a file of the size, samples and alpha."""
        if self.encoded is not None:
            return hashlib.sha256(self.encoded).hexdigest()
        digest = hashlib.sha256(repr(self.samples.shape).encode())
        for plane in (self.samples, self.alpha):
            if plane is not None:
                digest.update(np.ascontiguousarray(plane, "<u2").data)
        return digest.hexdigest()

    @cached_property
    def jpeg_quality(self) -> int | None:
        """libjpeg's quality, 1…100, that its file's quantisation table stands for; None for other pictures."""
        if self.encoded is None or self.container != "jpeg":
            return None
        from conservator.pixels.codecs.quantisation import jpeg_quality

        return jpeg_quality(self.encoded)

    def with_samples(self, samples: Samples) -> Photo:
        """The same photo with other pixels, uint16 (H', W', 3); alpha is resized along when the size changes.

        UsageError for another dtype or shape.
        """
        alpha = self.alpha
        if alpha is not None and samples.shape[:2] != alpha.shape:
            alpha = _resized(alpha, samples.shape[:2])
        return replace(self, samples=samples, alpha=alpha, encoded=None)


def _resized(alpha: NDArray[np.uint16], size: tuple[int, ...]) -> NDArray[np.uint16]:
    import cv2

    height, width = size
    return cast("NDArray[np.uint16]", cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR))


def read_photo(path: Path) -> bytes:
    """The bytes of a photograph's file; InputError when it cannot be read or is larger than any photograph."""
    return read_file(path, _byte_limit(MAX_PIXELS))


def open_photo(source: Source, *, max_pixels: int = MAX_PIXELS, origin: Path | None = None) -> Photo:
    """Read a photograph: upright, with its profile, EXIF, XMP, transparency and bit depth.

    source      a path, a file's bytes, a binary stream, a PIL image, a Photo (returned as it is), or a numpy array:
                uint8, uint16 or float in [0, 1], of shape (H, W) or (H, W, 1 grey | 2 grey and alpha | 3 RGB | 4 RGBA)
    max_pixels  largest H·W accepted; files are measured by their header, before decoding
    origin      the file that bytes were read from

    Files: JPEG, PNG, WebP, TIFF, AVIF, BMP; HEIC and camera RAW with the extras `heic` and `raw`. The container is
    found from the content, not from the name. RGB and grey profiles stay with unchanged sample values; CMYK and Lab
    become sRGB.

    InputError for files that are missing, unreadable, damaged, empty, too large, animated or of several pages, and
    for arrays of another dtype, shape or range; UsageError for anything that is not a source.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _from_bytes(read_file(path, _byte_limit(max_pixels)), max_pixels, path.absolute())
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), max_pixels, origin.absolute() if origin is not None else None)
    if hasattr(source, "read"):
        data = read_stream(cast(BinaryIO, source), _byte_limit(max_pixels))
        return _from_bytes(data, max_pixels, file_behind(source))
    return _from_memory(source, max_pixels)


def _byte_limit(max_pixels: int) -> int:
    return max_pixels * _BYTES_PER_PIXEL + _OVERHEAD


def _from_bytes(data: bytes, max_pixels: int, path: Path | None = None) -> Photo:
    from conservator.pixels.codecs import decode

    try:
        frame = decode(data, max_pixels=max_pixels, suffix=path.suffix if path else "")
    except InputError as error:
        raise InputError(f"{path}: {error.got}" if path else error.got, error.wanted, error.fix) from error
    return Photo(**vars(frame), source=path, encoded=data)


def _from_memory(source: Any, max_pixels: int) -> Photo:
    from PIL import Image

    from conservator.pixels.codecs import decode_image
    from conservator.pixels.codecs.arrays import decode_array

    if isinstance(source, np.ndarray):
        return Photo(**vars(decode_array(source, max_pixels)))
    if isinstance(source, Image.Image):
        return Photo(**vars(decode_image(source, max_pixels=max_pixels)), source=file_behind(source))
    raise UsageError(
        f"a photo of type {type(source).__name__}",
        "a path, bytes, a binary stream, a PIL image, a numpy array or a Photo",
        "convert it to a numpy array",
    )


def encode(photo: Photo, container: str, *, quality: int = 95) -> bytes:
    """A file's bytes: "jpeg", "png", "webp", "tiff", "avif" or "bmp".

    An untouched photo in its own container comes back as the very bytes it was read from. Otherwise the depth is the
    photo's in PNG and TIFF, and 8 bits, rounded to the nearest, in the others.

    quality  1…100, for JPEG (4:4:4), WebP and AVIF; 100 makes WebP lossless

    OutputError when the container is unknown or cannot hold the picture's transparency, size, EXIF or XMP; only BMP
    leaves EXIF and XMP out, and it gets the picture in sRGB because it holds no profile. UsageError for the quality.
    """
    from conservator.pixels import codecs

    name = container.lower().lstrip(".")
    name = codecs.SUFFIXES.get(f".{name}", name)
    if photo.encoded is not None and name == photo.container:
        return photo.encoded
    return codecs.encode(photo, name, quality)


def save(
    photo: Photo,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    quality: int = 95,
    protect: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Write a photo, complete or not at all, in the container its file name asks for; see `encode`.

    overwrite  whether an existing file may be replaced; the photo's own source never is
    protect    further files that must not be replaced, under whatever name or link
    Returns the path. OutputError when the extension is unknown or the file cannot or must not be written.
    """
    from conservator.pixels.codecs import SUFFIXES

    target = Path(path)
    container = SUFFIXES.get(target.suffix.lower())
    if container is None:
        raise OutputError(f"the extension {target.suffix!r} of {target}", ", ".join(SUFFIXES), "name the file so")
    originals = [Path(p) for p in protect] + ([photo.source] if photo.source else [])
    check_place(target, overwrite=overwrite, protect=originals)
    write_atomically(target, encode(photo, container, quality=quality), overwrite=overwrite, protect=originals)
    return target
