"""A decoded picture in memory, and moving rows of it in and out without copying the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError, UsageError
from conservator.pixels.colour import kept_profile
from conservator.pixels.metadata import exif_block, orientation, upright, upright_xmp
from conservator.pixels.types import Samples

Rows: TypeAlias = Iterable[tuple[int, NDArray[Any]]]
"""Pieces of a picture from top to bottom: (first row, uint8 or uint16 (rows, W, channels))."""

BAND_PIXELS = 2**20
"""Pixels worked on at a time, so that temporary arrays stay at a few megabytes."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What every container is read into and written from.

    samples    uint16 (H, W, 3), upright, as encoded in `icc` (sRGB when None); read-only
    alpha      uint16 (H, W), not premultiplied, or None; read-only
    depth      8 or 16: bits per sample of the file it came from, and of the file it goes to
    gray       True for one-channel pictures; the three channels of `samples` are then equal
    icc        ICC profile, or None for sRGB
    exif       EXIF block from its TIFF header on ("II*\\0…" or "MM\\0*…"), orientation 1, or None
    xmp        XMP packet, or None
    container  where it came from: "jpeg", "png", "webp", "tiff", "avif", "bmp", "heic", "raw" or "array"
    """

    samples: Samples = field(repr=False)
    alpha: NDArray[np.uint16] | None = field(default=None, repr=False)
    depth: int = 8
    gray: bool = False
    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    container: str = "array"

    def __post_init__(self) -> None:
        _check_plane("samples", self.samples, (*self.samples.shape[:2], 3))
        object.__setattr__(self, "samples", _read_only(self.samples))
        if self.alpha is not None:
            _check_plane("alpha", self.alpha, self.samples.shape[:2])
            object.__setattr__(self, "alpha", _read_only(self.alpha))
        if self.depth not in (8, 16):
            raise UsageError(f"depth {self.depth}", "8 or 16", "pass the bits per sample of the output")
        if self.icc is not None and kept_profile(self.icc, self.gray) is None:
            raise UsageError("an ICC profile for other channels", "RGB, or GRAY for a grey photo", "pass icc=None")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.samples.shape[:2]
        return height, width


def _check_plane(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != np.uint16 or array.shape != shape or 0 in shape:
        raise UsageError(
            f"{name} is {array.dtype} {array.shape}", f"uint16 {shape}", "use open_photo for other kinds of arrays"
        )


def _read_only(array: NDArray[np.uint16]) -> NDArray[np.uint16]:
    view = array.view()
    view.flags.writeable = False
    return view


def check_size(width: int, height: int, max_pixels: int) -> None:
    """InputError when a header promises no pixels or more than `max_pixels`; call it before decoding."""
    if width < 1 or height < 1:
        raise InputError(f"a picture of {width}×{height}", "at least 1×1 pixel", "the file is damaged; get it again")
    if width * height > max_pixels:
        raise InputError(
            f"a picture of {width}×{height} ({width * height / 1e6:.0f} MP)",
            f"at most {max_pixels / 1e6:g} MP",
            "raise max_pixels if you trust the file",
        )


def bands(height: int, width: int) -> Iterator[slice]:
    """Row ranges that cover the picture, of about BAND_PIXELS each."""
    step = max(1, BAND_PIXELS // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def array_rows(array: NDArray[Any]) -> Rows:
    """Rows of an array (H, W, channels)."""
    for band in bands(*array.shape[:2]):
        yield band.start, array[band]


def straight_rows(array: NDArray[Any]) -> Rows:
    """Rows of an array (H, W, 2 or 4) whose colours were multiplied by alpha, divided by it."""
    for top, block in array_rows(array):
        yield top, straight(np.multiply(block, 257, dtype=np.uint16) if block.dtype == np.uint8 else block)


def straight(block: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Colours divided by alpha, the last channel; black where alpha is 0."""
    alpha = block[..., -1:].astype(np.float64)
    colour = np.rint(block[..., :-1] * (65535.0 / np.maximum(alpha, 1.0)))
    return np.concatenate([np.minimum(colour, 65535.0).astype(np.uint16), block[..., -1:]], axis=-1)


def as_stored(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """View of an upright array (H, W, …) in the order in which a file with EXIF orientation `turn` stores it."""
    if turn >= 5:
        array = array.swapaxes(0, 1)
    down = -1 if turn in (3, 4, 6, 7) else 1
    across = -1 if turn in (2, 3, 7, 8) else 1
    return array[::down, ::across]


class Planes(NamedTuple):
    """Upright pixels: what is left of a picture without its metadata."""

    samples: Samples
    alpha: NDArray[np.uint16] | None
    gray: bool


def assemble(size: tuple[int, int], channels: int, rows: Rows, turn: int = 1) -> Planes:
    """Pixels of a picture of (H, W) as stored, turned upright while they are filled in.

    channels  1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    rows      uint8 rows are widened to 257·v, uint16 rows are taken as they are
    turn      EXIF orientation, 1…8
    """
    upright_size = size[::-1] if turn >= 5 else size
    samples = np.empty((*upright_size, 3), np.uint16)
    alpha = np.empty(upright_size, np.uint16) if channels in (2, 4) else None
    colour = 3 if channels >= 3 else 1
    for top, block in rows:
        band = slice(top, top + len(block))
        wide = np.multiply(block, 257, dtype=np.uint16) if block.dtype == np.uint8 else block
        as_stored(samples, turn)[band] = wide[..., :colour]
        if alpha is not None:
            as_stored(alpha, turn)[band] = wide[..., -1]
    return Planes(samples, alpha, channels <= 2)


class Metadata(NamedTuple):
    """What a container carries beside the pixels, as found."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def turn(self) -> int:
        """EXIF orientation, 1…8."""
        return orientation(exif_block(self.exif))


def build(planes: Planes, depth: int, container: str, metadata: Metadata) -> Frame:
    """A frame from upright pixels and metadata as found: the metadata is made to say upright too."""
    return Frame(
        planes.samples,
        planes.alpha,
        depth=depth,
        gray=planes.gray,
        icc=kept_profile(metadata.icc, planes.gray),
        exif=upright(exif_block(metadata.exif)),
        xmp=metadata.xmp or None if metadata.turn == 1 else upright_xmp(metadata.xmp),
        container=container,
    )


def to_eight(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Samples to 8 bits, rounded to the nearest; exact for 257·v."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def luma(samples: Samples) -> NDArray[np.uint16]:
    """Rec. 601 luma (…, 1) of samples (…, 3); exact where the channels are equal."""
    weights = np.array([19595, 38470, 7471], np.uint64)  # sum to 2¹⁶
    return ((samples @ weights + 32768) >> 16).astype(np.uint16)[..., None]


def output_rows(frame: Frame, depth: int) -> Rows:
    """Rows for a writer: uint8 or uint16 (rows, W, 1 | 2 | 3 | 4), colour or (as luma) grey, then alpha."""
    for band in bands(*frame.size):
        block = luma(frame.samples[band]) if frame.gray else frame.samples[band]
        if frame.alpha is not None:
            block = np.concatenate([block, frame.alpha[band][..., None]], axis=-1)
        yield band.start, block if depth == 16 else to_eight(block)


def output_channels(frame: Frame) -> int:
    """Channels that `output_rows` yields."""
    return (1 if frame.gray else 3) + (frame.alpha is not None)
