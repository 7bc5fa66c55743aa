"""conservator tools: what there is to treat damage with, and adding to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conservator.cli import options

if TYPE_CHECKING:
    from conservator.tools.card import Tool

tools = typer.Typer(invoke_without_command=True)


@tools.callback()
def listed(
    context: typer.Context,
    treating: Annotated[list[str] | None, typer.Option(help="Only tools for this degradation; repeatable.")] = None,
    as_json: options.Json = False,
    functions: Annotated[
        bool, typer.Option("--functions", help="As functions for a language model: JSON schemas, OpenAI's protocol.")
    ] = False,
) -> None:
    """List the tools with what they treat, where their pixels come from, and their licence; add your own."""
    if context.invoked_subcommand is not None:
        return
    from conservator.tools.added import available

    known = available()
    chosen = known.treating(treating) if treating else known
    if functions:
        from conservator.tools.functions import function

        print(json.dumps([function(tool) for tool in chosen], indent=2, ensure_ascii=False))
    else:
        show(chosen, as_json)


@tools.command()
def add(
    model: Annotated[Path, typer.Argument(help="An .onnx file; or .pth, .pt or .safetensors, with the extra `torch`.")],
    treats: Annotated[
        list[str] | None,
        typer.Option(help="What it is for, such as noise; repeatable. Needed where the file does not say."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it. Default: the file's name.")] = None,
    as_json: options.Json = False,
) -> None:
    """Make a tool of a network in a file, for this and later runs; the file stays where it is."""
    from conservator.tools.added import add_tool

    show([add_tool(model, treats=treats, name=name)], as_json)


@tools.command()
def remove(name: Annotated[str, typer.Argument(help="An added tool; its file is not touched.")]) -> None:
    """Forget an added tool."""
    from conservator.tools.added import remove_tool

    remove_tool(name)


def show(chosen: Iterable[Tool], as_json: bool) -> None:
    """Print tools as a table or as JSON."""
    from rich.console import Console
    from rich.table import Column, Table

    if as_json:
        print(json.dumps([tool.to_dict() for tool in chosen], indent=2, ensure_ascii=False))
        return
    table = Table(Column("tool", no_wrap=True), "treats", "kind", "licence", "summary")
    for tool in chosen:
        card = tool.card
        kinds = ", ".join(kind.replace("_", " ") for kind in card.treats)
        table.add_row(card.name, kinds, str(card.kind), card.licence, card.summary)
    Console().print(table)
