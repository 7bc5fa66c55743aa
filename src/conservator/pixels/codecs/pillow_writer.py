"""Writing JPEG, WebP, AVIF and BMP through Pillow: all hold 8 bits, so 16-bit samples are rounded to the nearest."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from conservator.errors import OutputError
from conservator.pixels.colour import profile_space, to_srgb
from conservator.pixels.frame import Frame, Rows, assemble, bands, output_channels, output_rows, to_eight
from conservator.pixels.ifd import extract_exif
from conservator.pixels.metadata import without_orientation

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_JPEG_SEGMENT = 65533  # bytes in a JPEG segment, its length field apart
_EXIF_PREFIX, _XMP_PREFIX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def encode_jpeg(frame: Frame, quality: int) -> bytes:
    """Baseline JPEG, full colour resolution. OutputError for EXIF or XMP above 64 kB, which JPEG cannot hold."""
    exif = frame.exif or b""
    if len(exif) > _JPEG_SEGMENT - len(_EXIF_PREFIX):
        exif = extract_exif(exif) or b""  # what it held of a thumbnail, and other bytes nothing points to, go first
    exif = _EXIF_PREFIX + exif if exif else b""
    for name, segment in (("EXIF", exif), ("XMP", _XMP_PREFIX + (frame.xmp or b""))):
        if len(segment) > _JPEG_SEGMENT:
            raise OutputError(f"{len(segment)} bytes of {name}", "at most 64 kB in a JPEG", "save as PNG, WebP or TIFF")
    return _saved(frame, "JPEG", quality=quality, subsampling=0, exif=exif, xmp=frame.xmp, icc_profile=frame.icc)


def encode_webp(frame: Frame, quality: int) -> bytes:
    """WebP; lossless at quality 100, and then exact under transparent pixels too. Grey becomes RGB."""
    return _saved(
        _as_srgb(frame) if _is_gray_profile(frame) else frame,
        "WEBP",
        quality=quality,
        lossless=quality == 100,
        exact=True,
        exif=frame.exif or b"",
        xmp=frame.xmp or b"",
    )


def encode_avif(frame: Frame, quality: int) -> bytes:
    """AVIF, full colour resolution, 8 bits. Grey with alpha becomes RGB with alpha."""
    with_alpha = frame.gray and frame.alpha is not None
    return _saved(
        _as_srgb(frame) if with_alpha and _is_gray_profile(frame) else frame,
        "AVIF",
        quality=quality,
        subsampling="4:0:0" if frame.gray and not with_alpha else "4:4:4",
        exif=without_orientation(frame.exif) or b"",
        xmp=frame.xmp or b"",
    )


def encode_bmp(frame: Frame, quality: int) -> bytes:
    """BMP, uncompressed. It holds no profile, so the picture is converted to sRGB; EXIF and XMP are left out."""
    return _saved(_as_srgb(frame) if frame.icc else frame, "BMP")


def _is_gray_profile(frame: Frame) -> bool:
    return frame.icc is not None and profile_space(frame.icc) == "GRAY"


def _as_srgb(frame: Frame) -> Frame:
    """The picture converted to sRGB at 8 bits, without a profile, for containers that cannot hold the one it has."""
    planes = assemble(frame.size, 3, _srgb_rows(frame))
    return replace(frame, samples=planes.samples, icc=None)


def _srgb_rows(frame: Frame) -> Rows:
    gray = _is_gray_profile(frame)
    convert = to_srgb("L" if gray else "RGB", frame.icc)
    for band in bands(*frame.size):
        block = to_eight(frame.samples[band])
        yield band.start, np.asarray(convert(Image.fromarray(block[..., 0] if gray else block)))


def _saved(frame: Frame, format_name: str, **options: Any) -> bytes:
    buffer = BytesIO()
    if "icc_profile" not in options and frame.icc:
        options["icc_profile"] = frame.icc
    _image(frame).save(buffer, format_name, **options)
    return buffer.getvalue()


def _image(frame: Frame) -> Image.Image:
    """An 8-bit Pillow image, filled piece by piece."""
    height, width = frame.size
    image = Image.new(_MODES[output_channels(frame)], (width, height))
    for top, block in output_rows(frame, 8):
        image.paste(Image.fromarray(block[..., 0] if block.shape[2] == 1 else block), (0, top))
    return image
