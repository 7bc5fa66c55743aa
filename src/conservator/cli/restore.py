"""conservator restore: the whole treatment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conservator.cli import options
from conservator.cli.targets import AUTO, Layout
from conservator.cli.treating import Wanted, treat_all


def restore(
    photographs: options.Photographs,
    output: options.Output = None,
    suffix: options.Suffix = ".restored",
    ext: options.Extension = AUTO,
    policy: Annotated[str, typer.Option(help="Who decides what is done; a wrong name lists them all.")] = "spatial",
    strength: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="Multiplies what the diagnosis asks for; 0 changes nothing.")
    ] = 1.0,
    instruction: Annotated[
        str | None, typer.Option("--instruction", "-i", help='Plain words: "remove the rain, keep the grain".')
    ] = None,
    mask: options.Mask = None,
    protect: options.Protect = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(help="A tool that gets what it treats to itself, added ones too; repeatable."),
    ] = None,
    scale: Annotated[int, typer.Option(min=1, help="Enlarge this many times; only 1 so far.")] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    max_calls: Annotated[
        int | None, typer.Option(min=0, help="Most tool calls per photograph.", rich_help_panel=options.LIMITS)
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="No step starts later than this, per photograph.", rich_help_panel=options.LIMITS),
    ] = None,
    tile: options.Tile = None,
    threads: options.Threads = None,
    ledger: Annotated[
        Path | None,
        typer.Option(help="JSONL file that every event is appended to.", rich_help_panel=options.RESULTS),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps intermediate results between runs.", rich_help_panel=options.LIMITS),
    ] = None,
    record: options.RecordPath = None,
    no_record: options.NoRecord = False,
    report: options.Report = False,
    compare: options.Compare = False,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Restore photographs: find what is wrong and where, treat only that, keep a record.

    The result goes beside the photograph as NAME.restored.EXT, its record as NAME.restored.record.json.
    """
    import conservator

    layout = Layout(output, suffix, ext, record, not no_record, report, compare)
    wanted = Wanted(layout, overwrite, quality, as_json, quiet, options.mask_files(mask, protect))
    treat_all(
        photographs,
        wanted,
        lambda photo, on_event: conservator.restore(
            photo, policy=policy, scale=scale, strength=strength, instruction=instruction,
            mask=options.masks(mask), protect=options.masks(protect), prefer=prefer or (),
            max_calls=max_calls, max_seconds=max_seconds, tile=tile, threads=threads, seed=seed,
            ledger=ledger, cache=cache, on_event=on_event,
        ),
    )  # fmt: skip
