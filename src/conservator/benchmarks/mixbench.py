"""MixBench: AgenticIR's sixteen combinations of damage over the whole frame, on any clean photographs.

Photographs that lost resolution enter at a quarter of their size and leave at full size: everybody treats the small one
and enlarges last. The input that all are compared with is the small one enlarged by bicubic interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from conservator.benchmarks.contest import contest
from conservator.benchmarks.draws import before_enlarging, mixed_sample
from conservator.benchmarks.entrants import STRATEGIES, Contestant, chosen
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import read, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.synthesis import COMBINATIONS

TITLE = "MixBench: AgenticIR's combinations over the whole frame"


def run(
    photos: Sequence[Path],
    *,
    seed: int = 0,
    groups: Sequence[str] = tuple(COMBINATIONS),
    among: Mapping[str, Contestant] | None = None,
    metrics: Sequence[str] = (),
    on_row: OnRow | None = None,
) -> Findings:
    """Damage every photograph once per combination and treat it with everybody.

    photos    clean photographs
    groups    of combinations, some of A, B and C
    among     who treats them; STRATEGIES when omitted
    metrics   further measures by name, see `quality.metrics`
    on_row    called with every row as soon as it is measured
    """
    from conservator.benchmarks.mixsummary import summary

    rows: list[Row] = []
    everybody = among or chosen(STRATEGIES)
    for group in groups:
        for number, kinds in enumerate(COMBINATIONS[group]):
            for index, path in enumerate(photos):
                sample = mixed_sample(to_unit(read(path)), seed, index, (group, number))
                for row in contest(sample, everybody, metrics, small=before_enlarging(sample)):
                    rows.append({"group": group, "combination": "+".join(kinds), "photo": path.name, **row})
                    if on_row is not None:
                        on_row(rows[-1])
    combinations = {group: ["+".join(kinds) for kinds in COMBINATIONS[group]] for group in groups}
    settings = {"photos": len(photos), "groups": combinations, "low_resolution": "enters at 1/4, leaves at full size"}
    return Findings(TITLE, summary(rows, seed), rows, settings)
