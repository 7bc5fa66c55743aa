"""HEIC and camera RAW, through packages that are installed on request."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

from conservator.errors import InputError
from conservator.pixels.codecs.arrays import array_planes
from conservator.pixels.codecs.boxes import item_texts
from conservator.pixels.frame import Frame, Metadata, array_rows, assemble, build, check_size, straight_rows
from conservator.pixels.ifd import extract_exif
from conservator.pixels.profiles import coded_profile

_SRGB_GAMMA = (2.4, 12.92)


def decode_heic(data: bytes, max_pixels: int) -> Frame:
    """A frame from the primary picture of a HEIC file; 10 and 12 bits become 16. Needs pi-heif."""
    pi_heif = _extra("pi_heif", "HEIC", "heic")
    _check_texts(data)
    image = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    width, height = image.size
    check_size(width, height, max_pixels)
    gray = image.mode[0] in "LI"
    array = np.asarray(image)
    array = array[..., None] if array.ndim == 2 else array
    rows = straight_rows(array) if image.premultiplied_alpha else array_rows(array)
    planes = assemble(array.shape[:2], array.shape[2], rows)  # upright: the decoder has turned it, as HEIF tells it to
    metadata = Metadata(_heic_profile(image.info, gray), image.info.get("exif"), image.info.get("xmp"))
    return build(planes, 8 if array.dtype == np.uint8 else 16, "heic", metadata)


def _check_texts(data: bytes) -> None:
    """InputError for what would bring the decoder down, and this process with it."""
    try:
        for text in item_texts(data):
            text.decode()
    except UnicodeDecodeError as error:
        raise InputError("a HEIC file with a name that is no text", "an undamaged file", "get it again") from error


def _heic_profile(info: Mapping[str, Any], gray: bool) -> bytes | None:
    icc: bytes | None = info.get("icc_profile")
    nclx = info.get("nclx_profile")
    if icc or not nclx:
        return icc
    return coded_profile(nclx["color_primaries"], nclx["transfer_characteristics"], gray)


def decode_raw(data: bytes, max_pixels: int) -> Frame:
    """A developed camera RAW: 16-bit sRGB, the camera's white balance, no automatic brightening. Needs rawpy."""
    rawpy = _extra("rawpy", "camera RAW", "raw")
    with rawpy.imread(BytesIO(data)) as raw:
        check_size(raw.sizes.width, raw.sizes.height, max_pixels)
        array = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True, gamma=_SRGB_GAMMA)
    # the developer has turned the picture; `build` makes the EXIF block say so
    return build(array_planes(array), 16, "raw", Metadata(exif=extract_exif(data)))


def _extra(module: str, format_name: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"a {format_name} file, and the package {module} is not installed",
            "a package that reads it",
            f"pip install 'conservator[{extra}]', or save the picture as PNG or TIFF",
        ) from error
