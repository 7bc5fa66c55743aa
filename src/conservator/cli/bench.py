"""conservator bench: the benchmarks, loaded only when asked for."""

from __future__ import annotations

import typer


def bench(context: typer.Context) -> None:
    """Measure quality and speed; `conservator bench --help` lists the benchmarks."""
    from typer.main import get_command

    from conservator.benchmarks.commands import app

    raise typer.Exit(get_command(app).main(context.args, "conservator bench", standalone_mode=False) or 0)
