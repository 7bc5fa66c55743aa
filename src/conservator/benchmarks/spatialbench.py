"""SpatialBench: photographs damaged differently in different regions, one region clean.

Every photograph is treated with the shipped policy and with controls that differ from it in one thing each, so that the
distance to what the tools could do falls apart into what perception owes and what the policy adds; or with any other
choice of policies, see `entrants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from conservator.benchmarks.contest import contest
from conservator.benchmarks.draws import TRACKS, spatial_sample
from conservator.benchmarks.entrants import CONTROLS, Contestant, chosen
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import read, to_unit
from conservator.benchmarks.results import Findings, Row

TITLE = "SpatialBench: different damage in different regions"


def run(
    photos: Sequence[Path],
    *,
    seed: int = 0,
    tracks: Mapping[str, Sequence[str]] = TRACKS,
    among: Mapping[str, Contestant] | None = None,
    metrics: Sequence[str] = (),
    pictures: Path | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Damage every photograph once per track and treat it with everybody.

    photos     clean photographs
    tracks     kinds to inflict, by the track's name
    among      who treats them; CONTROLS when omitted
    metrics    further measures by name, see `quality.metrics`
    pictures   folder for a sheet per photograph and track; none when omitted
    on_row     called with every row as soon as it is measured
    """
    from conservator.benchmarks.spatialsummary import summary

    rows: list[Row] = []
    for track, kinds in tracks.items():
        for index, path in enumerate(photos):
            sample = spatial_sample(to_unit(read(path)), seed, index, kinds)
            sheet = pictures and pictures / track / f"{path.stem}.png"
            for row in contest(sample, among or chosen(CONTROLS), metrics, sheet):
                rows.append({"track": track, "photo": path.name, **row})
                if on_row is not None:
                    on_row(rows[-1])
    settings = {"photos": len(photos), "tracks": {track: list(kinds) for track, kinds in tracks.items()}}
    return Findings(TITLE, summary(rows, seed), rows, settings)
