"""Masks as files: PNG keeps them soft, the others keep what is at least half inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from conservator.errors import OutputError
from conservator.masks import coco, geojson, svg
from conservator.pixels.types import Mask

FORMATS = (".json", ".geojson", ".svg", ".png")


def encode_masks(masks: Mapping[str, Mask], suffix: str, *, file: str = "", style: coco.Style = "rle") -> bytes:
    """A file's bytes for named masks, float32 (H, W) in [0, 1], in the format of an extension, see FORMATS.

    file    name of the photo, for COCO (.json)
    style   of COCO's segmentations

    .png holds one mask only, in 16 bits: OutputError for several, and for other extensions.
    """
    if suffix == ".png":
        return _png(masks)
    inside = {name: mask >= 0.5 for name, mask in masks.items()}
    if suffix == ".svg":
        return svg.write(inside).encode()
    if suffix == ".geojson":
        return _json(geojson.write(inside))
    if suffix == ".json":
        return _json(coco.dataset(inside, file, style))
    raise OutputError(f"the extension {suffix!r} for masks", ", ".join(FORMATS), "name the file so")


def _png(masks: Mapping[str, Mask]) -> bytes:
    import cv2

    if len(masks) != 1:
        raise OutputError(f"{len(masks)} masks in one .png", "one, or .json, .geojson or .svg", "choose another name")
    (mask,) = masks.values()
    levels = np.rint(np.clip(mask, 0, 1) * np.float32(65535)).astype(np.uint16)
    return bytes(cv2.imencode(".png", levels)[1].tobytes())


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n").encode()
