"""Opening photos: the right pixels from every kind of file, and a named error for everything else."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import zlib
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from conservator.benchmarks.valid import dng, pictures
from conservator.errors import InputError, UsageError
from conservator.photo import Photo, encode, open_photo
from photo_files import exif, noise, png, png16, read_exif, saved, smooth, tiff

SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif", "BMP": ".bmp"}


def eight(photo: Photo) -> np.ndarray:
    """The 8-bit values of a photo that was read from 8 bits: (H, W, 3)."""
    assert (photo.samples % 257 == 0).all()
    return (photo.samples // 257).astype(np.uint8)


@pytest.mark.parametrize("array", [noise((7, 9, 3)), noise((1, 1, 3)), noise((1, 5000, 3)), noise((5000, 1, 3))])
@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP"])
def test_eight_bit_colour_is_read_to_the_byte(name: str, array: np.ndarray) -> None:
    photo = open_photo(saved(array, name))
    assert (photo.container, photo.depth, photo.gray, photo.alpha) == (name.lower(), 8, False, None)
    assert (eight(photo) == array).all()


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "AVIF"])
def test_lossy_files_are_read_as_pillow_reads_them(name: str) -> None:
    data = saved(smooth(40, 56), name)
    photo = open_photo(data)
    assert (photo.container, photo.depth, photo.size) == (name.lower(), 8, (40, 56))
    assert (eight(photo) == np.asarray(Image.open(io.BytesIO(data)))).all()


def test_sixteen_bit_png_keeps_all_its_bits() -> None:
    for channels in (1, 2, 3, 4):
        array = noise((11, 13, channels), np.uint16)
        photo = open_photo(png16(array))
        assert (photo.depth, photo.gray) == (16, channels <= 2)
        assert (photo.samples == (array[..., :1] if channels <= 2 else array[..., :3])).all()
        assert photo.alpha is None if channels % 2 else (photo.alpha == array[..., -1]).all()


def test_sixteen_bit_png_from_a_lazily_opened_pil_image_keeps_all_its_bits() -> None:
    array = noise((11, 13, 3), np.uint16)
    image = Image.open(io.BytesIO(png16(array)))
    assert image.mode == "RGB"  # Pillow is about to lose the low byte
    photo = open_photo(image)
    assert photo.depth == 16 and (photo.samples == array).all()


@pytest.mark.parametrize(("key", "channels"), [(struct.pack(">H", 7), 1), (struct.pack(">HHH", 7, 8, 9), 3)])
def test_a_transparent_colour_in_a_sixteen_bit_png_becomes_alpha(key: bytes, channels: int) -> None:
    array = noise((5, 6, channels), np.uint16)
    array[2, 3] = [7, 8, 9][:channels]
    photo = open_photo(png16(array, (b"tRNS", key)))
    assert photo.alpha is not None and photo.alpha[2, 3] == 0
    assert (photo.alpha == 65535).sum() == photo.alpha.size - 1
    assert (photo.samples == array).all()


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "compression": "zlib", "predictor": 2},
        {"photometric": "rgb", "byteorder": ">"},
        {"photometric": "rgb", "bigtiff": True},
        {"photometric": "rgb", "tile": (16, 16)},
    ],
)
def test_sixteen_bit_tiff_keeps_all_its_bits(options: dict[str, Any]) -> None:
    array = noise((37, 41, 3), np.uint16)
    photo = open_photo(tiff(array, **options))
    assert photo.depth == 16 and (photo.samples == array).all()


def test_sixteen_bit_tiff_in_separate_planes_with_alpha() -> None:
    array = noise((20, 30, 4), np.uint16)
    data = tiff(np.moveaxis(array, 2, 0), photometric="rgb", planarconfig="separate", extrasamples=["unassalpha"])
    photo = open_photo(data)
    assert (photo.samples == array[..., :3]).all() and (photo.alpha == array[..., 3]).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_tiff_with_lzw_compression(channels: int) -> None:
    array = noise((20, 30, channels), np.uint16)
    bgr = array[..., [2, 1, 0, 3][:channels]] if channels > 1 else array
    data = cv2.imencode(".tiff", bgr, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    photo = open_photo(data)
    assert (photo.samples == array[..., :3]).all()
    assert channels < 4 or (photo.alpha == array[..., 3]).all()


def test_a_tiff_where_white_is_zero_is_not_a_negative() -> None:
    array = noise((9, 8), np.uint16)
    assert (open_photo(tiff(array, photometric="miniswhite")).samples[..., 0] == 65535 - array).all()


def test_premultiplied_alpha_is_divided_out() -> None:
    array = np.full((4, 4, 4), 20000, np.uint16)
    array[..., 3] = 40000
    photo = open_photo(tiff(array, photometric="rgb", extrasamples=["assocalpha"]))
    assert abs(int(photo.samples[0, 0, 0]) - 32768) <= 1


def test_float_tiff_in_range_is_read_and_out_of_range_is_named() -> None:
    array = np.random.default_rng(0).random((6, 7, 3), np.float32)
    assert np.abs(open_photo(tiff(array, photometric="rgb")).pixels - array).max() < 1e-5
    with pytest.raises(InputError, match="values in"):
        open_photo(tiff(array * 9, photometric="rgb"))


def test_ten_bit_avif_keeps_its_bits() -> None:
    values = np.linspace(0, 1023, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    photo = open_photo(cv2.imencode(".avif", values[..., ::-1], options)[1].tobytes())
    assert photo.depth == 16
    assert np.abs(photo.samples.astype(int) * 1023 / 65535 - values).max() < 0.51


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "I", "F", "PA"]
)
def test_every_pil_mode_keeps_its_colours(mode: str) -> None:
    source = Image.fromarray(smooth(12, 15))
    scale = {"I;16": 65535, "I": 65535, "F": 1.0}
    if mode in scale:
        values = np.asarray(source.convert("L"), np.float64) / 255 * scale[mode]
        image = Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
        wanted = np.repeat(np.asarray(source.convert("L"))[..., None], 3, axis=2)
    else:
        via = {"LA": "RGBA", "PA": "RGBA"}.get(mode)
        image = (source.convert(via) if via else source).convert(mode) if mode != "LAB" else _lab(source)
        wanted = np.asarray(image.convert("RGB")) if mode != "LAB" else np.asarray(source)
    photo = open_photo(image)
    assert photo.gray == (mode in ("1", "L", "LA", "I;16", "I", "F"))
    assert (photo.alpha is not None) == (mode in ("LA", "RGBA", "PA"))
    difference = np.abs(photo.pixels * 255 - wanted)
    assert difference.mean() < 1 if mode == "LAB" else difference.max() <= 0.6  # Lab itself is coarse at 8 bits


def _lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert converted is not None
    return converted


def test_palette_with_transparency() -> None:
    image = Image.fromarray(noise((9, 9, 3))).quantize(4)
    transparent = np.asarray(image) == 2
    photo = open_photo(saved(image, "PNG", transparency=2))
    assert photo.alpha is not None and ((photo.alpha == 0) == transparent).all()
    assert (eight(photo) == np.asarray(image.convert("RGB"))).all()


def test_one_bit_pictures_are_black_and_white() -> None:
    bits = noise((9, 17, 1), np.uint8)[..., 0] > 127
    for name in ("PNG", "TIFF", "BMP"):
        photo = open_photo(saved(Image.fromarray(bits), name))
        assert photo.gray and (photo.samples[..., 0] == bits * 65535).all()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_spans_black_to_white(depth: int) -> None:
    packed = np.packbits(np.array([[1] * depth + [0] * depth], np.uint8), axis=1)
    photo = open_photo(png(struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0), packed))
    assert photo.samples[0, :, 0].tolist() == [65535, 0]


def test_cmyk_is_converted_and_its_profile_is_not_claimed() -> None:
    cmyk = Image.fromarray(smooth(16, 16)).convert("CMYK")
    for data in (saved(cmyk, "TIFF"), saved(cmyk, "JPEG", quality=100, subsampling=0)):
        photo = open_photo(data)
        assert photo.icc is None and np.abs(eight(photo).astype(int) - smooth(16, 16)).max() <= 6


def test_sixteen_bit_cmyk_is_read_at_eight_bits() -> None:
    cmyk = np.asarray(Image.fromarray(smooth(16, 16)).convert("CMYK"))
    photo = open_photo(tiff(cmyk.astype(np.uint16) * 257, photometric="separated"))
    assert photo.depth == 8 and np.abs(eight(photo).astype(int) - smooth(16, 16)).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_exactly_once(name: str, turn: int) -> None:
    options: dict[str, Any] = {"lossless": True} if name == "WEBP" else {}
    data = saved(smooth(10, 20), name, exif=exif(turn), **options)
    assert open_photo(data).exif is not None
    plain = Image.open(io.BytesIO(saved(smooth(10, 20), name, **options)))
    tagged = plain.convert("RGB")
    tagged.getexif()[0x0112] = turn
    photo = open_photo(data)
    assert (eight(photo) == np.asarray(ImageOps.exif_transpose(tagged))).all()
    again = open_photo(encode(photo.with_samples(photo.samples), "tiff"))
    assert (again.samples == photo.samples).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_of_sixteen_bit_files(turn: int) -> None:
    array = noise((10, 20, 4), np.uint16)
    wanted = open_photo(array)
    upright = {5: 1, 6: 1, 7: 1, 8: 1}.get(turn, 0)
    for data in (
        png16(array, (b"eXIf", exif(turn))),
        tiff(array, photometric="rgb", extrasamples=["unassalpha"], extratags=[(274, 3, 1, turn, True)]),
    ):
        photo = open_photo(data)
        assert photo.size == ((20, 10) if upright else (10, 20))
        eight_bit = Image.fromarray((array[..., :3] >> 8).astype(np.uint8))
        eight_bit.getexif()[0x0112] = turn
        assert (photo.samples >> 8 == np.asarray(ImageOps.exif_transpose(eight_bit))).all()
        assert photo.alpha is not None and wanted.alpha is not None
        assert sorted(photo.alpha.ravel()) == sorted(wanted.alpha.ravel())


def test_phones_that_hide_more_pictures_in_a_jpeg_are_read_as_jpeg() -> None:
    first = Image.fromarray(smooth(32, 48))
    data = saved(first, "MPO", save_all=True, append_images=[Image.fromarray(noise((32, 48, 3)))])
    photo = open_photo(data)
    assert photo.container == "jpeg" and np.abs(eight(photo).astype(int) - smooth(32, 48)).max() < 12


def test_a_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(saved(smooth(8, 8), "PNG"))
    assert open_photo(path).container == "png"


def test_every_kind_of_source_gives_the_same_photo(tmp_path: Path) -> None:
    array = noise((6, 5, 3))
    path = tmp_path / "a.png"
    data = saved(array, "PNG")
    path.write_bytes(data)
    with path.open("rb") as stream:
        photos = [open_photo(s) for s in (str(path), path, data, bytearray(data), io.BytesIO(data), stream, array)]
    photos += [open_photo(Image.fromarray(array)), open_photo(photos[0])]
    assert all((photo.samples == photos[0].samples).all() for photo in photos)
    assert photos[0].source == photos[1].source == photos[5].source == path
    assert photos[-1] is photos[0]
    assert photos[0].encoded == data and photos[6].encoded is None


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), bool),
        np.zeros((4, 4, 3), np.float16),
        np.zeros((4, 4, 3), complex),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((3, 40, 40), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), np.inf),
        np.full((4, 4, 3), 255.0),
        np.full((4, 4, 3), -0.5),
        np.array([["a"]]),
        np.array([[object()]]),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_that_are_no_pictures_are_refused_with_a_way_out(bad: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        open_photo(bad)
    assert caught.value.got and caught.value.wanted and caught.value.fix


def test_arrays_of_any_layout_are_copied() -> None:
    array = noise((8, 6, 3), np.uint16)
    for view in (array[::-1, ::2], array.transpose(1, 0, 2), array.astype(">u2"), np.asfortranarray(array)):
        photo = open_photo(view)
        assert (photo.samples == view).all()
    mine = array.copy()
    photo = open_photo(mine)
    mine[:] = 0
    assert (photo.samples == array).all()


@pytest.mark.parametrize("source", [None, 7, ["a.jpg"], io.StringIO("text")])
def test_things_that_are_no_source_are_a_wrong_call(source: Any) -> None:
    with pytest.raises(UsageError):
        open_photo(source)


def _animation(name: str) -> bytes:
    frames = [Image.fromarray(noise((8, 8, 3), seed=i)) for i in range(3)]
    return saved(frames[0], name, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello", "unknown format"),
        (b"GIF89a" + bytes(20), "GIF"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "unknown format"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"BM" + bytes(60), "bmp"),
        (_animation("PNG"), "animation of 3 frames"),
        (_animation("WEBP"), "animation of 3 frames"),
        (_animation("AVIF"), "animation of 3 frames"),
        (_animation("TIFF"), "3 pages"),
        (png(struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0), np.zeros((5, 1), np.uint8)), "0×5"),
        (tiff(np.zeros((4, 4), np.uint32)), "uint32"),
        (tiff(np.zeros((4, 4, 3), np.int16), photometric="rgb"), "int16"),
    ],
)
def test_files_that_are_no_photographs_are_named(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        open_photo(data)
    assert caught.value.wanted and caught.value.fix


def test_a_thumbnail_beside_the_page_does_not_count_as_a_page() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise((16, 16, 3)), photometric="rgb", metadata=None)
        writer.write(noise((4, 4, 3)), photometric="rgb", subfiletype=1, metadata=None)
    assert open_photo(buffer.getvalue()).size == (16, 16)


@pytest.mark.parametrize("name", list(SUFFIX))
def test_bombs_are_refused_from_their_header(name: str) -> None:
    data = saved(np.zeros((300, 400, 3), np.uint8), name)
    with pytest.raises(InputError, match=r"at most 0\.1 MP"):
        open_photo(data, max_pixels=100_000)
    assert open_photo(data, max_pixels=120_000).size == (300, 400)


def test_a_header_that_promises_terabytes_costs_nothing() -> None:
    header = struct.pack(">IIBBBBB", 10**6, 10**6, 16, 2, 0, 0, 0)
    with pytest.raises(InputError, match="at most 400 MP"):
        open_photo(png(header, np.zeros((1, 1), np.uint8)))
    with pytest.raises(InputError, match="more than"):
        open_photo(io.BytesIO(bytes(300 * 2**20)), max_pixels=100)


def test_pillows_own_limit_neither_applies_nor_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    photos: list[Photo] = []
    files = [saved(smooth(50, 60), name) for name in ("JPEG", "PNG", "WEBP", "TIFF")] * 3
    threads = [threading.Thread(target=lambda data=data: photos.append(open_photo(data))) for data in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(photos) == len(files) and Image.MAX_IMAGE_PIXELS == 10


def test_paths_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    missing = "does not exist"
    for path, says in [(tmp_path / "no.jpg", missing), ("a\0b", missing), (tmp_path, "folder"), (fifo, "regular")]:
        with pytest.raises(InputError, match=says):
            open_photo(path)
    with pytest.raises(InputError, match="stream"):
        closed = io.BytesIO(b"x")
        closed.close()
        open_photo(closed)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        open_photo(path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(saved(smooth(9, 9), "PNG")[:-20])
    with pytest.raises(InputError, match=r"broken\.png: .*stops in the middle"):
        open_photo(path)


@pytest.mark.parametrize(
    ("data", "module", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "pi_heif", "heic"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(40), "rawpy", "raw"),
    ],
)
def test_a_missing_extra_is_named(data: bytes, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"conservator\[{extra}\]"):
        open_photo(data)


class _Heif:
    """What pi_heif returns, for a grey 10-bit picture that it has already turned."""

    size, mode, premultiplied_alpha = (3, 2), "I;16", False
    info: ClassVar[Any] = {
        "exif": b"Exif\0\0" + exif(6),
        "nclx_profile": {"color_primaries": 1, "transfer_characteristics": 13},
    }

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000


def test_heic_is_not_turned_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("pi_heif")
    module.open_heif = lambda stream, convert_hdr_to_8bit: _Heif()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pi_heif", module)
    photo = open_photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    assert (photo.container, photo.size, photo.gray, photo.depth, photo.icc) == ("heic", (2, 3), True, 16, None)
    assert (photo.samples[..., 0] == np.asarray(_Heif())).all()
    assert open_photo(encode(photo, "png")).size == (2, 3)


def test_heic_is_read_upright_with_alpha_and_all_its_bits() -> None:
    pytest.importorskip("pi_heif")
    glass, deep = open_photo(pictures()["heic"]), open_photo(pictures()["heic 10"])
    assert (glass.container, glass.depth, glass.size) == ("heic", 8, (32, 32)) and glass.alpha is not None
    assert glass.exif is not None and read_exif(glass.exif)[271] == "Maker"
    right, down = (np.diff(np.float64(deep.samples[..., channel]), axis=1 - channel).mean() for channel in (0, 1))
    assert (deep.depth, deep.alpha) == (16, None) and min(right, down) > 1500, "red grows to the right, green downwards"


@pytest.mark.parametrize("byte", [b"E", b"x", b"i", b"f"])
def test_a_heic_file_whose_item_types_are_no_text_is_refused_and_does_not_bring_the_process_down(byte: bytes) -> None:
    pytest.importorskip("pi_heif")
    whole = pictures()["heic"]
    kind = b"Exif".replace(byte, b"\xff")
    with pytest.raises(InputError, match="no text"):
        open_photo(whole.replace(b"\0\3\0\0Exif", b"\0\3\0\0" + kind))
    after = whole.index(b"mdat") - 4
    moved = whole[:28] + whole[after:] + whole[28:after].replace(b"\0\3\0\0Exif", b"\0\3\0\0" + kind)
    with pytest.raises(InputError):  # pixels first
        open_photo(moved)


def test_raw_is_told_from_tiff_by_its_name_or_its_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    plain = tiff(noise((4, 4, 3)), photometric="rgb")
    (tmp_path / "shot.NEF").write_bytes(plain)
    preview_first = tiff(noise((4, 4, 3)), photometric="rgb", subfiletype=1)
    for source in (tmp_path / "shot.NEF", preview_first):
        with pytest.raises(InputError, match="rawpy"):
            open_photo(source)
    assert open_photo(plain).container == "tiff"


def test_raw_is_developed_upright_and_no_longer_raw() -> None:
    pytest.importorskip("rawpy")
    photo = open_photo(dng())
    assert (photo.container, photo.depth, photo.size) == ("raw", 16, (96, 64))
    assert photo.exif is not None and read_exif(photo.exif)[271] == "Maker"
    saved_again = open_photo(encode(photo, "tiff"))
    assert saved_again.container == "tiff" and (saved_again.samples == photo.samples).all()


def test_metadata_in_pngs_may_be_compressed_but_not_bottomless() -> None:
    packed = zlib.compress(b"<xmp/>")
    good = (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed)
    assert open_photo(png16(noise((2, 2, 3), np.uint16), good)).xmp == b"<xmp/>"
    bottomless = (b"iCCP", b"p\0\0" + zlib.compress(bytes(70 * 2**20)))
    with pytest.raises(InputError, match="64 MB"):
        open_photo(png16(noise((2, 2, 3), np.uint16), bottomless))
