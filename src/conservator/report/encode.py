"""Pictures as data: URIs inside a page, each within its share of the page's size."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from conservator.pixels.colour import kept_profile
from conservator.report.canvas import Bytes, scaled
from conservator.report.markup import Markup

if TYPE_CHECKING:
    from conservator.photo import Photo

_QUALITIES = (92, 86, 78, 68, 56, 44)
_LARGEST_PROFILE = 16 * 1024


def jpegs(pictures: Sequence[Bytes], most: int, icc: bytes | None = None) -> tuple[Markup, ...]:
    """JPEG data: URIs of pictures that are to be compared: all of one quality, none beyond `most` bytes of JPEG.

    icc  profile of the pictures' colours, None for sRGB

    Quality is lowered first; pictures that even then are too large (noise at full size) are shrunk together.
    """
    for quality in _QUALITIES:
        coded = [_jpeg(picture, quality, icc) for picture in pictures]
        if max(map(len, coded)) <= most:
            return tuple(Markup(f"data:image/jpeg;base64,{base64.b64encode(c).decode()}") for c in coded)
    return jpegs([scaled(picture, 0.75) for picture in pictures], most, icc)


def preview_profile(photo: Photo) -> bytes | None:
    """The profile a preview of the photo needs to look right; None for sRGB, and for profiles too large to repeat.

    Grey profiles are left out: previews are RGB.
    """
    icc = kept_profile(photo.icc, gray=False)
    return icc if icc and len(icc) <= _LARGEST_PROFILE else None


def _jpeg(picture: Bytes, quality: int, icc: bytes | None) -> bytes:
    out = BytesIO()
    sampling = 0 if quality > 90 else 2  # 4:4:4 while there is room, then 4:2:0
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.save(out, "JPEG", quality=quality, subsampling=sampling, icc_profile=icc)
    return out.getvalue()
