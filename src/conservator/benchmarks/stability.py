"""Masks on damaged photographs: how much of a region is found again, and whether cleaning first helps.

After the question of RobustSAM (Chen et al., CVPR 2024). What counts as right is the mask on the clean photograph, by
the same source: this is stability, not truth. Besides all pixels, those count alone that the mask is sure of, for they
are what a step treats in full; doubt is the feather.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from conservator.benchmarks.figures import mean
from conservator.benchmarks.measuring import OnRow, result_of
from conservator.benchmarks.photos import Bytes, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.diagnosis import Diagnosis
from conservator.perception import observe
from conservator.photo import open_photo
from conservator.pixels.types import Mask
from conservator.selection import MaskSource, Prompt, select
from conservator.selection.scene import Scene
from conservator.synthesis import degrade, draw_preset
from conservator.treatment import restore

TITLE = "Regions on damaged photographs"
WORDS = ("sky", "shadows", "highlights", "foreground", "skin", "text")
"""Parts that have nothing to do with the damage itself, nor with the place alone."""

DAMAGE = ("noise", "jpeg", "haze", "low_light", "defocus_blur")
SURE = 0.9  # from which, and from 1 minus which, a pixel is sure
LEAST = 0.02  # share of the clean frame from which a region counts
MOST = 8  # things a source finds that are followed


def run(
    photos: Sequence[Path], *, outliner: MaskSource | None = None, damage: Sequence[str] = DAMAGE, seed: int = 0,
    on_row: OnRow | None = None,
) -> Findings:  # fmt: skip
    """Every photograph suffers one kind of damage, in turns, and is looked at clean, damaged and restored."""
    rows: list[Row] = []
    for index, path in enumerate(photos):
        for row in _looked(path, damage[index % len(damage)], np.random.default_rng((seed, index)), outliner):
            rows.append(row)
            if on_row is not None:
                on_row(row)
    names = dict.fromkeys(row["region"] for row in rows)
    tables = {
        "regions": [_summed("region", name, rows) for name in names],
        "damage": [_summed("damage", kind, rows) for kind in dict.fromkeys(row["damage"] for row in rows)],
    }
    return Findings(TITLE, tables, rows, {"photos": len(photos), "source": outliner and outliner.name})


def _looked(path: Path, kind: str, rng: np.random.Generator, outliner: MaskSource | None) -> Iterator[Row]:
    clean = read(path)
    damaged = to_bytes(degrade(to_unit(clean), draw_preset(rng, [kind])).degraded)
    cleaned = result_of(restore(damaged))
    looks = [(picture, observe(open_photo(picture).samples)) for picture in (clean, damaged, cleaned)]
    common = {"photo": path.name, "damage": kind}
    for word in WORDS:
        masks = [select(picture, word, diagnosis=seen).mask for picture, seen in looks]
        if masks[0].mean() >= LEAST:
            yield common | {"region": word} | _compared(masks[0], masks[1], masks[2])
    if outliner is not None:
        found = [_things(outliner, picture, seen) for picture, seen in looks]
        for mask in sorted(found[0], key=lambda one: -float(one.mean()))[:MOST]:
            if mask.mean() >= LEAST:
                alike = [_best(mask, others) for others in found[1:]]
                yield common | {"region": outliner.name.partition(":")[0]} | _compared(mask, *alike)


def _things(outliner: MaskSource, picture: Bytes, seen: Diagnosis) -> list[Mask]:
    return [one.mask for one in outliner.find(Scene(open_photo(picture).samples, seen), Prompt())]


def _best(mask: Mask, others: Sequence[Mask]) -> Mask:
    """The one that overlaps most; nothing where there is none."""
    return max(others, key=lambda other: overlap(mask, other), default=np.zeros_like(mask))


def overlap(one: Mask, other: Mask, sure: bool = False) -> float:
    """IoU of masks cut at a half, over all pixels or those of which the second is sure."""
    here = np.abs(other - 0.5) >= SURE - 0.5 if sure else np.ones(one.shape, np.bool_)
    a, b = (one >= 0.5)[here], (other >= 0.5)[here]
    return float((a & b).sum() / max((a | b).sum(), 1))


def _compared(clean: Mask, damaged: Mask, cleaned: Mask) -> Row:
    return {
        "damaged": overlap(clean, damaged), "cleaned": overlap(clean, cleaned),
        "sure_damaged": overlap(clean, damaged, sure=True), "sure_cleaned": overlap(clean, cleaned, sure=True),
        "sure_share": float((np.abs(damaged - 0.5) >= SURE - 0.5).mean()),
    }  # fmt: skip


def _summed(key: str, value: str, rows: Sequence[Row]) -> Row:
    """Mean IoU with the mask on the clean photograph."""
    some = [row for row in rows if row[key] == value]
    return {
        key: value, "masks": len(some),
        "iou_damaged": mean([row["damaged"] for row in some]),
        "iou_cleaned_first": mean([row["cleaned"] for row in some]),
        "iou_where_sure": mean([row["sure_damaged"] for row in some]),
        "sure_pixels_percent": 100 * (mean([row["sure_share"] for row in some]) or 0.0),
        "better_cleaned_percent": 100 * (mean([row["cleaned"] > row["damaged"] for row in some]) or 0.0),
    }  # fmt: skip
