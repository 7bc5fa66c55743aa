"""conservator tools: what there is to treat damage with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conservator.cli import options

if TYPE_CHECKING:
    from conservator.tools.card import Tool


def tools(
    treating: Annotated[list[str] | None, typer.Option(help="Only tools for this degradation; repeatable.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the tools with what they treat, where their pixels come from, and their licence."""
    from rich.console import Console
    from rich.table import Table

    from conservator.tools.registry import TOOLS

    chosen = list(TOOLS.treating(treating) if treating else TOOLS)
    if as_json:
        print(json.dumps([describe(tool) for tool in chosen], indent=2, ensure_ascii=False))
        return
    table = Table("tool", "treats", "kind", "licence", "summary")
    for tool in chosen:
        card = tool.card
        kinds = ", ".join(kind.replace("_", " ") for kind in card.treats)
        table.add_row(card.name, kinds, str(card.kind), card.licence, card.summary)
    Console().print(table)


def describe(tool: Tool) -> dict[str, Any]:
    """A tool's card as JSON."""
    card = tool.card
    return {
        "name": card.name,
        "treats": list(card.treats),
        "stage": str(card.stage),
        "kind": str(card.kind),
        "tiles": str(card.tiles),
        "scale": card.scale,
        "models": list(card.models),
        "licence": card.licence,
        "source": card.source,
        "summary": card.summary,
        "options": {
            name: {"type": option.type.__name__, "default": option.default, "choices": list(option.choices)}
            for name, option in tool.options.items()
        },
    }
