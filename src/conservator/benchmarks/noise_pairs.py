"""Real camera noise: pairs of the same scene, one clean by averaging, in folders clean/ and noisy/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conservator.benchmarks.figures import percent
from conservator.benchmarks.measuring import OnRow, Treat, compared, gains, restored, result_of, spent
from conservator.benchmarks.photos import photographs, read
from conservator.benchmarks.results import Findings, Row
from conservator.errors import InputError

TITLE = "Real camera noise"
HARMED = -0.1
"""dB of gain below which a photograph counts as harmed."""


def pairs(
    folder: Path, limit: int | None = None, sides: tuple[str, str] = ("clean", "noisy")
) -> list[tuple[Path, Path]]:
    """(clean, noisy), or what the folders are called, by file name without extension.

    InputError when a partner is missing.
    """
    clean, noisy = ({path.stem: path for path in photographs(folder / side)} for side in sides)
    if alone := sorted(clean.keys() ^ noisy.keys()):
        where = "/ and ".join(sides)
        raise InputError(f"{alone[0]} is in one of {where}/ only", "pairs of the same name", "complete them")
    return [(clean[name], noisy[name]) for name in sorted(clean)][:limit]


def run(folder: Path, *, limit: int | None = None, treat: Treat = restored, on_row: OnRow | None = None) -> Findings:
    """Restore every noisy photograph and compare with the clean one."""
    rows: list[Row] = []
    for clean, noisy in pairs(folder, limit):
        treatment = treat(noisy)
        measured = compared(read(noisy), result_of(treatment), read(clean))
        rows.append({"photo": noisy.stem, **measured, **spent(treatment)})
        if on_row is not None:
            on_row(rows[-1])
    return Findings(TITLE, {"camera noise": [_summed(rows)]}, rows, {"photos": len(rows), "harmed_below_db": HARMED})


def _summed(rows: Sequence[Row]) -> Row:
    return {
        **gains(rows),
        "worst": min(rows, key=lambda row: row["gain_db"])["photo"],
        "harmed": sum(row["gain_db"] < HARMED for row in rows),
        "untreated_percent": percent([not row["treated"] for row in rows]),
    }
