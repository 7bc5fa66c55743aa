"""SpatialBench's tables: who gained what, who owes what, and kind by kind."""

from __future__ import annotations

from collections.abc import Sequence

from conservator.benchmarks.figures import interval, mean, percent
from conservator.benchmarks.measuring import gains
from conservator.benchmarks.results import Row
from conservator.degradations import NAMES

DEBTS = (
    ("perception, all of it", "true_maps", "one_pass"),
    ("perception of haze and exposure", "true_frame", "one_pass"),
    ("perception of local damage", "true_local", "one_pass"),
    ("looking again and taking back", "spatial", "one_pass"),
    ("shipped policy to true maps", "true_maps", "spatial"),
)
"""(what is owed or earned, who has it, who has not)."""

DETAILED = ("spatial", "true_maps")
"""Policies whose kinds are looked at one by one."""


def summary(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Tables by title, for every track in the rows."""
    tables: dict[str, list[Row]] = {}
    for track in dict.fromkeys(row["track"] for row in rows):
        policies: dict[str, list[Row]] = {}
        for row in rows:
            if row["track"] == track:
                policies.setdefault(row["policy"], []).append(row)
        tables[f"{track}: policies"] = [policy_row(name, own, seed) for name, own in policies.items()]
        tables[f"{track}: where the gain is lost"] = debts(policies, seed)
        for name in DETAILED:
            if name in policies:
                tables[f"{track}: kind by kind, {name}"] = kinds(policies[name])
    return tables


def policy_row(name: str, rows: Sequence[Row], seed: int) -> Row:
    """One line of the main table."""
    identical = [row["identical_percent"] for row in rows if row["identical_percent"] is not None]
    return {
        "policy": name,
        **gains(rows, seed=seed),
        "identical_in_clean_percent": mean(identical),
        "calls": mean([row["calls"] for row in rows]),
        "seconds": mean([row["seconds"] for row in rows]),
    }


def debts(policies: dict[str, list[Row]], seed: int) -> list[Row]:
    """Paired differences of gain between policies that differ in one thing."""
    found = []
    for what, having, lacking in DEBTS:
        if having in policies and lacking in policies:
            pairs = zip(policies[having], policies[lacking], strict=True)
            difference = [a["gain_db"] - b["gain_db"] for a, b in pairs]
            low, high = interval(difference, seed=seed)
            found.append({
                "what": what, "difference_of": f"{having} − {lacking}",
                "mean_db": mean(difference), "from_db": low, "to_db": high,
            })  # fmt: skip
    return found


def kinds(rows: Sequence[Row]) -> list[Row]:
    """Gain where each kind did its damage, how often it was missed, and how often treated where there is none."""
    return [_kind(kind, rows) for kind in NAMES if any(kind in row["traces"] + row["treated"] for row in rows)]


def _kind(kind: str, rows: Sequence[Row]) -> Row:
    damaged = [row for row in rows if kind in row["inflicted"]]
    free = [row for row in rows if kind not in row["traces"]]
    inside = [row["inside_db"][kind] for row in damaged]
    return {
        "kind": kind,
        "photos": len(damaged),
        "gain_inside_db": mean(inside),
        "worst_inside_db": min(inside, default=None),
        "missed_percent": percent([kind not in row["treated"] for row in damaged]),
        "photos_without": len(free),
        "wrongly_treated_percent": percent([kind in row["treated"] for row in free]),
    }
