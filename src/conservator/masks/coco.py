"""Masks as COCO keeps them: polygons or run lengths, alone, in an annotation, or in a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from conservator.errors import InputError, UsageError
from conservator.masks import rle
from conservator.masks.fill import Flags, checked, fill, refuse_crossing
from conservator.masks.trace import without_holes

Style = Literal["rle", "counts", "polygons"]
"""Compressed run lengths, plain ones, or polygons. COCO's polygons have no holes, see `trace.without_holes`."""

_WANTED = "COCO: a data set, annotations, a segmentation, polygons or RLE; or GeoJSON"


def read(data: Any, size: tuple[int, int], name: str, photo: str | None = None) -> Flags:
    """Everything that COCO data marks, bool (H, W).

    size    of the photo; RLE and images that state another one are a UsageError
    photo   its file name, to choose among the images of a data set
    """
    if isinstance(data, Mapping):
        if "annotations" in data:
            return _union(_annotations(data, size, name, photo), size, name)
        if "segmentation" in data:
            return read(data["segmentation"], size, name)
        if "counts" in data:
            same_size(rle.size_of(data, name), size, name)
            return rle.decode(data, name)
    if isinstance(data, Sequence) and not isinstance(data, str) and data:
        if all(isinstance(entry, Mapping) for entry in data):
            return _union(data, size, name)
        return _polygons(data, size, name)
    raise InputError(f"{name} holds no mask", _WANTED, "export it in one of these formats")


def same_size(found: tuple[int, int], size: tuple[int, int], name: str) -> None:
    """UsageError unless a mask's size is the photo's."""
    if found != size:
        got, wanted = (f"{width}×{height}" for height, width in (found, size))
        raise UsageError(f"{name} is {got}, the photo is {wanted}", "masks of the photo's size", "resize the mask")


def inside_frame(ring: Any, size: tuple[int, int], name: str) -> None:
    """UsageError when an outline leaves the photo by more than a pixel: it was drawn on another size."""
    low, high = ring.min(axis=0), ring.max(axis=0)
    if (low < -1).any() or high[0] > size[1] + 1 or high[1] > size[0] + 1:
        got = f"{name} reaches ({high[0]:g}, {high[1]:g})" if (low >= -1).all() else f"{name} starts below 0"
        raise UsageError(got, f"points within the photo's {size[1]}×{size[0]}", "scale the outline")


def segmentation(inside: Flags, style: Style = "rle", points: int | None = None) -> Any:
    """The "segmentation" of a mask; `points` bounds those of polygons, see `trace.without_holes`."""
    if style != "polygons":
        return rle.encode(inside, compressed=style == "rle")
    return [_numbers(ring) for ring in without_holes(inside, points)]


def dataset(masks: Mapping[str, Flags], file: str, style: Style = "rle", points: int | None = None) -> dict[str, Any]:
    """A data set of one image with an annotation and a category for each named mask (H, W)."""
    height, width = next(iter(masks.values())).shape
    notes = [_annotation(i, inside, segmentation(inside, style, points)) for i, inside in enumerate(masks.values(), 1)]
    return {
        "images": [{"id": 1, "file_name": file, "width": width, "height": height}],
        "annotations": notes,
        "categories": [{"id": i, "name": name} for i, name in enumerate(masks, 1)],
    }


def _annotation(number: int, inside: Flags, outline: Any) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = [0, 0, 0, 0]
    if rows.size:
        box = [int(n) for n in (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)]
    return {
        "id": number,
        "image_id": 1,
        "category_id": number,
        "segmentation": outline,
        "area": int(inside.sum()),
        "bbox": box,
        "iscrowd": int(isinstance(outline, Mapping)),
    }


def _annotations(data: Mapping[str, Any], size: tuple[int, int], name: str, photo: str | None) -> list[Any]:
    images = {image.get("id"): image for image in data.get("images", ())}
    chosen = [key for key, image in images.items() if photo is not None and image.get("file_name") == photo]
    if len(images) > 1 and len(chosen) != 1:
        got = f"{name} holds masks of {len(images)} pictures, {photo or 'the photo'} not among them"
        raise InputError(got, "masks of one picture", "keep the ones that are meant")
    number = chosen[0] if chosen else next(iter(images), None)
    stated = images.get(number, {})
    if "height" in stated and "width" in stated:
        same_size((stated["height"], stated["width"]), size, name)
    return [note for note in data["annotations"] if number is None or note.get("image_id") == number]


def _union(notes: Iterable[Any], size: tuple[int, int], name: str) -> Flags:
    total = np.zeros(size, np.bool_)
    for note in notes:
        total |= read(note, size, name)
    return total


def _polygons(polygons: Sequence[Any], size: tuple[int, int], name: str) -> Flags:
    flat = all(isinstance(entry, int | float) for entry in polygons)
    rings = [checked(points, name) for points in ([polygons] if flat else polygons)]
    for ring in rings:
        inside_frame(ring, size, name)
        refuse_crossing(ring, name)
    return fill([[ring] for ring in rings], size)


def _numbers(ring: Any) -> list[float]:
    return [round(float(value), 2) for value in ring.ravel()]

