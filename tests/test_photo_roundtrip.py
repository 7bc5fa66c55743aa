"""Photos that go out and come back: lossless containers exactly, the others within what they can hold."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conservator.errors import OutputError, UsageError
from conservator.photo import Photo, encode, open_photo
from photo_files import noise, saved, smooth

LOSSLESS = ("png", "tiff")
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def photos(draw: st.DrawFn, depths: tuple[Any, ...] = (np.uint8, np.uint16), alpha: bool = True) -> Photo:
    """Random photos of any size, depth and kind; some flat, since filters and predictors like those least."""
    channels = draw(st.sampled_from([1, 2, 3, 4] if alpha else [1, 3]))
    array = noise((*draw(sizes), channels), draw(st.sampled_from(depths)), draw(seeds))
    if draw(st.booleans()):
        array[:, :] = array[0, 0]
    return open_photo(array)


def same(one: Photo, other: Photo) -> bool:
    """Whether the pixels, transparency, depth and kind agree."""
    pixels = (one.samples == other.samples).all()
    alpha = one.alpha is other.alpha is None or (
        one.alpha is not None and other.alpha is not None and (one.alpha == other.alpha).all()
    )
    return bool(pixels and alpha and (one.depth, one.gray) == (other.depth, other.gray))


@settings(deadline=None, max_examples=60)
@given(photos(), st.sampled_from(LOSSLESS))
def test_png_and_tiff_bring_every_photo_back_exactly(photo: Photo, container: str) -> None:
    assert same(open_photo(encode(photo, container)), photo)


@settings(deadline=None, max_examples=25)
@given(photos(depths=(np.uint8,), alpha=False))
def test_bmp_brings_eight_bits_back_exactly(photo: Photo) -> None:
    assert same(open_photo(encode(photo, "bmp")), photo)


@settings(deadline=None, max_examples=25)
@given(photos(depths=(np.uint8,)))
def test_webp_at_quality_100_brings_eight_bits_back_exactly(photo: Photo) -> None:
    back = open_photo(encode(photo, "webp", quality=100))
    assert (back.samples == photo.samples).all()
    opaque = photo.alpha is None or bool((photo.alpha == 65535).all())  # WebP drops an alpha that hides nothing
    assert opaque if back.alpha is None else (back.alpha == photo.alpha).all()


@pytest.mark.parametrize(("container", "worst"), [("jpeg", 4), ("webp", 8), ("avif", 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_containers_stay_close(container: str, worst: int, channels: int) -> None:
    photo = open_photo(smooth(64, 80, channels))
    back = open_photo(encode(photo, container))
    assert np.abs(back.pixels - photo.pixels).max() * 255 <= worst
    assert back.gray == (channels == 1 and container != "webp")


def test_jpeg_keeps_full_colour_resolution() -> None:
    array = np.zeros((32, 32, 3), np.uint8)
    array[:, ::2] = (255, 0, 0)
    array[:, 1::2] = (0, 0, 255)
    back = open_photo(encode(open_photo(array), "jpeg"))
    assert np.abs(back.samples // 257 - array.astype(int)).max() < 30


@settings(deadline=None, max_examples=30)
@given(photos())
def test_other_programs_read_what_we_write(photo: Photo) -> None:
    colour = photo.samples[..., 0] if photo.gray else photo.samples
    planes = [colour[..., None] if photo.gray else colour] + (
        [photo.alpha[..., None]] if photo.alpha is not None else []
    )
    wanted = np.concatenate(planes, axis=-1) if photo.depth == 16 else np.concatenate(planes, axis=-1) // 257
    in_tiff = tifffile.imread(io.BytesIO(encode(photo, "tiff")))
    assert (in_tiff.reshape(wanted.shape) == wanted).all()
    in_png = cv2.imdecode(np.frombuffer(encode(photo, "png"), np.uint8), cv2.IMREAD_UNCHANGED)
    in_png = in_png.reshape(*photo.size, -1)
    order = {1: [0], 2: [0, -1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[wanted.shape[2]]
    assert (in_png[..., order] == wanted).all()
    if photo.depth == 8:
        for container in LOSSLESS:
            assert (np.asarray(Image.open(io.BytesIO(encode(photo, container)))).reshape(wanted.shape) == wanted).all()


def test_sixteen_bits_are_rounded_to_the_nearest_of_eight() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    back = open_photo(encode(open_photo(values), "bmp"))
    assert (back.samples[..., 0] // 257 == np.rint(values / 257.0)).all()


@pytest.mark.parametrize("container", ["jpeg", "png", "webp", "tiff", "avif", "bmp"])
def test_an_untouched_photo_comes_back_as_the_very_bytes(container: str) -> None:
    data = saved(smooth(30, 20), container.upper())
    photo = open_photo(data)
    assert encode(photo, container) is photo.encoded
    assert encode(photo, container) == data
    treated = photo.with_samples(photo.samples)
    assert treated.encoded is None and encode(treated, container) != b""
    assert open_photo(encode(treated, container)).size == (30, 20)


@pytest.mark.parametrize("container", ["jpeg", "bmp"])
def test_transparency_is_never_flattened_silently(container: str) -> None:
    with pytest.raises(OutputError, match="PNG, WebP"):
        encode(open_photo(noise((4, 4, 4))), container)


@pytest.mark.parametrize(
    ("container", "size"), [("jpeg", (1, 65501)), ("webp", (16384, 1)), ("avif", (1, 32769))], ids=lambda v: str(v)
)
def test_what_a_container_cannot_hold_is_said_before_encoding(container: str, size: tuple[int, int]) -> None:
    with pytest.raises(OutputError, match="pixels a side"):
        encode(open_photo(np.zeros(size, np.uint8)), container)


@pytest.mark.parametrize("container", ["png", "tiff", "bmp", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes_survive(container: str, size: tuple[int, int]) -> None:
    assert open_photo(encode(open_photo(noise((*size, 3))), container)).size == size


@pytest.mark.parametrize("container", ["gif", "heic", "raw", "array", ""])
def test_containers_that_are_not_written_are_named(container: str) -> None:
    with pytest.raises(OutputError, match="jpeg or png"):
        encode(open_photo(smooth(4, 4)), container)


@pytest.mark.parametrize("quality", [0, 101, 50.5])
def test_quality_out_of_range_is_a_wrong_call(quality: Any) -> None:
    with pytest.raises(UsageError, match="quality"):
        encode(open_photo(smooth(4, 4)), "jpeg", quality=quality)


def test_pixels_samples_and_digest_describe_one_photo() -> None:
    array = noise((6, 5, 3))
    photo, twin = open_photo(array), open_photo(array)
    assert photo.pixels.dtype == np.float32 and np.abs(photo.pixels - array / 255.0).max() < 1e-6
    assert photo.sha256 == twin.sha256 != open_photo(array.transpose(1, 0, 2)).sha256
    changed = photo.samples.copy()
    changed[0, 0, 0] ^= 257
    assert photo.with_samples(changed).sha256 != photo.sha256
    data = saved(array, "PNG")
    assert len(photo.sha256) == 64 and open_photo(data).sha256 != photo.sha256


def test_a_photo_cannot_be_changed_behind_its_back() -> None:
    photo = open_photo(saved(smooth(4, 4), "PNG"))
    with pytest.raises(ValueError, match="read-only"):
        photo.samples[0] = 0


def test_enlarging_takes_the_transparency_along() -> None:
    photo = open_photo(noise((6, 5, 4), np.uint16))
    enlarged = photo.with_samples(np.repeat(np.repeat(photo.samples, 2, 0), 2, 1))
    assert enlarged.alpha is not None and enlarged.alpha.shape == enlarged.size == (12, 10)


@pytest.mark.parametrize(
    "samples", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((0, 4, 3), np.uint16)]
)
def test_samples_of_another_kind_are_a_wrong_call(samples: Any) -> None:
    with pytest.raises(UsageError, match="uint16"):
        open_photo(smooth(4, 4)).with_samples(samples)
