"""Regions drawn onto the photograph: outlined, tinted, and labelled with what ails them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conservator.pixels.types import Mask
from conservator.regions import Region
from conservator.report import words
from conservator.report.canvas import LONGEST, Box, Bytes, Colour, Label, Picture, bounded, scaled, scaled_mask
from conservator.report.colours import CLEAN, region_colour

SMALLEST = 640
"""Pixels of the long side below which a photo is enlarged, or labels would cover it."""

_TINT = 0.28
_LABELLED = 2  # degradations a label names
_PLACES = 400  # positions tried before two labels may overlap


def overlay(photo: Picture, regions: Sequence[Region], longest: int = LONGEST) -> Bytes:
    """The photo with its regions outlined, tinted and labelled, uint8 (h, w, 3).

    photo    (H, W, 3): Samples, Pixels or uint8; shown with a long side of at most `longest` pixels
    regions  masks of any resolution that span the frame; parts where a mask is ≥ 0.5 are outlined

    A label names the region and its two worst degradations. Regions that nothing ails have a white outline and no tint.
    """
    picture = bounded(photo, longest)
    side = max(picture.shape[:2])
    if side < min(SMALLEST, longest):
        picture = scaled(picture, min(SMALLEST, longest) / side)
    size = picture.shape[:2]
    drawn = [(scaled_mask(r.mask, (size[0], size[1])), region_shade(i, r), r) for i, r in enumerate(regions)]
    for mask, colour, region in drawn:
        picture = picture if _unmarked(region) else _tinted(picture, mask, colour)
    picture = picture.copy()  # what a photo lends may be read-only
    for mask, colour, _ in drawn:
        _outline(picture, mask, colour)
    return _labelled(picture, drawn)


def region_shade(index: int, region: Region) -> Colour:
    """The colour a region is drawn in: its own, or white when nothing ails it."""
    return CLEAN if _unmarked(region) else region_colour(index)


def _unmarked(region: Region) -> bool:
    """What somebody asked for is shown, whether anything ails it or not."""
    return region.clean and region.source == "perceiver"


def _tinted(picture: Bytes, mask: Mask, colour: Colour) -> Bytes:
    share = np.float32(_TINT) * mask[..., None]
    return np.rint(picture + share * (np.asarray(colour, np.float32) - picture)).astype(np.uint8)


def _outline(picture: Bytes, mask: Mask, colour: Colour) -> None:
    """Draw the 0.5 contour in place: colour over a wider dark line, visible on any background."""
    import cv2

    inside = np.pad((mask >= 0.5).astype(np.uint8), 1)  # padded, so that regions at the border are closed
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE, offset=(-1, -1))
    thickness = max(2, round(max(picture.shape[:2]) / 500))
    for shade, width in ((_dark(colour), thickness + 2), (colour, thickness)):
        cv2.polylines(picture, contours, True, shade, width, cv2.LINE_AA)


def _dark(colour: Colour) -> Colour:
    red, green, blue = (c // 5 for c in colour)
    return red, green, blue


def _labelled(picture: Bytes, drawn: Sequence[tuple[Mask, Colour, Region]]) -> Bytes:
    image, taken = Image.fromarray(picture), list[Box]()
    size = max(12.0, max(picture.shape[:2]) / 50)
    for mask, colour, region in drawn:
        label = Label(_lines(region), colour, size)
        box = _place(mask, label.extent(), taken)
        label.draw(image, box)
        taken.append(box)
    return np.asarray(image)


def _lines(region: Region) -> tuple[str, ...]:
    ailing = words.worst_first(region.severities)
    rest = len(ailing) - _LABELLED
    named = [words.label(name, region.severities[name]) for name in ailing[:_LABELLED]]
    return (region.id, *(named or ["clean"]), *([f"and {rest} more"] if rest > 0 else []))


def _place(mask: Mask, extent: tuple[int, int], taken: Sequence[Box]) -> Box:
    """Where a label goes: as deep inside its region as the labels before it allow."""
    boxes = [_box(y, x, extent, mask.shape) for y, x in _depths(mask)]
    free = (box for box in boxes if not any(_overlap(box, other) for other in taken))
    return next(free, boxes[0])


def _depths(mask: Mask) -> Iterator[tuple[int, int]]:
    """Points of the region, the deepest first, each far from the ones before; one at least."""
    import cv2

    step = max(1, max(mask.shape) // 200)
    small = np.pad(mask[::step, ::step], 1)
    inside = (small >= min(0.5, float(small.max()))).astype(np.uint8)
    depth: NDArray[np.float32] = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3), np.float32)
    reach = max(2, max(depth.shape) // 24)
    for place in range(_PLACES):
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        if place and depth[y, x] <= 0.0:
            return
        yield (int(y) - 1) * step, (int(x) - 1) * step
        depth[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = 0.0


def _box(y: int, x: int, extent: tuple[int, int], size: tuple[int, ...]) -> Box:
    """The label centred on a point, pushed inside the frame."""
    y0 = max(0, min(y - extent[0] // 2, size[0] - extent[0] - 2))
    x0 = max(0, min(x - extent[1] // 2, size[1] - extent[1] - 2))
    return y0, x0, y0 + extent[0], x0 + extent[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
