"""Tables of the tools' benchmark: one per tool with its classical peers, and the angles of colour casts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import BEST, gains
from conservator.benchmarks.results import Row
from conservator.benchmarks.toolbench import INPUT, OURS

TURNED = 0.5
"""Degrees by which a cast must have grown to count as worse; nobody sees less."""


def summary(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Tables by title. Where nothing was damaged there is no gain to speak of: those tasks have angles only."""
    tables: dict[str, list[Row]] = {}
    for tool in dict.fromkeys(row["tool"] for row in rows):
        own = [row for row in rows if row["tool"] == tool]
        damaged = [row for row in own if row["psnr_before_db"] < BEST]
        tables[tool] = [line for part in _by(damaged, "task") for line in _task(part, seed)]
        if angles := [row for row in own if "angle_degrees" in row]:
            tables[f"{tool}: angular error"] = [
                _angle(part) for each in _by(angles, "task") for part in _by(each, "method")
            ]
        if lumas := [row for row in own if "luma_db" in row]:
            tables[f"{tool}: luma"] = [_luma(part) for each in _by(lumas, "task") for part in _by(each, "method")]
    return tables


def _luma(rows: Sequence[Row]) -> Row:
    before, after = (np.array([row[key] for row in rows]) for key in ("luma_before_db", "luma_db"))
    return {
        "task": rows[0]["task"],
        "method": rows[0]["method"],
        "photos": len(rows),
        "psnr_db": mean(after),
        "gain_db": mean(after - before),
        "worst_db": float((after - before).min()),
    }


def _by(rows: Sequence[Row], key: str) -> list[list[Row]]:
    """Rows with the same value, in the order the values appear."""
    return [[row for row in rows if row[key] == value] for value in dict.fromkeys(row[key] for row in rows)]


def _task(rows: Sequence[Row], seed: int) -> list[Row]:
    """A line per method; all are held against the classical one with the best mean PSNR, doing nothing included."""
    methods = {part[0]["method"]: part for part in _by(rows, "method")}
    classical = [name for name in methods if name not in OURS]
    best = max(classical, key=lambda name: float(np.mean([row["psnr_db"] for row in methods[name]])))
    return [_method(part, methods[best], seed) for part in methods.values()]


def _method(rows: Sequence[Row], peer: Sequence[Row], seed: int) -> Row:
    found = gains(rows, seed=seed)
    over = [a["psnr_db"] - b["psnr_db"] for a, b in zip(rows, peer, strict=True)]
    seconds, theirs = (mean([row["per_megapixel_seconds"] for row in part]) for part in (rows, peer))
    kept = ("photos", "psnr_db", "ssim", "gain_db", "worst_db", "worse_percent")
    timed = rows[0]["method"] != INPUT != peer[0]["method"]
    return {
        "task": rows[0]["task"],
        "method": rows[0]["method"],
        **{key: found[key] for key in kept},
        "over_best_classical_db": mean(over),
        "beats_it_percent": percent(np.array(over) > 0),
        "per_megapixel_seconds": seconds if rows[0]["method"] != INPUT else None,
        "time_to_its_ratio": seconds / theirs if timed and seconds and theirs else None,
    }


def _angle(rows: Sequence[Row]) -> Row:
    before, after = (np.array([row[key] for row in rows]) for key in ("angle_before_degrees", "angle_degrees"))
    return {
        "task": rows[0]["task"],
        "method": rows[0]["method"],
        "photos": len(rows),
        "before_degrees": mean(before),
        "mean_degrees": mean(after),
        "median_degrees": float(np.median(after)),
        "worst_degrees": float(after.max()),
        "worse_percent": percent(after > before + TURNED),
    }
