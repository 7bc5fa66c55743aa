"""A stream of similar photographs, treated with and without a memory.

A roll is what one camera and one afternoon do to photographs: the same mixture with the same parameters for all of
them. Rolls take turns in the stream; the memory sees only what came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conservator.benchmarks.figures import interval, mean
from conservator.benchmarks.measuring import OnRow, compared, result_of, spent
from conservator.benchmarks.photos import read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.pixels.types import Pixels
from conservator.synthesis import COMBINATIONS, Damage, degrade, draw_preset

if TYPE_CHECKING:
    from conservator.memory import Memory
    from conservator.perception import Perceiver

TITLE = "Memory: a stream of similar photographs"

UNTREATED = {"motion_blur", "low_resolution"}
"""Kinds that no tool treats, or only where the picture shows how: in a roll with them there is less to remember."""

ROLLS = {
    "camera": tuple((*scene, "noise", "jpeg") for scene in ((), ("rain",), ("haze",), ("low_light",))),
    "combinations": tuple(kinds for group in COMBINATIONS.values() for kinds in group if not UNTREATED & set(kinds)),
}
"""By name: what cameras do to photographs, something in the scene, then noise, then compression; or AgenticIR's
combinations of kinds that have a tool."""


def run(
    photos: Sequence[Path],
    *,
    policies: Sequence[str],
    rolls: str = "camera",
    shipped: bool = True,
    seed: int = 0,
    perceiver: Perceiver | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Treat every photograph of the stream twice, with a memory and without.

    photos      clean photographs, in the order of the stream
    policies    each gets a memory of its own; see `policies.LEARNING`
    rolls       name of a set of ROLLS
    shipped     whether the memory begins with the shipped experience or empty
    perceiver   looks at the photographs; the shipped one when omitted
    """
    from conservator.memory import Memory

    rows: list[Row] = []
    for policy in policies:
        with Memory(shipped=shipped) as memory:
            for index, path in enumerate(photos):
                roll = index % len(ROLLS[rolls])
                half = "first" if index < len(photos) / 2 else "second"
                head = {"policy": policy, "half": half, "roll": "+".join(ROLLS[rolls][roll]), "photo": path.name}
                clean = to_unit(read(path))
                for row in _both(clean, damages(rolls, seed, roll, index), policy, memory, perceiver):
                    rows.append(head | row)
                    if on_row is not None:
                        on_row(rows[-1])
    mixtures = ["+".join(kinds) for kinds in ROLLS[rolls]]
    settings = {"photos": len(photos), "rolls": mixtures, "shipped experience": shipped}
    return Findings(TITLE, summary(rows, seed), rows, settings)


def damages(rolls: str, seed: int, roll: int, index: int) -> list[Damage]:
    """Of a roll, in AgenticIR's ranges; only what is random in a shot differs between its photographs."""
    drawn = draw_preset(np.random.default_rng((seed, roll)), ROLLS[rolls][roll])
    return [Damage(one.kind, one.parameters, one.seed + index) for one in drawn]


def _both(
    clean: Pixels, inflicted: Sequence[Damage], policy: str, memory: Memory, perceiver: Perceiver | None
) -> list[Row]:
    from conservator.perception import observe
    from conservator.treatment import restore

    sample = degrade(clean, inflicted)
    before, truth = to_bytes(sample.degraded), to_bytes(sample.clean)
    rows = []
    for known in (None, memory):
        treatment = restore(before, policy=policy, memory=known, perceiver=perceiver or observe)
        used = treatment.record.data["memory"]
        cost = spent(treatment)
        rows.append(
            {
                "memory": known is not None,
                "match": used["recalled"]["match"] if used else None,
                "learned": [one["change"] for one in used["learned"]] if used else [],
                **compared(before, result_of(treatment), truth),
                **cost,
                "tool_runs": cost["calls"] + cost["looks_ahead"],
            }
        )
    return rows


def summary(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Tables: each policy on both halves, and the second half roll by roll."""
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    halves = [
        {"policy": policy, "half": half, **_against(rows, seed, policy=policy, half=half)}
        for policy in policies
        for half in ("first", "second")
        if any(row["half"] == half for row in rows)
    ]
    rolls = [
        {"policy": policy, "roll": roll, **_against(rows, seed, policy=policy, half="second", roll=roll)}
        for policy in policies
        for roll in dict.fromkeys(row["roll"] for row in rows if row["half"] == "second")
    ]
    return {"with memory against without": halves, "second half, roll by roll": rolls}


def _against(rows: Sequence[Row], seed: int, **chosen: str) -> Row:
    of = [row for row in rows if all(row[key] == value for key, value in chosen.items())]
    without, with_ = ([row for row in of if row["memory"] is memory] for memory in (False, True))
    change = np.array([b["gain_db"] - a["gain_db"] for a, b in zip(without, with_, strict=True)])
    low, high = interval(change, None, seed)
    calls, known_calls = (sum(row["calls"] for row in some) for some in (without, with_))
    runs, known_runs = (sum(row["tool_runs"] for row in some) for some in (without, with_))
    return {
        "photos": len(with_),
        "recalled": sum(row["match"] != "none" for row in with_ if row["match"]),
        "calls": calls,
        "calls with memory": known_calls,
        "fewer_percent": _fewer(calls, known_calls),
        "tool runs": runs,
        "runs with memory": known_runs,
        "fewer_runs_percent": _fewer(runs, known_runs),
        "gain_db": mean([row["gain_db"] for row in without]),
        "gain_with_memory_db": mean([row["gain_db"] for row in with_]),
        "difference_db": mean(change),
        "from_db": low,
        "to_db": high,
    }


def _fewer(before: int, after: int) -> float | None:
    return 100 * (1 - after / before) if before else None
