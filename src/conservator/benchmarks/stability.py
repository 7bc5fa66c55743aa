"""Masks on damaged photographs: how much of a region is found again, and whether cleaning first helps.

After the question of RobustSAM (Chen et al., CVPR 2024). What counts as right is the mask on the clean photograph, by
the same source: this is stability, not truth. Besides all pixels, those count alone that the mask is sure of, for they
are what a step treats in full; doubt is the feather.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from conservator.benchmarks.figures import mean
from conservator.benchmarks.measuring import OnRow, result_of
from conservator.benchmarks.photos import read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
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
SPOTS = 3  # points a source is asked at, across and down: wherever they lie, for nobody points by the damage


def run(
    photos: Sequence[Path], *, outliner: MaskSource | None = None, damage: Sequence[str] = DAMAGE, seed: int = 0,
    on_row: OnRow | None = None,
) -> Findings:  # fmt: skip
    """Every photograph suffers one kind of damage, in turns, and is looked at clean, damaged and restored.

    outliner   a mask source to measure besides the words: on everything there is, and at points where it takes them
    """
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
    source = outliner and {"name": outliner.name, "weights": dict(outliner.weights)}
    return Findings(TITLE, tables, rows, {"photos": len(photos), "source": source})


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
        scenes = [Scene(open_photo(picture).samples, seen) for picture, seen in looks]
        for region, masks in found_on(outliner, scenes):
            if masks[0].mean() >= LEAST:
                yield common | {"region": region} | _compared(masks[0], masks[1], masks[2])


def found_on(outliner: MaskSource, scenes: Sequence[Scene]) -> Iterator[tuple[str, list[Mask]]]:
    """What a source was asked for, and its masks of one thing on the scenes, the clean one first."""
    kind = outliner.name.partition(":")[0]
    found = [[one.mask for one in outliner.find(scene, Prompt())] for scene in scenes]
    for mask in sorted(found[0], key=lambda one: -float(one.mean()))[:MOST]:
        yield f"{kind}, everything", [mask, *(_best(mask, others) for others in found[1:])]
    height, width = scenes[0].samples.shape[:2]
    for y, x in product((np.arange(SPOTS) + 0.5) / SPOTS, repeat=2):
        prompt = Prompt(points=((x * width, y * height, True),))
        if outliner.knows(prompt):
            yield f"{kind}, at a point", [_surest(outliner, scene, prompt) for scene in scenes]


def _surest(outliner: MaskSource, scene: Scene, prompt: Prompt) -> Mask:
    """The one that a source is surest of; nothing where there is none."""
    return next((one.mask for one in outliner.find(scene, prompt)), np.zeros(scene.size, np.float32))


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
