"""For looking, and for the page of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conservator.benchmarks.commands.shared import Limit, Threads, tell
from conservator.models.runtime import bound_threads


def contact(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture file of the sheet.")],
    limit: Limit = None,
    threads: Threads = None,
    columns: Annotated[int, typer.Option(min=1, help="Pairs side by side.")] = 1,
    width: Annotated[int, typer.Option(min=256, help="Of the sheet in pixels.")] = 1600,
) -> None:
    """One sheet of everything in a folder, before and after, for looking."""
    from conservator.benchmarks.contact import run
    from conservator.benchmarks.photos import photographs

    bound_threads(threads)
    sheet = run(photographs(folder, limit), output, width=width, columns=columns, on_row=tell)
    typer.echo(f"written: {sheet}")


def tables(
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path("benchmarks/results"),
    page: Annotated[Path, typer.Option(help="Markdown page whose tables are replaced.")] = Path("docs/benchmarks.md"),
) -> None:
    """Write the tables of docs/benchmarks.md from the result files."""
    from conservator.benchmarks.tables import write_tables

    changed = write_tables(results, page)
    typer.echo(f"{page}: {'written' if changed else 'up to date'}")
