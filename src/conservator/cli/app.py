"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from conservator.cli.batch import batch
from conservator.cli.bench import bench
from conservator.cli.diagnose import diagnose
from conservator.cli.failures import Commands
from conservator.cli.mcp import mcp
from conservator.cli.memory import memory
from conservator.cli.replay import replay
from conservator.cli.restore import restore
from conservator.cli.serve import serve
from conservator.cli.synth import synth
from conservator.cli.tools import tools
from conservator.cli.treat import treat

app = typer.Typer(
    name="conservator",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Restores photographs region by region: finds what is wrong and where, treats only that, keeps a record.",
)

for command in (restore, batch, diagnose, treat, replay, synth, serve, mcp):
    app.command()(command)
app.add_typer(tools, name="tools")
app.add_typer(memory, name="memory")
# Whatever follows belongs to the benchmark's own command line, --help included.
app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        from conservator import __version__

        print(f"conservator {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Entry point of the `conservator` script."""
    app()
