"""SpatialBench: photographs damaged differently in different regions, one region clean.

Every photograph is treated with the shipped policy and with controls that differ from it in one thing each, so that the
distance to what the tools could do falls apart into what perception owes and what the policy adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from conservator.benchmarks.draws import TRACKS, spatial_sample
from conservator.benchmarks.measuring import OnRow, compared, decibel, result_of, spent
from conservator.benchmarks.photos import Bytes, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.degradations import BY_NAME, CELL, FRAME, INDEX, LOCAL, NAMES
from conservator.pixels.types import Mask
from conservator.synthesis import Sample

if TYPE_CHECKING:
    from conservator.session import Perceiver
    from conservator.treatment import Treatment

Contestant: TypeAlias = "Callable[[Sample], Treatment]"

TITLE = "SpatialBench: different damage in different regions"
INPUT = "input"


def contestants(perceiver: Perceiver | None = None) -> dict[str, Contestant]:
    """Whom SpatialBench compares, besides the input itself.

    spatial      the shipped policy
    one_pass     the same maps and tools, each tool once, nothing weighed or taken back
    true_maps    one pass, told the true maps: what the tools could do
    true_frame   one pass, told the truth about haze and exposure only
    true_local   one pass, told the truth about the rest only

    perceiver   looks for what is not told; the shipped one when omitted
    """
    from conservator.benchmarks.controls import one_pass, told
    from conservator.perception import observe
    from conservator.treatment import restore

    look = perceiver or observe
    frame, local = (tuple(d.name for d in half) for half in (FRAME, LOCAL))
    return {
        "spatial": lambda s: restore(to_bytes(s.degraded), perceiver=look),
        "one_pass": lambda s: restore(to_bytes(s.degraded), policy=one_pass, perceiver=look),
        "true_maps": lambda s: restore(to_bytes(s.degraded), policy=one_pass, perceiver=told(s.truth)),
        "true_frame": lambda s: restore(to_bytes(s.degraded), policy=one_pass, perceiver=told(s.truth, frame, look)),
        "true_local": lambda s: restore(to_bytes(s.degraded), policy=one_pass, perceiver=told(s.truth, local, look)),
    }


def run(
    photos: Sequence[Path],
    *,
    seed: int = 0,
    tracks: Mapping[str, Sequence[str]] = TRACKS,
    among: Mapping[str, Contestant] | None = None,
    pictures: Path | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Damage every photograph once per track and treat it with everybody.

    photos     clean photographs
    tracks     kinds to inflict, by the track's name
    among      `contestants()` when omitted
    pictures   folder for a sheet per photograph and track; none when omitted
    on_row     called with every row as soon as it is measured
    """
    from conservator.benchmarks.spatialsummary import summary

    rows: list[Row] = []
    for track, kinds in tracks.items():
        for index, path in enumerate(photos):
            sample = spatial_sample(to_unit(read(path)), seed, index, kinds)
            for row in _contest(sample, among or contestants(), pictures and pictures / track / f"{path.stem}.png"):
                rows.append({"track": track, "photo": path.name, **row})
                if on_row is not None:
                    on_row(rows[-1])
    settings = {"photos": len(photos), "tracks": {track: list(kinds) for track, kinds in tracks.items()}}
    return Findings(TITLE, summary(rows, seed), rows, settings)


def _contest(sample: Sample, among: Mapping[str, Contestant], picture: Path | None) -> Iterator[Row]:
    yield {"policy": INPUT, **judged(sample, to_bytes(sample.degraded)), **_FREE}
    treatments: dict[str, Treatment] = {}
    for name, treat in among.items():
        treatments[name] = treatment = treat(sample)
        yield {"policy": name, **judged(sample, result_of(treatment)), **spent(treatment)}
    if picture is not None:
        from conservator.benchmarks.sheets import save_sheet, spatial_sheet

        save_sheet(spatial_sheet(sample, treatments), picture)


_FREE: Row = {"treated": [], "tools": [], "calls": 0, "seconds": 0.0}


def judged(sample: Sample, after: Bytes) -> Row:
    """What a result is worth.

    untouched_percent   share of the frame that no damage reached
    identical_percent   share of that which is the same to the byte; None when damage reached everything
    inflicted           kinds that somebody could notice somewhere
    traces              kinds that are there at all
    inside_db           gain inside what each noticeable kind damaged
    """
    clean, before = to_bytes(sample.clean), to_bytes(sample.degraded)
    untouched = sample.untouched > 0
    same = (after == before).all(axis=-1)[untouched]
    return {
        **compared(before, after, clean),
        "untouched_percent": 100.0 * float(untouched.mean()),
        "identical_percent": 100.0 * float(same.mean()) if same.size else None,
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
