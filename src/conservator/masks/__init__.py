"""Masks in and out: soft pictures, COCO, SVG and GeoJSON files, arrays and dicts, all as float32 (H, W)."""

from conservator.masks.drawings import Drawings
from conservator.masks.reading import Drawn, MaskLike, Masks, combined, read_mask, read_masks, recorded_masks
from conservator.masks.writing import FORMATS, check_format, encode_masks

__all__ = [
    "FORMATS",
    "Drawings",
    "Drawn",
    "MaskLike",
    "Masks",
    "check_format",
    "combined",
    "encode_masks",
    "read_mask",
    "read_masks",
    "recorded_masks",
]
