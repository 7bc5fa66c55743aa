"""conservator memory: look at experience, carry it elsewhere, forget it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conservator.cli import options
from conservator.errors import InputError, UsageError

if TYPE_CHECKING:
    from conservator.memory import Experience, Memory

memory = typer.Typer(no_args_is_help=True, help="Experience that --memory gathers: show, export, import or forget it.")

File = Annotated[Path, typer.Argument(help="The file of the memory.")]


@memory.command()
def show(
    file: File,
    reasons: Annotated[bool, typer.Option("--reasons", help="Also what was changed last, and why.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the experiences: what ailed the photographs, what was done, what it brought."""
    with _existing(file) as known:
        experiences, decisions = known.experiences(), known.decisions() if reasons else []
    if as_json:
        found = {"experiences": [one.to_dict() | {"number": one.number} for one in experiences]}
        told = {"decisions": [decision.to_dict() for decision in decisions]} if reasons else {}
        print(json.dumps(found | told, indent=2))
        return
    _print(experiences)
    for decision in decisions:
        print(f"{decision.number}: {decision.change}, {decision.reason}")


@memory.command("export")
def export_to(
    file: File,
    output: Annotated[Path, typer.Argument(help="A new JSON file.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write all of it into a JSON file that others can import."""
    with _existing(file) as known:
        print(f"{known.export(output, overwrite=overwrite)} experiences → {output}")


@memory.command("import")
def import_from(
    file: File, source: Annotated[Path, typer.Argument(help="A JSON file that export wrote.")]
) -> None:
    """Add experience that somebody exported; the memory is made when absent."""
    from conservator.memory import Memory

    with Memory(file, shipped=False) as known:
        print(f"{known.import_from(source)} new experiences in {file}")


@memory.command()
def forget(
    file: File,
    numbers: Annotated[list[int] | None, typer.Argument(help="Of the experiences, as show tells them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, and the reasons.")] = False,
) -> None:
    """Delete experiences for good."""
    if bool(numbers) == everything:
        raise UsageError("neither or both of numbers and --all", "one of them")
    with _existing(file) as known:
        print(f"{known.forget(numbers or None)} experiences forgotten")


def _existing(file: Path) -> Memory:
    from conservator.memory import Memory

    if not file.is_file():
        raise InputError(f"no memory {file}", "the file that --memory named", "check the path")
    return Memory(file, shipped=False)


def _print(experiences: list[Experience]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "damage", "steps", "damage gone", "held", "from")
    for one in experiences:
        ails = (f"{kind.replace('_', ' ')} {s:.2f} on {share:.0%}" for kind, (s, share) in one.fingerprint.ails.items())
        steps = (f"{step.tool} × {step.strength:g}" if step.strength != 1 else step.tool for step in one.steps)
        held = f"{one.held} of {one.tried}"
        table.add_row(str(one.number), ", ".join(ails), ", ".join(steps) or "none", f"{one.gain:.0%}", held, one.source)
    Console().print(table)
