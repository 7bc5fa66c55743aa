"""TIFF: 8-bit pixels through Pillow, deeper ones through tifffile. (TIFF 6.0; Adobe TIFF technical notes.)"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from conservator.errors import InputError
from conservator.pixels.codecs.arrays import float_block
from conservator.pixels.codecs.pillow import image_planes, load, open_image
from conservator.pixels.colour import Conversion, to_srgb
from conservator.pixels.frame import (
    Frame,
    Metadata,
    Planes,
    Rows,
    assemble,
    bands,
    build,
    check_size,
    straight,
    to_eight,
)
from conservator.pixels.ifd import BITS, EXTRA_SAMPLES, ICC, ORIENTATION, XMP, extract_exif

if TYPE_CHECKING:
    from tifffile import TiffPage

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_SEPARATE_PLANES = "SYX"


def decode_tiff(data: bytes, max_pixels: int) -> Frame:
    """A frame from a TIFF file with one picture (thumbnails beside it do not count).

    1 to 16 bits, or floats in [0, 1]; grey, palette, RGB, CMYK, YCbCr, Lab. 16-bit CMYK is read at 8 bits.
    """
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        page = _only_page(file)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        turn = int(page.tags.valueof(ORIENTATION, 1) or 1)
        metadata = Metadata(_tag_bytes(page, ICC), extract_exif(data), _tag_bytes(page, XMP))
        if _bits(page) > 8:
            planes = _deep_planes(page, data, metadata.icc, turn if turn in range(1, 9) else 1)
            return build(planes, 8 if page.photometric == _CMYK else 16, "tiff", metadata)
    image = open_image(data, TiffImageFile, max_pixels)
    load(image)  # turns the picture
    kept = metadata._replace(icc=None) if image.mode in ("CMYK", "LAB") else metadata
    return build(image_planes(image, 1), 8, "tiff", kept)


def _only_page(file: Any) -> TiffPage:
    pages = [page for page in file.pages if not (page.subfiletype & 0b101)]  # bits: thumbnail, mask
    if len(pages) != 1:
        raise InputError(
            f"a TIFF file with {len(pages)} pages", "one picture", "save the page you want as its own file"
        )
    page: TiffPage = pages[0]
    return page


def _tag_bytes(page: TiffPage, tag: int) -> bytes | None:
    value = page.tags.valueof(tag)
    if isinstance(value, tuple):
        value = bytes(value)
    return value if isinstance(value, bytes) else None


def _bits(page: TiffPage) -> int:
    bits = page.tags.valueof(BITS, 1)
    return max(bits) if isinstance(bits, tuple) else int(bits)


class _Layout(NamedTuple):
    """What the samples of a pixel mean: so many of colour, then perhaps alpha."""

    photometric: int
    colours: int
    alpha: int  # 0, _PREMULTIPLIED or _STRAIGHT


def _layout(page: TiffPage) -> _Layout:
    photometric, channels = int(page.photometric or 0), int(page.samplesperpixel)
    colours = _COLOURS.get(photometric, 0)
    if not colours or not colours <= channels <= colours + 4 or page.axes not in ("YX", "YXS", _SEPARATE_PLANES):
        raise InputError(
            f"a {_bits(page)}-bit TIFF of kind {page.photometric!s} with {channels} channels",
            "grey, RGB or CMYK with at most one alpha channel",
            "save it as 16-bit RGB",
        )
    extra = page.tags.valueof(EXTRA_SAMPLES)
    if extra is None:  # many writers forget to say that the channel they added is alpha
        return _Layout(photometric, colours, _STRAIGHT if channels == colours + 1 else 0)
    first = int(extra[0] if isinstance(extra, tuple) else extra) if channels > colours else 0
    return _Layout(photometric, colours, first if first in (_PREMULTIPLIED, _STRAIGHT) else 0)


def _deep_planes(page: TiffPage, data: bytes, icc: bytes | None, turn: int) -> Planes:
    layout = _layout(page)
    array = _samples(page, data)
    if page.axes == _SEPARATE_PLANES:
        array = np.moveaxis(array, 0, -1)
    array = array.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    has_alpha = bool(layout.alpha)
    if layout.photometric == _CMYK:
        return assemble(array.shape[:2], 3, _cmyk_rows(array, to_srgb("CMYK", icc)), turn)
    return assemble(array.shape[:2], layout.colours + has_alpha, _rows(array, layout), turn)


def _samples(page: TiffPage, data: bytes) -> NDArray[Any]:
    if page.dtype is None or page.dtype.name not in ("uint16", "float32", "float64"):
        raise InputError(f"TIFF samples of type {page.dtype}", "8 or 16 bits, or float32", "save it with 16 bits")
    try:
        return page.asarray()
    except (KeyError, ImportError, ValueError) as error:
        if "imagecodecs" not in str(error) or page.axes == _SEPARATE_PLANES or page.samplesperpixel == 2:
            raise
    return _through_opencv(data)  # LZW and PackBits, which tifffile only reads with another package


def _through_opencv(data: bytes) -> NDArray[Any]:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise InputError(
            "TIFF pixels that cannot be read", "deflate, LZW or no compression", "save it without compression"
        )
    return array[..., [2, 1, 0, 3][: array.shape[2]]] if array.ndim == 3 else array


def _rows(array: NDArray[Any], layout: _Layout) -> Rows:
    for band in bands(*array.shape[:2]):
        block = array[band][..., : layout.colours + bool(layout.alpha)]
        if block.dtype.kind == "f":
            block = float_block(block)
        if layout.photometric == _WHITE_IS_ZERO:
            block = np.concatenate([65535 - block[..., :1], block[..., 1:]], axis=-1)
        if layout.alpha == _PREMULTIPLIED:
            block = straight(block)
        yield band.start, block


def _cmyk_rows(array: NDArray[np.uint16], convert: Conversion) -> Rows:
    for band in bands(*array.shape[:2]):
        block = to_eight(array[band][..., :4])
        yield band.start, np.asarray(convert(Image.fromarray(block, "CMYK")))
