"""conservator restore: the whole treatment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conservator.cli import options
from conservator.cli.targets import Layout
from conservator.cli.treating import Wanted, treat_all
from conservator.folders.results import AUTO


def restore(
    photographs: options.Photographs,
    output: options.Output = None,
    suffix: options.Suffix = ".restored",
    ext: options.Extension = AUTO,
    policy: options.Policy = "spatial",
    strength: options.Strength = 1.0,
    instruction: options.Instruction = None,
    reader: options.Reader = "grammar",
    mask: options.Mask = None,
    protect: options.Protect = None,
    prefer: options.Prefer = None,
    regions: options.Regions = None,
    scale: options.Scale = 1,
    seed: options.Seed = 0,
    max_calls: options.MaxCalls = None,
    max_seconds: options.MaxSeconds = None,
    tile: options.Tile = None,
    threads: options.Threads = None,
    device: options.Device = None,  # takes effect where it is read
    ledger: Annotated[
        Path | None,
        typer.Option(help="JSONL file that every event is appended to.", rich_help_panel=options.RESULTS),
    ] = None,
    cache: options.Cache = None,
    memory: options.Memory = None,
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
    asked = options.read(instruction, reader)
    treat_all(
        photographs,
        wanted,
        lambda photo, on_event: conservator.restore(
            photo, policy=policy, scale=scale, strength=strength, instruction=asked,
            mask=options.masks(mask), protect=options.masks(protect), prefer=prefer or (), regions=regions,
            max_calls=max_calls, max_seconds=max_seconds, tile=tile, threads=threads, seed=seed,
            ledger=ledger, cache=cache, memory=memory, on_event=on_event,
        ),
    )  # fmt: skip
