"""What the commands share: options, a line per measurement, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conservator.models.runtime import bound_threads

if TYPE_CHECKING:
    from conservator.benchmarks.results import Findings

Clean = Annotated[Path, typer.Option("--clean", help="Folder of clean photographs.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the data set.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the damage that is inflicted.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after so many photographs or scenes.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Result file instead of the usual one.")]
Threads = Annotated[
    int | None, typer.Option(min=1, envvar="CONSERVATOR_THREADS", help="Most threads to use. Default: every core.")
]


def tell(row: dict[str, Any]) -> None:
    """A line per measurement on stderr: long runs must show that they run."""
    keys = ("track", "combination", "task", "draw", "scene", "photo", "policy", "method", "question", "said")
    names = " ".join(str(row[key]) for key in keys if key in row)
    gain = f" {row['gain_db']:+.2f} dB" if "gain_db" in row else ""
    typer.echo(f"{names}{gain} {' '.join(row.get('treated', ()))}".rstrip(), err=True)


def measure(
    name: str, run: Callable[..., Findings], clean: Path, limit: int | None, threads: int | None, seed: int,
    output: Path | None, skip: int = 0,
) -> None:  # fmt: skip
    """Run a benchmark that needs photographs and a seed, and nothing else."""
    from conservator.benchmarks.photos import photographs

    bound_threads(threads)
    finish(name, run(photographs(clean, limit, skip), seed=seed, on_row=tell), seed, output)


def finish(name: str, found: Findings, seed: int | None, output: Path | None) -> None:
    from conservator.benchmarks.results import load_result, table, write_result

    path = write_result(name, found, seed=seed, path=output)
    typer.echo(table(load_result(path)))
    typer.echo(f"written: {path}")
