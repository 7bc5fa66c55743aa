"""conservator treat: one tool, where its damage is found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from conservator.cli import options
from conservator.cli.targets import Layout
from conservator.cli.treating import Wanted, treat_all
from conservator.errors import UsageError
from conservator.folders.results import AUTO


def treat(
    tool: Annotated[str, typer.Argument(help="Name of the tool; `conservator tools` lists them.")],
    photographs: options.Photographs,
    output: options.Output = None,
    suffix: options.Suffix = ".treated",
    ext: options.Extension = AUTO,
    strength: Annotated[
        float | None, typer.Option(min=0.0, max=2.0, help="Multiplies the severity found. Default: 1.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Enlarge so many times: 2, 3 or 4. Default: as the tool does.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option of the tool; repeatable.")
    ] = None,
    mask: options.Mask = None,
    protect: options.Protect = None,
    tile: options.Tile = None,
    threads: options.Threads = None,
    device: options.Device = None,  # takes effect where it is read
    record: options.RecordPath = None,
    no_record: options.NoRecord = False,
    report: options.Report = False,
    compare: options.Compare = False,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Apply one tool to photographs, where its damage is found and as strongly as found.

    The result goes beside the photograph as NAME.treated.EXT, its record as NAME.treated.record.json.
    """
    import conservator
    from conservator.tools.added import find

    settings = parse_settings(setting or ())
    find(tool).checked(settings)
    settings = {"scale": scale} | settings
    layout = Layout(output, suffix, ext, record, not no_record, report, compare)
    treat_all(
        photographs,
        Wanted(layout, overwrite, quality, as_json, quiet, options.mask_files(mask, protect)),
        lambda photo, on_event: conservator.treat(
            photo, tool, strength=strength, mask=options.masks(mask), protect=options.masks(protect), tile=tile,
            threads=threads, on_event=on_event, **settings,
        ),
    )  # fmt: skip


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """{"keep_grain": 0.5} from "keep_grain=0.5": JSON values, and plain words as they are."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {pair}", "NAME=VALUE, such as keep_grain=0.5")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings
