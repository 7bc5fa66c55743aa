"""One damaged photograph, treated by everybody: what each result is worth and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conservator.benchmarks.entrants import Contestant
from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import compared, decibel, result_of, spent
from conservator.benchmarks.photos import Bytes, to_bytes, to_unit
from conservator.benchmarks.results import Row
from conservator.degradations import BY_NAME, CELL, INDEX, NAMES
from conservator.pixels.types import Mask
from conservator.synthesis import Sample

if TYPE_CHECKING:
    from conservator.treatment import Treatment

INPUT = "input"
"""Name of the damaged photograph itself among the policies."""

PERCEPTUAL = ("gmsd", "perceptual")
"""Measured besides PSNR and SSIM: a formula that follows people more closely, and LPIPS's form with our own network."""

_FREE: Row = {
    "treated": [], "tools": [], "calls": 0, "looks_ahead": 0, "seconds": 0.0, "critical_path_seconds": 0.0,
}  # fmt: skip


def contest(
    sample: Sample,
    among: Mapping[str, Contestant],
    metrics: Sequence[str] = (),
    picture: Path | None = None,
    small: Sample | None = None,
) -> Iterator[Row]:
    """A row for the input, then one for everybody.

    small     what everybody is given and has to enlarge to the sample's size; the sample itself when omitted
    metrics   measures by name, besides PSNR, SSIM and PERCEPTUAL
    picture   file for a sheet of the results
    """
    names = tuple(dict.fromkeys((*PERCEPTUAL, *metrics)))
    before = to_bytes(sample.degraded)
    yield {"policy": INPUT, **judged(sample, before), "metrics": measured(names, before, sample), **_FREE}
    treatments: dict[str, Treatment] = {}
    for name, treat in among.items():
        given = small or sample
        treatments[name] = treatment = treat(given, sample.clean.shape[0] // given.clean.shape[0])
        after = result_of(treatment)
        yield {"policy": name, **judged(sample, after), "metrics": measured(names, after, sample), **spent(treatment)}
    if picture is not None:
        from conservator.benchmarks.sheets import save_sheet, spatial_sheet

        save_sheet(spatial_sheet(sample, treatments), picture)


def measured(names: Sequence[str], after: Bytes, sample: Sample) -> dict[str, float]:
    """Measures of a result by name."""
    from conservator.quality.metrics import metric_named

    return {name: metric_named(name).measure(to_unit(after), sample.clean) for name in names}


def judged(sample: Sample, after: Bytes) -> Row:
    """What a result is worth.

    untouched_percent   share of the frame that no damage reached
    identical_percent   share of that which is the same to the byte; None when damage reached everything
    harm_levels         mean change of that in 8-bit levels
    inflicted           kinds that somebody could notice somewhere
    traces              kinds that are there at all
    inside_db           gain inside what each noticeable kind damaged
    """
    clean, before = to_bytes(sample.clean), to_bytes(sample.degraded)
    untouched = sample.untouched > 0
    change = np.abs(after.astype(np.float32) - before)[untouched]
    return {
        **compared(before, after, clean),
        "untouched_percent": 100.0 * float(untouched.mean()),
        "identical_percent": percent((change == 0).all(axis=-1)),
        "harm_levels": mean(change.mean(axis=-1)),
        "inflicted": noticeable(sample),
        "traces": [kind for kind in NAMES if sample.truth[INDEX[kind]].any()],
        "inside_db": {
            kind: decibel(after, clean, mask) - decibel(before, clean, mask)
            for kind, mask in ((kind, damaged_pixels(sample, kind)) for kind in noticeable(sample))
        },
    }


def noticeable(sample: Sample) -> list[str]:
    """Kinds whose severity reaches their threshold in some cell."""
    return [kind for kind in NAMES if sample.truth[INDEX[kind]].max() >= BY_NAME[kind].threshold]


def damaged_pixels(sample: Sample, kind: str) -> Mask:
    """1 in the cells where a kind could be noticed, float32 (H, W)."""
    cells = (sample.truth[INDEX[kind]] >= BY_NAME[kind].threshold).astype(np.float32)
    height, width = sample.clean.shape[:2]
    return np.asarray(cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width])
