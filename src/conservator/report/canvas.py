"""Pictures for people: bounded, 8-bit, and with text that can be read on any background."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from conservator.errors import UsageError
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Pixels, Samples

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Bytes: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = "Bytes | Samples | Pixels"
"""(H, W, 3): uint8, Samples (uint16) or Pixels (float32 in [0, 1])."""

Colour: TypeAlias = tuple[int, int, int]
Box: TypeAlias = tuple[int, int, int, int]

LONGEST = 1600
"""Pixels of the long side beyond which a picture is shrunk: more than most screens show of one picture."""

_INK: Colour = (255, 255, 255)
_PLATE: Colour = (16, 18, 22)


def bounded(picture: Picture, longest: int = LONGEST) -> Bytes:
    """The picture as uint8 (h, w, 3), its long side at most `longest` pixels; never enlarged.

    Large samples are averaged down before anything is converted, so 100 megapixels need no float copy.
    Raises UsageError for other shapes and types.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UsageError(f"a picture of shape {picture.shape}", "(H, W, 3)", "pass RGB")
    if picture.dtype == np.uint8:
        return _shrunk_bytes(picture.astype(np.uint8, copy=False), longest)
    if picture.dtype == np.uint16:
        return as_bytes(thumbnail(picture.astype(np.uint16, copy=False), longest))
    if picture.dtype == np.float32:
        return _shrunk_bytes(as_bytes(picture.astype(np.float32, copy=False)), longest)
    raise UsageError(f"a picture of {picture.dtype}", "uint8, uint16 samples or float32 in [0, 1]", "convert it")


def as_bytes(pixels: Pixels) -> Bytes:
    """Float pixels (…) in [0, 1] to uint8, clipped."""
    levels: Pixels = np.rint(np.clip(pixels, 0.0, 1.0) * np.float32(255.0))
    return levels.astype(np.uint8)


def fitted(picture: Bytes, size: tuple[int, int]) -> Bytes:
    """The picture resampled to (height, width)."""
    height, width = (max(1, side) for side in size)
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def scaled(picture: Bytes, factor: float) -> Bytes:
    """The picture resampled by a factor, at least one pixel each way."""
    return fitted(picture, (round(picture.shape[0] * factor), round(picture.shape[1] * factor)))


def scaled_mask(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map (h, w) stretched over a frame of (height, width), smooth between the cells."""
    image = Image.fromarray(np.ascontiguousarray(mask, np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def font(size: float) -> FreeTypeFont:
    """Pillow's built-in scalable font at a height in pixels."""
    face = ImageFont.load_default(size)
    assert isinstance(face, ImageFont.FreeTypeFont)  # FreeType is in every Pillow wheel
    return face


def plain(text: str, longest: int = 80) -> str:
    """Text as the built-in font can draw it: accents off, anything else beyond ASCII a "?", cut to a length."""
    letters = unicodedata.normalize("NFKD", text.replace("·", "|"))
    kept = "".join(c if " " <= c <= "~" else "?" for c in letters if not unicodedata.combining(c))
    return kept if len(kept) <= longest else kept[: longest - 3] + "..."


@dataclass(frozen=True)
class Label:
    """Lines of text on a dark plate, the first one larger, with a stripe in the region's colour."""

    lines: tuple[str, ...]
    colour: Colour
    size: float

    def _face(self, line: int) -> Any:
        return font(self.size * (1.3 if line == 0 else 1.0))

    def _heights(self) -> list[int]:
        return [round(self.size * (1.55 if i == 0 else 1.25)) for i in range(len(self.lines))]

    @property
    def _padding(self) -> int:
        return max(3, round(self.size * 0.4))

    def extent(self) -> tuple[int, int]:
        """(height, width) of the plate in pixels."""
        width = max(self._face(i).getlength(plain(line)) for i, line in enumerate(self.lines))
        return sum(self._heights()) + 2 * self._padding, round(width) + 4 * self._padding

    def draw(self, image: Image.Image, box: Box) -> None:
        """Draw into box (y0, x0, y1, x1), whose size is `extent`."""
        y0, x0, y1, x1 = box
        brush, pad = ImageDraw.Draw(image, "RGBA"), self._padding
        brush.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), radius=pad, fill=(*_PLATE, 216))
        brush.rounded_rectangle((x0 + pad // 2, y0 + pad, x0 + pad, y1 - 1 - pad), radius=pad // 4, fill=self.colour)
        top = y0 + pad
        for i, (line, height) in enumerate(zip(self.lines, self._heights(), strict=True)):
            brush.text((x0 + 2 * pad, top + height / 2), plain(line), font=self._face(i), fill=_INK, anchor="lm")
            top += height


def _shrunk_bytes(picture: Bytes, longest: int) -> Bytes:
    side = max(picture.shape[:2])
    return np.ascontiguousarray(picture) if side <= longest else scaled(picture, longest / side)
