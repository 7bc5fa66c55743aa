"""Damaged files: whatever happened to them, the answer is a photo or a named error, soon."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from conservator.errors import ConservatorError, InputError
from conservator.photo import open_photo
from photo_files import XMP, exif, noise, png16, saved, smooth, srgb_icc, tiff

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow comments on damage, too

SMALL = 10**6  # pixels; a flipped bit in a header may promise many more


@cache
def healthy() -> dict[str, bytes]:
    """One small valid file of every kind of decoder."""
    deep = noise((12, 10, 3), np.uint16)
    lzw = cv2.imencode(".tiff", deep, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    tags = {"exif": exif(6), "icc_profile": srgb_icc()}
    return {
        "jpeg": saved(smooth(24, 20), "JPEG", **tags, xmp=XMP),
        "progressive": saved(smooth(24, 20), "JPEG", progressive=True),
        "cmyk": saved(Image.fromarray(smooth(24, 20)).convert("CMYK"), "JPEG"),
        "png": saved(smooth(24, 20), "PNG", **tags),
        "palette": saved(Image.fromarray(smooth(24, 20)).quantize(8), "PNG", transparency=1),
        "png16": png16(deep, (b"eXIf", exif(6))),
        "webp": saved(smooth(24, 20), "WEBP", **tags),
        "lossless webp": saved(noise((12, 10, 4)), "WEBP", lossless=True),
        "tiff": saved(smooth(24, 20), "TIFF", **tags),
        "deflated tiff": saved(smooth(24, 20), "TIFF", compression="tiff_adobe_deflate"),
        "tiff16": tiff(deep, photometric="rgb"),
        "deflated tiff16": tiff(deep, photometric="rgb", compression="zlib", predictor=2),
        "lzw tiff16": lzw,
        "avif": saved(smooth(24, 20), "AVIF", **tags),
        "avif10": cv2.imencode(".avif", deep >> 6, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes(),
        "bmp": saved(smooth(24, 20), "BMP"),
        "grey bmp": saved(smooth(24, 20)[..., 0], "BMP"),
    }


KINDS = sorted(healthy())


def opens_or_says_why(data: bytes) -> bool:
    """Whether the file opens; anything but a ConservatorError fails the test."""
    try:
        photo = open_photo(data, max_pixels=SMALL)
    except ConservatorError as error:
        assert error.got and error.wanted and error.fix
        return False
    assert photo.samples.size > 0
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_healthy_files_are_healthy(kind: str) -> None:
    assert opens_or_says_why(healthy()[kind])


@settings(deadline=2000, max_examples=250)
@given(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_never_half_a_picture(kind: str, share: float) -> None:
    whole = healthy()[kind]
    cut = whole[: int(len(whole) * share)]
    if opens_or_says_why(cut):  # only what stands behind the pixels can be missing
        assert (open_photo(cut).samples == open_photo(whole).samples).all()


@settings(deadline=2000, max_examples=400)
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bytes_give_a_photo_or_a_named_error(kind: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(healthy()[kind])
    for place, bits in flips:
        data[min(int(place * len(data)), len(data) - 1)] ^= bits
    opens_or_says_why(bytes(data))


@settings(deadline=2000, max_examples=200)
@given(st.sampled_from(KINDS), st.integers(0, 200), st.integers(1, 255))
def test_flipped_header_bytes_give_a_photo_or_a_named_error(kind: str, place: int, bits: int) -> None:
    data = bytearray(healthy()[kind])
    data[min(place, len(data) - 1)] ^= bits
    opens_or_says_why(bytes(data))


@settings(deadline=2000, max_examples=100)
@given(st.sampled_from([whole[:12] for whole in healthy().values()]), st.binary(max_size=200))
def test_rubbish_behind_a_good_beginning_is_named(start: bytes, rubbish: bytes) -> None:
    opens_or_says_why(start + rubbish)


@settings(deadline=2000, max_examples=150)
@given(
    arrays.arrays(
        dtype=st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes()),
        shape=arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_any_array_gives_a_photo_or_a_named_error(array: np.ndarray) -> None:
    try:
        photo = open_photo(array)
    except InputError as error:
        assert error.got and error.wanted and error.fix
    else:
        assert photo.size == array.shape[:2] and array.dtype.name in ("uint8", "uint16", "float32", "float64")
