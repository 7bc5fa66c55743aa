"""Real camera noise: pairs of the same scene, one clean by averaging, in folders clean/ and noisy/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conservator.benchmarks.figures import percent
from conservator.benchmarks.measuring import OnRow, Treat, compared, gains, restored, result_of, spent
from conservator.benchmarks.photos import photographs, read
from conservator.benchmarks.results import Findings, Row
from conservator.errors import InputError

if TYPE_CHECKING:
    from conservator.photo import Source
    from conservator.treatment import Treatment

TITLE = "Real camera noise"
HARMED = -0.1
"""dB of gain below which a photograph counts as harmed."""

TOLD = "remove the noise"


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


def told(photo: Source) -> Treatment:
    """What a user gets who says that the light is as it should be: the clean photographs are as dark as the noisy."""
    from conservator.treatment import restore

    return restore(photo, instruction=TOLD)


WAYS: Mapping[str, Treat] = {"nothing": restored, TOLD: told}
"""Restorations by what is asked of them."""


def run(
    folder: Path, *, limit: int | None = None, ways: Mapping[str, Treat] = WAYS, on_row: OnRow | None = None
) -> Findings:
    """Restore every noisy photograph in every way and compare with the clean one."""
    rows: list[Row] = []
    chosen = pairs(folder, limit)
    for clean, noisy in chosen:
        for asked, treat in ways.items():
            treatment = treat(noisy)
            measured = compared(read(noisy), result_of(treatment), read(clean))
            rows.append({"photo": noisy.stem, "asked": asked, **measured, **spent(treatment)})
            if on_row is not None:
                on_row(rows[-1])
    summed = [_summed(asked, [row for row in rows if row["asked"] == asked]) for asked in ways]
    return Findings(TITLE, {"camera noise": summed}, rows, {"photos": len(chosen), "harmed_below_db": HARMED})


def _summed(asked: str, rows: Sequence[Row]) -> Row:
    return {
        "asked": asked,
        **gains(rows),
        "worst": min(rows, key=lambda row: row["gain_db"])["photo"],
        "harmed": sum(row["gain_db"] < HARMED for row in rows),
        "untreated_percent": percent([not row["treated"] for row in rows]),
    }
