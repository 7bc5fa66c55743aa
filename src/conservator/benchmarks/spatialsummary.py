"""SpatialBench's tables: who gained what, who owes what, and kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conservator.benchmarks.contest import INPUT
from conservator.benchmarks.figures import interval, mean, percent
from conservator.benchmarks.measuring import WORSE, gains
from conservator.benchmarks.results import Row
from conservator.degradations import NAMES

OURS = "spatial"

DEBTS = (
    ("perception, all of it", "true_maps", "one_pass"),
    ("perception of haze and exposure", "true_frame", "one_pass"),
    ("perception of local damage", "true_local", "one_pass"),
    ("looking again and taking back", "spatial", "one_pass"),
    ("shipped policy to true maps", "true_maps", "spatial"),
    ("choosing without the truth", "oracle", "spatial"),
    ("perception, under the oracle", "oracle_true_maps", "oracle"),
)
"""(what is owed or earned, who has it, who has not)."""

DETAILED = ("spatial", "true_maps")
"""Policies whose kinds are looked at one by one."""


def summary(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Tables by title, for every track in the rows."""
    tables: dict[str, list[Row]] = {}
    for track in dict.fromkeys(row["track"] for row in rows):
        policies = by_policy(row for row in rows if row["track"] == track)
        tables[f"{track}: policies"] = [policy_row(name, own, seed) for name, own in policies.items()]
        tables[f"{track}: {OURS} against the others"] = against(policies, seed)
        tables[f"{track}: where the gain is lost"] = debts(policies, seed)
        for name in DETAILED:
            if name in policies:
                tables[f"{track}: kind by kind, {name}"] = kinds(policies[name])
    return tables


def by_policy(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each policy, in the order in which the policies appear."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["policy"], []).append(row)
    return found


def policy_row(name: str, rows: Sequence[Row], seed: int) -> Row:
    """One line of the main table."""
    return {
        "policy": name,
        **gains(rows, seed=seed),
        **{metric: mean([row["metrics"][metric] for row in rows]) for metric in rows[0]["metrics"]},
        "identical_in_clean_percent": _mean_of(rows, "identical_percent"),
        "harm_in_clean_levels": _mean_of(rows, "harm_levels"),
        "calls": mean([row["calls"] for row in rows]),
        "looks_ahead": mean([row["looks_ahead"] for row in rows]),
        "seconds": mean([row["seconds"] for row in rows]),
        "critical_path_seconds": mean([row["critical_path_seconds"] for row in rows]),
    }


def _mean_of(rows: Sequence[Row], key: str) -> float | None:
    return mean([row[key] for row in rows if row[key] is not None])


def against(policies: dict[str, list[Row]], seed: int) -> list[Row]:
    """Our gain minus that of every other policy, photograph by photograph; empty when ours did not enter."""
    found = []
    for name in policies if OURS in policies else ():
        if name in (OURS, INPUT):
            continue
        difference = _differences(policies[OURS], policies[name])
        low, high = interval(difference, seed=seed)
        found.append({
            "against": name, "photos": len(difference), "mean_db": mean(difference), "from_db": low, "to_db": high,
            "better_percent": percent([d > -WORSE for d in difference]),
            "worse_percent": percent([d < WORSE for d in difference]),
        })  # fmt: skip
    return found


def _differences(having: Sequence[Row], lacking: Sequence[Row]) -> list[float]:
    return [a["gain_db"] - b["gain_db"] for a, b in zip(having, lacking, strict=True)]


def debts(policies: dict[str, list[Row]], seed: int) -> list[Row]:
    """Paired differences of gain between policies that differ in one thing."""
    found = []
    for what, having, lacking in DEBTS:
        if having in policies and lacking in policies:
            difference = _differences(policies[having], policies[lacking])
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
