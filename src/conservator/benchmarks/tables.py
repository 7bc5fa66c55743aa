"""Tables in the docs, written from result files: a number in a document was measured, or it is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from conservator.benchmarks.results import RESULTS, load_result, table
from conservator.errors import InputError
from conservator.files import make_folder, write_atomically

PAGE = Path("docs/benchmarks.md")

_HEAD = "# Benchmarks\n\n`conservator bench tables` writes these tables from the files in `benchmarks/results/`.\n"


def write_tables(results: Path = RESULTS, page: Path = PAGE) -> bool:
    """Put every result's tables into the page; True when that changed it.

    Text outside the marks `<!-- result: NAME -->` and `<!-- end: NAME -->` stays. A result without marks gets a section
    at the end; marks without a result are an InputError, for their table cannot be vouched for.
    """
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    after = with_tables(before or _HEAD, load_all(results))
    if after == before:
        return False
    make_folder(page.parent)
    write_atomically(page, after.encode(), overwrite=True)
    return True


def load_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result in a folder by its file's name, for a benchmark may run on several things; InputError for none."""
    found = {path.stem: load_result(path) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise InputError(f"no result in {folder}", "a folder of result files", "go to the repository's root")
    return found


def with_tables(text: str, results: dict[str, dict[str, Any]]) -> str:
    """The page's text with the tables of these results."""
    marked = set(re.findall(r"<!-- result: (\S+) -->", text))
    if unknown := sorted(marked - results.keys()):
        raise InputError(f"no result for {', '.join(unknown)}", "one per table", "run the benchmark or drop the marks")
    for name, result in results.items():
        block = f"<!-- result: {name} -->\n{table(result)}<!-- end: {name} -->"
        if name not in marked:
            text = f"{text.rstrip()}\n\n## {result['title']}\n\n{block}\n"
            continue
        before, _, rest = text.partition(f"<!-- result: {name} -->")
        _, end, after = rest.partition(f"<!-- end: {name} -->")
        if not end:
            raise InputError(f"no <!-- end: {name} -->", "a mark behind every table", "put it back")
        text = before + block + after
    return text
