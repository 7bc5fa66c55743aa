"""One picture of many photographs, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MOST = 60
"""Photographs on a sheet; of more, some are taken evenly from first to last."""

_WIDTH = 1600
_COLUMNS = 2


def write_sheet(pairs: Sequence[tuple[Path, Path]], sheet: Path) -> int:
    """Draw before | after under each photograph's name, in one picture file; returns how many are shown.

    pairs   files before and after
    sheet   a new file; its extension chooses the format

    Raises InputError when a file cannot be read, OutputError when the sheet is there already or cannot be written.
    """
    from conservator.photo import open_photo, save
    from conservator.report import contact_sheet, side_by_side

    step = max(1.0, len(pairs) / MOST)
    shown = [pairs[int(index * step)] for index in range(min(len(pairs), MOST))]
    column = _WIDTH // _COLUMNS
    rows = [
        (before.name, side_by_side(open_photo(before).samples, open_photo(after).samples, column))
        for before, after in shown
    ]
    save(open_photo(contact_sheet(rows, _WIDTH, _COLUMNS)), sheet)
    return len(shown)
