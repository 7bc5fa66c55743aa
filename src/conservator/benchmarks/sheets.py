"""Sheets of pictures for looking: a number that rose while the picture got worse is a bug in the number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conservator.benchmarks.measuring import decibel, result_of
from conservator.benchmarks.photos import Bytes, to_bytes
from conservator.degradations import NAMES
from conservator.files import make_folder
from conservator.pixels.types import Maps
from conservator.synthesis import Sample

if TYPE_CHECKING:
    from conservator.treatment import Treatment

COLUMNS = 4
WIDTH = 2000
SHOWN = ("spatial", "true_maps")


def spatial_sheet(sample: Sample, treatments: Mapping[str, Treatment], width: int = WIDTH) -> Bytes:
    """input | results | clean, and below the true and the predicted severities over the input, uint8 (h, width, 3)."""
    from conservator.report.pictures import contact_sheet

    return contact_sheet([*_results(sample, treatments), *_maps(sample, treatments)], width, COLUMNS)


def save_sheet(sheet: Bytes, path: Path) -> Path:
    """Write a sheet where no original can be; the container follows the extension, an earlier sheet is replaced."""
    from conservator.photo import open_photo, save

    make_folder(path.parent)
    return save(open_photo(sheet), path, overwrite=True)


def _results(sample: Sample, treatments: Mapping[str, Treatment]) -> Iterator[tuple[str, Bytes]]:
    clean, before = to_bytes(sample.clean), to_bytes(sample.degraded)
    old = decibel(before, clean)
    yield f"input {old:.2f} dB: {', '.join(dict.fromkeys(d.kind for d in sample.damages))}", before
    for name in SHOWN:
        if name in treatments:
            after = result_of(treatments[name])
            yield f"{name} {decibel(after, clean) - old:+.2f} dB: {_plan(treatments[name])}", after
    yield "clean", clean


def _maps(sample: Sample, treatments: Mapping[str, Treatment]) -> Iterator[tuple[str, Bytes]]:
    from conservator.report.pictures import heatmap, overlay

    before = to_bytes(sample.degraded)
    yield "inflicted", heatmap(sample.truth.max(axis=0), before)
    if "spatial" in treatments:
        found = treatments["spatial"].diagnosis
        yield f"found: {_worst(found.maps)}", heatmap(found.maps.max(axis=0), before)
        yield "regions", overlay(before, found.regions)
        yield (
            f"left: {_worst(treatments['spatial'].after.maps)}",
            heatmap(treatments["spatial"].after.maps.max(axis=0), before),
        )


def _plan(treatment: Treatment) -> str:
    steps = treatment.record.data["plan"]
    return "; ".join(f"{step['tool']}({', '.join(step['treats'])})" for step in steps) or "nothing treated"


def _worst(maps: Maps) -> str:
    """Kinds by share of the frame, the widest first."""
    share = (maps > 0).mean(axis=(1, 2))
    return ", ".join(f"{NAMES[i]} {share[i]:.0%}" for i in np.argsort(-share, kind="stable") if share[i]) or "nothing"
