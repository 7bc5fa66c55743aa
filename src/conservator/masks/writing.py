"""Masks as files: PNG keeps them soft, the others keep what is at least half inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from conservator.errors import OutputError, UsageError
from conservator.masks import coco, geojson, svg
from conservator.pixels.types import Mask

FORMATS = (".json", ".geojson", ".svg", ".png")


def check_format(suffix: str, style: str = "rle", points: int | None = None) -> None:
    """OutputError for an extension that is no format's, UsageError for a style or for points that it does not have."""
    if suffix not in FORMATS:
        raise OutputError(f"the extension {suffix!r} for masks", ", ".join(FORMATS), "name the file so")
    if style not in get_args(coco.Style):
        raise UsageError(f"style {style!r}", ", ".join(get_args(coco.Style)))
    if style != "rle" and suffix != ".json":
        raise UsageError(f"style {style!r} for {suffix}", "COCO", "name a .json")
    if points is not None and (suffix == ".png" or (suffix == ".json" and style != "polygons")):
        raise UsageError(f"{points} points for {suffix}", "outlines: .svg, .geojson, or COCO's polygons")


def encode_masks(
    masks: Mapping[str, Mask], suffix: str, *, file: str = "", style: coco.Style = "rle", points: int | None = None
) -> bytes:
    """A file's bytes for named masks, float32 (H, W) in [0, 1], in the format of an extension, see FORMATS.

    file    name of the photo, for COCO (.json)
    style   of COCO's segmentations
    points  at most so many for the outline of each mask, at least 4; None is exact

    Raises what `check_format` does; OutputError for several masks in a .png, which is of 16 bits, and where nothing is
    inside any: a mask that is nowhere at least half inside has no outline and is left out of all but a .png.
    """
    check_format(suffix, style, points)
    if suffix == ".png":
        return _png(masks)
    inside = {name: mask >= 0.5 for name, mask in masks.items() if (mask >= 0.5).any()}
    if not inside:
        names, most = ", ".join(masks), max(float(mask.max()) for mask in masks.values())
        got = f"an outline of {names}, nowhere more than {most:.0%} inside"
        fix = "name a .png, which keeps it soft" if most else "leave it out"
        raise OutputError(got, "a part that is at least half inside", fix)
    if suffix == ".svg":
        return svg.write(inside, points).encode()
    if suffix == ".geojson":
        return _json(geojson.write(inside, points))
    return _json(coco.dataset(inside, file, style, points))


def _png(masks: Mapping[str, Mask]) -> bytes:
    import cv2

    if len(masks) != 1:
        raise OutputError(f"{len(masks)} masks in one .png", "one, or .json, .geojson or .svg", "choose another name")
    (mask,) = masks.values()
    if not mask.any():
        raise OutputError(f"a mask of {next(iter(masks))}, which is nowhere", "a part that is in the picture")
    levels = np.rint(np.clip(mask, 0, 1) * np.float32(65535)).astype(np.uint16)
    return bytes(cv2.imencode(".png", levels)[1].tobytes())


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n").encode()
