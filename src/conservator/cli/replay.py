"""conservator replay: do again what a record says, and check that the same picture comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conservator.cli import options
from conservator.cli.targets import Layout
from conservator.cli.treating import Wanted, treat_all
from conservator.folders.results import AUTO


def replay(
    record: Annotated[Path, typer.Argument(help="A record that restore or treat wrote.")],
    photograph: Annotated[
        str | None,
        typer.Argument(help="The photograph, when it is no longer where the record says; - is standard input."),
    ] = None,
    mask: options.Mask = None,
    protect: options.Protect = None,
    place: options.Place = None,
    output: options.Output = None,
    suffix: options.Suffix = ".replayed",
    ext: options.Extension = AUTO,
    report: options.Report = False,
    compare: options.Compare = False,
    quality: options.Quality = 95,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Carry out a record again; fails unless the same samples come out.

    The result goes beside the photograph as NAME.replayed.EXT. Needs the versions and models that the record names.
    """
    import conservator
    from conservator.errors import UsageError

    recorded = conservator.Record.load(record)
    source = photograph or recorded.data["input"].get("path")
    if source is None:
        raise UsageError(f"{record} names no file", "the photograph it was made from", "pass it behind the record")
    places = options.places(place)
    layout = Layout(output, suffix, ext, None, False, report, compare)
    treat_all(
        [source],
        Wanted(
            layout, overwrite, quality, as_json, quiet,
            (record, *options.mask_files(mask, protect), *(Path(str(file)) for file in places.values())),
        ),
        lambda photo, on_event: conservator.replay(
            recorded, photo, options.masks(mask) or None, options.masks(protect) or None, places
        ),
    )
