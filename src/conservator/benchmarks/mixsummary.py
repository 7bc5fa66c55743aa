"""MixBench's tables: policies by group, ours against the others, and the gain combination by combination."""

from __future__ import annotations

from collections.abc import Sequence

from conservator.benchmarks.contest import INPUT
from conservator.benchmarks.figures import mean
from conservator.benchmarks.results import Row
from conservator.benchmarks.spatialsummary import OURS, against, by_policy, policy_row


def summary(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Tables by title."""
    tables: dict[str, list[Row]] = {}
    for group in dict.fromkeys(row["group"] for row in rows):
        policies = by_policy(row for row in rows if row["group"] == group)
        tables[f"group {group}: policies"] = [policy_row(name, own, seed) for name, own in policies.items()]
        tables[f"group {group}: {OURS} against the others"] = against(policies, seed)
    combinations = dict.fromkeys(row["combination"] for row in rows)
    tables["gain by combination"] = [
        _combination(name, [row for row in rows if row["combination"] == name]) for name in combinations
    ]
    return tables


def _combination(name: str, rows: Sequence[Row]) -> Row:
    """PSNR of the input, and what everybody gained over it."""
    policies = by_policy(rows)
    entered = policies.pop(INPUT)
    return {
        "combination": f"{rows[0]['group']}: {name}",
        "photos": len(entered),
        "input_psnr_db": mean([row["psnr_db"] for row in entered]),
        **{f"{policy}_db": mean([row["gain_db"] for row in own]) for policy, own in policies.items()},
    }
