"""Metadata and colour: what the photographer and the camera wrote survives, and the picture keeps its look."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from conservator.errors import InputError, OutputError, UsageError
from conservator.photo import Photo, encode, open_photo
from conservator.pixels.ifd import extract_exif
from conservator.pixels.metadata import describing, exif_block, orientation, upright, without_orientation
from conservator.pixels.profiles import SRGB, coded_profile, measured_profile, profile
from photo_files import XMP, exif, look, noise, png16, read_exif, saved, smooth, srgb_icc, tiff

KEEPING = ("jpeg", "png", "webp", "tiff", "avif")
ADOBE_RGB = profile((2.19921875,), (SRGB[0], (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)))
DISPLAY_P3 = coded_profile(12, 13) or b""
GRAY_GAMMA = profile((1.8,), None)


def turned_photo(order: str = "<") -> Photo:
    """A photo of 20×10 whose file was stored lying on its side."""
    data = saved(smooth(10, 20), "JPEG", exif=exif(6, order, (10, 20)), xmp=XMP, icc_profile=srgb_icc())
    photo = open_photo(data)
    assert photo.size == (20, 10)
    return photo.with_samples(photo.samples)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("container", KEEPING)
def test_exif_xmp_and_profile_survive_in_every_container_that_holds_them(container: str, order: str) -> None:
    photo = turned_photo(order)
    back = open_photo(encode(photo, container))
    assert back.icc == photo.icc == srgb_icc()
    assert back.xmp == photo.xmp == XMP.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"')
    assert back.exif is not None
    block = read_exif(back.exif)
    details = block.get_ifd(0x8769)
    assert block[0x010F] == "A Camera Maker"
    assert block.get(0x0112, 1) == 1
    assert (details[0x9003], details[0x927C]) == ("2026:11:21 10:00:00", b"MAKER" * 9)
    assert (details[0xA002], details[0xA003]) == (10, 20)  # the new width and height
    assert block.get_ifd(0x8825)[2] == (52.0, 30.0, 0.0)
    assert not block.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("container", KEEPING)
def test_the_picture_is_upright_in_every_program(container: str) -> None:
    shown = Image.open(io.BytesIO(encode(turned_photo(), container)))
    shown.load()
    assert shown.size == (10, 20) and shown.getexif().get(0x0112, 1) == 1


def test_the_old_thumbnail_is_gone_and_the_maker_note_has_not_moved() -> None:
    block = exif(6)
    corrected = describing(upright(block), 33, 44)
    assert corrected is not None and len(corrected) == len(block)
    assert corrected.index(b"MAKER" * 9) == block.index(b"MAKER" * 9)
    assert read_exif(block).get_ifd(ExifTags.IFD.IFD1) and not read_exif(corrected).get_ifd(ExifTags.IFD.IFD1)


def test_a_sixteen_bit_png_carries_metadata_too() -> None:
    photo = replace(turned_photo(), depth=16)
    back = open_photo(encode(photo, "png"))
    assert (back.depth, back.exif, back.xmp, back.icc) == (16, describing(photo.exif, 20, 10), photo.xmp, photo.icc)


def test_tiff_exif_travels_to_jpeg_and_back() -> None:
    photo = open_photo(encode(turned_photo(), "tiff"))
    photo = open_photo(encode(photo.with_samples(photo.samples), "jpeg"))
    photo = open_photo(encode(photo.with_samples(photo.samples), "tiff"))
    assert photo.exif is not None and read_exif(photo.exif).get_ifd(0x8769)[0x927C] == b"MAKER" * 9


def test_exif_too_long_for_jpeg_is_repacked_without_what_nothing_points_to() -> None:
    photo = turned_photo()
    padded = replace(photo, exif=(photo.exif or b"") + bytes(70_000))
    back = open_photo(encode(padded, "jpeg"))
    assert back.exif is not None and read_exif(back.exif).get_ifd(0x8769)[0x9003] == "2026:11:21 10:00:00"


def test_metadata_that_jpeg_cannot_hold_is_refused_not_dropped() -> None:
    photo = replace(turned_photo(), xmp=b"<x/>" * 20_000)
    with pytest.raises(OutputError, match="XMP"):
        encode(photo, "jpeg")
    assert open_photo(encode(photo, "png")).xmp == photo.xmp


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80), st.integers(0, 400), st.sampled_from("<>"))
def test_nonsense_in_exif_breaks_nothing(junk: bytes, at: int, order: str) -> None:
    block = bytearray(exif(6, order))
    block[at : at + len(junk)] = junk
    for candidate in (exif_block(bytes(block)), exif_block(junk), exif_block(bytes(block[:at]))):
        assert orientation(candidate) in range(1, 9)
        corrected = describing(upright(candidate), 5, 6)
        assert (corrected is None) == (candidate is None)
        if candidate is not None and corrected is not None:
            assert len(corrected) == len(candidate)
            without_orientation(candidate)
            extract_exif(candidate)


def test_directories_that_point_in_circles_end() -> None:
    entry = struct.pack("<HHII", 0xA005, 4, 1, 8)
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 2) + struct.pack("<HHII", 0x8769, 4, 1, 8) + entry
    assert extract_exif(block + bytes(4)) is not None


@pytest.mark.parametrize("icc", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("container", KEEPING)
def test_wide_gamut_pictures_keep_their_values_and_their_look(container: str, icc: bytes) -> None:
    photo = open_photo(saved(smooth(24, 24), "PNG", icc_profile=icc))
    assert photo.icc == icc and (photo.samples // 257 == smooth(24, 24)).all()
    back = open_photo(encode(photo.with_samples(photo.samples), container, quality=100))
    assert back.icc == icc
    shown, wanted = look((back.samples // 257).astype(np.uint8), icc), look(smooth(24, 24), icc)
    assert np.abs(shown.astype(int) - wanted).mean() <= (0 if container in ("png", "tiff", "webp") else 1.5)
    assert np.abs(wanted.astype(int) - smooth(24, 24)).max() > 10  # the profile does matter


@pytest.mark.parametrize("icc", [DISPLAY_P3, ADOBE_RGB])
def test_a_container_without_profiles_gets_srgb(icc: bytes) -> None:
    back = open_photo(encode(replace(open_photo(smooth(24, 24)), icc=icc), "bmp"))
    assert back.icc is None and np.abs(back.samples // 257 - look(smooth(24, 24), icc).astype(int)).max() <= 1


@pytest.mark.parametrize("container", ["png", "tiff", "jpeg", "avif"])
def test_grey_profiles_stay_with_grey_pictures(container: str) -> None:
    photo = open_photo(saved(smooth(24, 24)[..., 0], "PNG", icc_profile=GRAY_GAMMA))
    assert photo.gray and photo.icc == GRAY_GAMMA
    back = open_photo(encode(photo.with_samples(photo.samples), container))
    assert back.gray and back.icc == GRAY_GAMMA


@pytest.mark.parametrize("container", ["webp", "bmp"])
def test_grey_profiles_are_applied_where_they_cannot_stay(container: str) -> None:
    photo = replace(open_photo(smooth(24, 24)[..., 0]), icc=GRAY_GAMMA)
    back = open_photo(encode(photo, container, quality=100))
    assert back.icc is None
    assert np.abs(back.samples // 257 - look(smooth(24, 24)[..., 0], GRAY_GAMMA).astype(int)).max() <= 1


def test_profiles_for_other_channels_are_not_carried_along() -> None:
    for icc in (GRAY_GAMMA, b"not a profile", srgb_icc().replace(b"RGB ", b"CMYK", 1)):
        assert open_photo(saved(smooth(8, 8), "PNG", icc_profile=icc)).icc is None
    with pytest.raises(UsageError, match="ICC"):
        replace(open_photo(smooth(8, 8)), icc=GRAY_GAMMA)


def test_a_cmyk_picture_with_a_profile_for_something_else_is_refused() -> None:
    cmyk = np.asarray(Image.fromarray(smooth(16, 16)).convert("CMYK"))
    with pytest.raises(InputError, match="cannot be applied to CMYK"):
        open_photo(saved(Image.fromarray(cmyk, "CMYK"), "TIFF", icc_profile=srgb_icc()))


def test_display_p3_colours_are_where_the_standard_puts_them() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    patch = Image.new("RGB", (1, 1), (200, 150, 100))
    shown = ImageCms.profileToProfile(patch, ImageCms.ImageCmsProfile(io.BytesIO(DISPLAY_P3)), srgb)
    assert shown is not None
    linear = np.where((v := np.array([200, 150, 100]) / 255) <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    to_srgb = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])  # CSS Color 4
    encoded = 1.055 * (to_srgb @ linear) ** (1 / 2.4) - 0.055
    assert np.abs(np.array(shown.getpixel((0, 0))) - encoded * 255).max() <= 1


@pytest.mark.parametrize(
    ("chunks", "means"),
    [
        ([(b"cICP", bytes([12, 13, 0, 1]))], DISPLAY_P3),
        ([(b"cICP", bytes([1, 13, 0, 1]))], None),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))], None),
        ([(b"gAMA", struct.pack(">I", 45455))], None),
        ([(b"gAMA", struct.pack(">I", 100000))], profile((1.0,), SRGB)),
        ([(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))], "adobe primaries"),
    ],
)
def test_png_colour_chunks_become_a_profile(chunks: list[tuple[bytes, bytes]], means: bytes | str | None) -> None:
    icc = open_photo(png16(noise((3, 3, 3), np.uint16), *chunks)).icc
    if means == "adobe primaries":
        means = measured_profile(None, (SRGB[0], (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)))
        assert means
    assert icc == means


def test_a_grey_png_with_a_gamma_keeps_its_look() -> None:
    photo = open_photo(png16(noise((3, 3, 1), np.uint16), (b"gAMA", struct.pack(">I", 100000))))
    assert photo.icc == profile((1.0,), None)
    assert ImageCms.ImageCmsProfile(io.BytesIO(photo.icc or b"")).profile.xcolor_space == "GRAY"


def test_hdr_pictures_are_refused_rather_than_shown_flat() -> None:
    with pytest.raises(InputError, match="HDR"):
        open_photo(png16(noise((3, 3, 3), np.uint16), (b"cICP", bytes([9, 16, 0, 1]))))


def test_an_avif_that_codes_its_colours_keeps_them() -> None:
    data = saved(smooth(16, 16), "AVIF")
    at = data.index(b"nclx") + 4
    photo = open_photo(data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :])
    assert photo.icc == DISPLAY_P3


def test_a_pil_image_brings_its_metadata_along() -> None:
    for name in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = saved(smooth(10, 20), name, exif=exif(6), icc_profile=srgb_icc())
        photo = open_photo(Image.open(io.BytesIO(data)))
        assert photo.size == (20, 10) and photo.icc == srgb_icc() and photo.encoded is None
        assert photo.exif is not None and read_exif(photo.exif)[0x010F] == "A Camera Maker"


def test_big_tiff_keeps_its_profile() -> None:
    assert open_photo(tiff(noise((4, 4, 3)), photometric="rgb", bigtiff=True, iccprofile=srgb_icc())).icc == srgb_icc()
