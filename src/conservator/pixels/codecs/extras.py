"""HEIC and camera RAW, through packages that are installed on request."""

from __future__ import annotations

import importlib
from io import BytesIO
from typing import Any

import numpy as np

from conservator.errors import InputError
from conservator.pixels.codecs.arrays import array_planes
from conservator.pixels.frame import Frame, Metadata, build, check_size
from conservator.pixels.ifd import extract_exif

_SRGB_GAMMA = (2.4, 12.92)


def decode_heic(data: bytes, max_pixels: int) -> Frame:
    """A frame from the primary picture of a HEIC file; 10 and 12 bits become 16. Needs pi-heif."""
    pi_heif = _extra("pi_heif", "HEIC", "heic")
    image = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    check_size(*image.size, max_pixels)
    array = np.asarray(image)
    info = image.info
    metadata = Metadata(info.get("icc_profile"), info.get("exif"), info.get("xmp"))
    # the decoder has already turned the picture: HEIF stores the rotation itself, and EXIF only repeats it
    return build(array_planes(array), 16 if array.dtype == np.uint16 else 8, "heic", metadata)


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
