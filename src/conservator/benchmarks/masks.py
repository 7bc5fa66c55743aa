"""Masks: how closely outlines of so many points follow them, and how many bytes each format takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from conservator.benchmarks.figures import mean, overlap, percent
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.results import Findings, Row
from conservator.masks import encode_masks, read_mask
from conservator.masks.fill import Flags, fill
from conservator.masks.trace import trace

TITLE = "Masks"
BUDGETS = (16, 32, 64, 128, 256, 512)
FORMATS = (
    (".png", "rle"), (".json", "rle"), (".json", "counts"), (".json", "polygons"), (".svg", "rle"), (".geojson", "rle"),
)  # fmt: skip
SIZE = (480, 640)


def run(*, seed: int = 0, count: int = 24, on_row: OnRow | None = None) -> Findings:
    """Outlines and files of `count` computed masks with holes, in several parts, of every roughness."""
    rows: list[Row] = []
    for number, mask in enumerate(masks(seed, count)):
        rows += [{"mask": number, **row} for row in (*_outlined(mask), *_filed(mask))]
        if on_row is not None:
            on_row(rows[-1])
    settings = {"masks": count, "size": list(SIZE), "points": list(BUDGETS)}
    names = {"points": "points", "polygons": "polygons", "files": "format"}
    return Findings(TITLE, {title: _summed(rows, by) for title, by in names.items()}, rows, settings)


def masks(seed: int, count: int) -> Iterator[Flags]:
    """Blobs bool (480, 640): smooth fields over a threshold, half of them rough at the rim."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    for number in range(count):
        field = ndimage.gaussian_filter(rng.standard_normal(SIZE), rng.uniform(20, 60))
        field /= field.std()
        if number % 2:
            field += 0.15 * ndimage.gaussian_filter(rng.standard_normal(SIZE), 3) / 0.094
        yield field > rng.uniform(-0.2, 0.8)


def _outlined(mask: Flags) -> Iterator[Row]:
    for points in (*BUDGETS, None):
        parts = trace(mask, points)
        used = sum(part.points for part in parts)
        iou = overlap(fill([part.rings for part in parts], SIZE), mask)
        budget = "exact" if points is None else str(points)
        yield {"points": budget, "used": used, "iou": iou}
        yield {"polygons": budget, **_as_polygons(mask, points)}


def _as_polygons(mask: Flags, points: int | None) -> Row:
    """The same as a file of COCO's polygons, which have no holes, read again."""
    data = encode_masks({"mask": mask.astype(np.float32)}, ".json", style="polygons", points=points)
    rings = json.loads(data)["annotations"][0]["segmentation"]
    return {"used": sum(map(len, rings)) // 2, "iou": overlap(read_mask(data, SIZE) >= 0.5, mask)}


def _filed(mask: Flags) -> Iterator[Row]:
    for suffix, style in FORMATS:
        data = encode_masks({"mask": mask.astype(np.float32)}, suffix, style=style)  # type: ignore[arg-type]
        name = f"COCO {style}" if suffix == ".json" else suffix[1:]
        size = len(data) if suffix != ".json" else len(json.dumps(json.loads(data)["annotations"][0]["segmentation"]))
        yield {"format": name, "bytes": size, "iou": overlap(read_mask(data, SIZE) >= 0.5, mask)}


def _summed(rows: Sequence[Row], by: str) -> list[Row]:
    """Mean and worst IoU, and means of what else was measured."""
    groups = dict.fromkeys(row[by] for row in rows if by in row)
    return [_row(by, name, [row for row in rows if row.get(by) == name]) for name in groups]


def _row(by: str, name: str, rows: Sequence[Row]) -> Row:
    ious = [row["iou"] for row in rows]
    cost = "bytes" if by == "format" else "used"
    return {by: name, f"mean_{cost}": round(mean([row[cost] for row in rows]) or 0), "iou": mean(ious),
            "worst_iou": min(ious), "reach_99_percent": percent([iou >= 0.99 for iou in ious])}  # fmt: skip
