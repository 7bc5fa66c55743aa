"""A sheet of everything in a folder, before and after, for looking at photographs whose truth nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conservator.benchmarks.measuring import OnRow, Treat, restored, spent
from conservator.benchmarks.photos import Bytes
from conservator.benchmarks.sheets import save_sheet

WIDTH = 1600


def run(
    photos: Sequence[Path],
    output: Path,
    *,
    treat: Treat = restored,
    width: int = WIDTH,
    columns: int = 1,
    on_row: OnRow | None = None,
) -> Path:
    """Restore every photograph and draw before | after under its name and what was treated.

    output    picture file; an earlier one is replaced
    columns   pairs side by side
    """
    from conservator.report.pictures import compare, contact_sheet

    rows: list[tuple[str, Bytes]] = []
    for path in photos:
        treatment = treat(path)
        cost = spent(treatment)
        done = f"{', '.join(cost['treated'])} ({', '.join(cost['tools'])})" if cost["tools"] else "nothing treated"
        rows.append((f"{path.parent.name}/{path.name}: {done}", compare(treatment, width // columns)))
        if on_row is not None:
            on_row({"photo": path.name, **cost})
    return save_sheet(contact_sheet(rows, width, columns), output)
