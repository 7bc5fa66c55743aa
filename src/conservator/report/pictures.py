"""Pictures that show a treatment: regions, heat maps, before and after, many photos on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from conservator.errors import UsageError
from conservator.pixels.types import Mask
from conservator.report.canvas import LONGEST, Bytes, Picture, bounded, fitted, font, plain, scaled_mask
from conservator.report.colours import heat
from conservator.report.overlay import overlay

if TYPE_CHECKING:
    from conservator.treatment import Treatment

__all__ = ["compare", "contact_sheet", "heatmap", "overlay", "side_by_side"]

_DIVIDER = np.array([40, 255, 255, 40], np.uint8)  # grey levels across it: seen beside black and beside white
_PAPER = (24, 26, 30)
_WRITING = (236, 238, 240)
_BACKDROP = 0.25


def heatmap(severity: Mask, photo: Picture | None = None, longest: int = LONGEST) -> Bytes:
    """Severities (h, w) in [0, 1] as colours from black over red to pale yellow, uint8 (h, w, 3).

    With a photo, the map is stretched over it and the photo shines through faintly, so that places can be recognised.
    """
    if severity.ndim != 2 or not severity.size:
        raise UsageError(f"a map of shape {severity.shape}", "(h, w)", "pass one degradation's map")
    if photo is None:
        side = max(severity.shape)
        scale = min(1.0, longest / side)
        height, width = (max(1, round(s * scale)) for s in severity.shape)
        return heat(severity if scale == 1.0 else scaled_mask(severity, (height, width)))
    picture = bounded(photo, longest)
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    colours = heat(scaled_mask(severity, (picture.shape[0], picture.shape[1])))
    return np.rint((1.0 - _BACKDROP) * colours + _BACKDROP * grey[..., None]).astype(np.uint8)


def compare(treatment: Treatment, longest: int = LONGEST) -> Bytes:
    """Before | after, uint8 (h, w, 3), both sides of one size; a treatment that enlarged is shown at its new size."""
    return side_by_side(treatment.original.samples, treatment.photo.samples, longest)


def side_by_side(before: Picture, after: Picture, longest: int = LONGEST) -> Bytes:
    """Two pictures with a thin divider between them, the whole at most `longest` pixels on its long side."""
    height, width = after.shape[:2]
    half = (longest - _DIVIDER.size) // 2
    scale = min(1.0, longest / height, half / width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    left, right = (fitted(bounded(p, max(size)), size) for p in (before, after))
    divider = np.broadcast_to(_DIVIDER[:, None], (size[0], _DIVIDER.size, 3))
    return np.concatenate([left, divider, right], axis=1)


def contact_sheet(rows: Sequence[tuple[str, Picture]], width: int = LONGEST, columns: int = 1) -> Bytes:
    """Many pictures on one sheet, each under its title, uint8 (h, width, 3).

    rows     (title, picture) in reading order; pictures of any size and type, shrunk to their column, never enlarged
    columns  pictures side by side, such as 4 for single photos and 1 or 2 for comparisons

    Raises UsageError without pictures, or when the columns come out narrower than 64 pixels.
    """
    if not rows:
        raise UsageError("no pictures", "at least one (title, picture)", "pass some")
    gap = max(8, width // 100)
    column = (width - gap * (columns + 1)) // max(1, columns)
    if columns < 1 or column < 64:
        raise UsageError(f"{columns} columns in {width} pixels", "columns of 64 pixels or more", "widen the sheet")
    strips = [_strip(rows[i : i + columns], column, gap, width) for i in range(0, len(rows), columns)]
    return np.concatenate([*strips, _blank(gap, width)])


def _strip(row: Sequence[tuple[str, Picture]], column: int, gap: int, width: int) -> Bytes:
    """One row of the sheet: titles over pictures."""
    size = max(13.0, column / 40)
    head = round(size * 1.9)
    pictures = [bounded(picture, column) for _, picture in row]
    strip = Image.fromarray(_blank(gap + head + max(p.shape[0] for p in pictures), width))
    brush = ImageDraw.Draw(strip)
    for left, (name, _), picture in zip(count(gap, column + gap), row, pictures, strict=False):
        brush.text((left, gap + head / 2), _cut(name, size, column), font=font(size), fill=_WRITING, anchor="lm")
        strip.paste(Image.fromarray(picture), (left, gap + head))
    return np.asarray(strip)


def _cut(text: str, size: float, width: int) -> str:
    """As much of the text as fits into a width in pixels."""
    face, kept = font(size), plain(text, 200)
    while len(kept) > 4 and face.getlength(kept) > width:
        kept = kept[:-4].rstrip(". ") + "..."
    return kept


def _blank(height: int, width: int) -> Bytes:
    return np.broadcast_to(np.asarray(_PAPER, np.uint8), (height, width, 3))
