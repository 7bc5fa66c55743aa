"""Whatever Pillow decodes: JPEG, WebP, AVIF, BMP, 8-bit PNG and TIFF, and the user's own PIL images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from conservator.errors import InputError
from conservator.pixels.codecs.arrays import array_planes
from conservator.pixels.colour import to_srgb
from conservator.pixels.frame import Frame, Metadata, Planes, Rows, assemble, bands, build, check_size
from conservator.pixels.ifd import extract_exif

_CONTAINERS = {"JPEG": "jpeg", "MPO": "jpeg"} | {name.upper(): name for name in ("png", "webp", "tiff", "avif", "bmp")}
_CONVERTED = ("CMYK", "LAB")

_lock, _depth, _saved = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS


def open_image(data: bytes, kind: type[ImageFile.ImageFile], max_pixels: int) -> ImageFile.ImageFile:
    """Read the header only, and refuse what is too large.

    The plugin is called directly rather than through Image.open, which applies Pillow's own process-wide limit and,
    for a JPEG that carries more pictures behind the first (phones store previews that way), hands out another class.
    """
    with _own_limit():
        image = kind(BytesIO(data))
    check_size(*image.size, max_pixels)
    return image


def refuse_animation(image: Image.Image) -> None:
    """InputError when a file holds several pictures in a row."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise animation_error(frames)


def animation_error(frames: int) -> InputError:
    """The error for moving pictures."""
    return InputError(f"an animation of {frames} frames", "one picture", "extract the frame you want as PNG")


def load(image: Image.Image) -> None:
    """Decode all pixels; check the size first."""
    with _own_limit():
        image.load()


def metadata_of(image: Image.Image) -> Metadata:
    """Profile, EXIF and XMP as Pillow found them; no profile where the pixels will be converted to sRGB."""
    icc, exif, xmp = (image.info.get(key) for key in ("icc_profile", "exif", "xmp"))
    if image.mode in _CONVERTED:
        icc = None
    return Metadata(icc, exif, xmp.encode() if isinstance(xmp, str) else xmp)


def decode_pillow(data: bytes, kind: type[ImageFile.ImageFile], container: str, max_pixels: int) -> Frame:
    """A frame from a file whose pixels and metadata Pillow reads well: JPEG, WebP, AVIF, BMP."""
    image = open_image(data, kind, max_pixels)
    if container != "jpeg":
        refuse_animation(image)
    load(image)
    metadata = metadata_of(image)
    return build(image_planes(image, metadata.turn), 8, container, metadata)


def decode_loaded(image: Image.Image, max_pixels: int) -> Frame:
    """A frame from a PIL image in memory, with the metadata it remembers; the current frame of an animation."""
    check_size(*image.size, max_pixels)
    container = _CONTAINERS.get(image.format or "", "array")
    load(image)
    metadata = metadata_of(image)
    if container == "tiff":  # Pillow has turned the picture, and keeps EXIF among the tags
        metadata = metadata._replace(exif=extract_exif(image.getexif().tobytes()[len(b"Exif\0\0") :]))
    depth = 16 if image.mode[0] in "IF" else 8
    return build(image_planes(image, metadata.turn), depth, container, metadata)


def unread_bytes(image: Image.Image) -> bytes | None:
    """The file behind a PIL image that Pillow is about to cut from 16 to 8 bits; None for all others."""
    if not isinstance(image, ImageFile.ImageFile) or image.fp is None:
        return None
    if not any(";16" in str(tile.args) and image.mode[0] != "I" for tile in image.tile):
        return None
    image.fp.seek(0)
    return image.fp.read()


def image_planes(image: Image.Image, turn: int) -> Planes:
    """Upright pixels of a decoded image of any mode; CMYK and Lab become sRGB."""
    if image.mode[0] in "IF":
        return array_planes(_deep_array(image), turn)
    channels, read = _reader(image)
    width, height = image.size
    return assemble((height, width), channels, _rows(image, channels, read), turn)


def _rows(image: Image.Image, channels: int, read: Callable[[Image.Image], NDArray[np.uint8]]) -> Rows:
    """Small pieces, so that no second copy of the whole image is ever made."""
    width, height = image.size
    for band in bands(height, width):
        with _own_limit():  # Pillow 12 applies its own to every crop
            piece = image.crop((0, band.start, width, band.stop))
        yield band.start, read(piece).reshape(band.stop - band.start, width, channels)


def _reader(image: Image.Image) -> tuple[int, Callable[[Image.Image], NDArray[np.uint8]]]:
    """How many channels come out (1…4), and what reads them from a piece of the image."""
    if image.mode in _CONVERTED:
        convert = to_srgb(image.mode, image.info.get("icc_profile") if image.mode == "CMYK" else None)
        return 3, lambda piece: np.asarray(convert(piece))
    alpha = image.has_transparency_data
    if image.mode in ("1", "L") and alpha:  # one grey value is the transparent one
        return 2, lambda piece: np.asarray(piece.convert("RGBA"))[..., ::3]
    gray = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if alpha else "L") if gray else ("RGBA" if alpha else "RGB")
    return len(mode), lambda piece: np.asarray(piece.convert(mode))


def _deep_array(image: Image.Image) -> NDArray[Any]:
    """16-bit or float grey (H, W, 1) of modes I;16, I;16B, I and F."""
    array = np.asarray(image)[..., None]
    if image.mode == "I" and (array.min() < 0 or array.max() > 65535):
        raise InputError("32-bit grey values", "values in 0…65535", "scale them to 16 bits first")
    return array if image.mode == "F" else array.astype(np.uint16)


@contextmanager
def _own_limit() -> Iterator[None]:
    """Lift Pillow's process-wide pixel limit while we open and load; `check_size` keeps ours instead.

    Pillow's would refuse WebP and TIFF above 179 MP, whatever `max_pixels` says.
    """
    global _depth, _saved
    with _lock:
        if _depth == 0:
            _saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                Image.MAX_IMAGE_PIXELS = _saved
