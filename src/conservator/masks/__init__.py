"""Masks in and out: soft pictures, COCO, SVG and GeoJSON files, arrays and dicts, all as float32 (H, W)."""

from conservator.masks.reading import Drawn, MaskLike, Masks, combined, read_mask, read_masks, recorded_masks
from conservator.masks.writing import FORMATS, encode_masks

__all__ = [
    "FORMATS",
    "Drawn",
    "MaskLike",
    "Masks",
    "combined",
    "encode_masks",
    "read_mask",
    "read_masks",
    "recorded_masks",
]
