"""Files to frames and back: one module per container, one table that names them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from conservator.errors import ConservatorError, InputError, OutputError, UsageError
from conservator.pixels.codecs.avif import decode_avif
from conservator.pixels.codecs.extras import decode_heic, decode_raw
from conservator.pixels.codecs.pillow import decode_loaded, decode_pillow, open_image, unread_bytes
from conservator.pixels.codecs.pillow_writer import encode_avif, encode_bmp, encode_jpeg, encode_webp
from conservator.pixels.codecs.png import decode_png, encode_png
from conservator.pixels.codecs.sniff import container_of
from conservator.pixels.codecs.tiff import decode_tiff
from conservator.pixels.codecs.tiff_writer import encode_tiff
from conservator.pixels.frame import Frame
from conservator.pixels.metadata import describing


@dataclass(frozen=True)
class Writer:
    """A container that can be written.

    encode   from a frame and a quality (1…100, which lossless containers ignore)
    longest  largest width or height it holds, in pixels
    alpha    whether it holds transparency
    """

    encode: Callable[[Frame, int], bytes]
    longest: int
    alpha: bool


_READERS: Mapping[str, Callable[[bytes, int], Frame]] = MappingProxyType(
    {
        "jpeg": lambda data, limit: decode_pillow(data, JpegImageFile, "jpeg", limit),
        "png": decode_png,
        "webp": lambda data, limit: decode_pillow(data, WebPImageFile, "webp", limit),
        "tiff": decode_tiff,
        "avif": decode_avif,
        "bmp": lambda data, limit: decode_pillow(data, BmpImageFile, "bmp", limit),
        "heic": decode_heic,
        "raw": decode_raw,
    }
)

_HEADERS: Mapping[str, type[ImageFile.ImageFile]] = MappingProxyType(
    {
        "jpeg": JpegImageFile,
        "png": PngImageFile,
        "webp": WebPImageFile,
        "tiff": TiffImageFile,
        "avif": AvifImageFile,
        "bmp": BmpImageFile,
    }
)

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "jpeg": Writer(encode_jpeg, 65500, alpha=False),
        "png": Writer(lambda frame, _: encode_png(frame), 2**31 - 1, alpha=True),
        "webp": Writer(encode_webp, 16383, alpha=True),
        "tiff": Writer(lambda frame, _: encode_tiff(frame), 2**31 - 1, alpha=True),
        "avif": Writer(encode_avif, 32768, alpha=True),
        "bmp": Writer(encode_bmp, 2**31 - 1, alpha=False),
    }
)
"""What can be written, by container name."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".tif": "tiff", ".heic": "heic", ".heif": "heic"}
    | {f".{name}": name for name in ("png", "webp", "tiff", "avif", "bmp")}
)
"""Container of a file name's extension, in lower case."""


def decode(data: bytes, *, max_pixels: int, suffix: str = "") -> Frame:
    """A frame from a file's bytes; the container is found from the content.

    max_pixels  largest H·W accepted; read from the header, before anything is decoded
    suffix      extension of the file's name, which only helps to tell camera RAW from TIFF
    InputError for unknown formats, damaged or truncated files, animations, several pages, and too many pixels.
    """
    container = container_of(data, suffix)
    with _named_errors(f"a {container} file"):
        return _READERS[container](data, max_pixels)


def measure(data: bytes) -> tuple[int, int] | None:
    """Height and width that a file's header promises, not turned upright; None where only decoding tells.

    Nothing is decoded, and damage is no error here: opening the file will say what is wrong with it.
    """
    try:
        kind = _HEADERS[container_of(data)]
        width, height = open_image(data, kind, sys.maxsize).size
    except Exception:  # headers that Pillow cannot read raise whatever they like; other readers may still know them
        return None
    return height, width


def decode_image(image: Image.Image, *, max_pixels: int) -> Frame:
    """A frame from a PIL image, with the metadata it remembers. InputError as for files."""
    with _named_errors("a PIL image"):
        data = unread_bytes(image)
        return decode_loaded(image, max_pixels) if data is None else decode(data, max_pixels=max_pixels)


@contextmanager
def _named_errors(what: str) -> Iterator[None]:
    try:
        yield
    except ConservatorError:
        raise
    except Exception as error:  # decoders raise whatever the damage leads them to
        raise InputError(
            f"{what} that cannot be decoded ({type(error).__name__}: {error})",
            "a complete, undamaged picture",
            "get it again, or save it anew in another program",
        ) from error


def encode(frame: Frame, container: str, quality: int) -> bytes:
    """A file's bytes from a frame; `container` is a key of WRITERS, `quality` is in 1…100.

    OutputError when the container does not exist or cannot hold the picture's size or transparency.
    """
    if quality not in range(1, 101):
        raise UsageError(f"quality {quality}", "a whole number in 1…100", "95 is the default")
    writer = _writer(frame, container)
    true = replace(frame, exif=describing(frame.exif, *frame.size))
    try:
        return writer.encode(true, quality)
    except ConservatorError:
        raise
    except Exception as error:  # encoders raise whatever they like, too
        raise OutputError(
            f"the {container} encoder failed ({type(error).__name__}: {error})",
            "a picture it can write",
            "save as PNG or TIFF",
        ) from error


def _writer(frame: Frame, container: str) -> Writer:
    writer = WRITERS.get(container)
    if writer is None:
        raise OutputError(f"output as {container!r}", " or ".join(WRITERS), "choose another extension")
    if frame.alpha is not None and not writer.alpha:
        raise OutputError(
            f"a picture with transparency, as {container}",
            "a container that holds it",
            "save as PNG, WebP, TIFF or AVIF",
        )
    if max(frame.size) > writer.longest:
        raise OutputError(
            "a picture of {1}×{0}, as {2}".format(*frame.size, container),
            f"at most {writer.longest} pixels a side",
            "save as PNG or TIFF",
        )
    return writer
