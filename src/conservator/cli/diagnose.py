"""conservator diagnose: what is wrong and where, without touching anything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conservator.cli import options
from conservator.cli.narrator import narrator
from conservator.cli.phrases import found
from conservator.cli.sources import Source, find_sources
from conservator.cli.streams import read_stdin
from conservator.cli.tally import run_all
from conservator.cli.targets import Layout, Originals, is_result, plan_targets
from conservator.errors import UsageError
from conservator.folders.outcome import Outcome, Status
from conservator.folders.results import Targets, check_new
from conservator.staging import Staging

if TYPE_CHECKING:
    from rich.console import Console

    from conservator.diagnosis import Diagnosis


def diagnose(
    photographs: options.Photographs,
    overlay: Annotated[
        str | None,
        typer.Option(help="Write the regions drawn onto the photograph: a file, or a folder for several photographs."),
    ] = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is wrong with photographs, where and how badly; nothing is changed."""
    layout = Layout(overlay, ".overlay", "png", records=False)
    sources = find_sources(photographs, lambda file, root: is_result(file, root, layout))
    targets = _overlays(sources, layout) if overlay is not None else {}
    voice = narrator(len(sources), quiet=quiet or len(sources) == 1)
    job = partial(_diagnose_one, targets=targets, overwrite=overwrite, threads=threads, tables=not as_json)
    raise typer.Exit(run_all(sources, job, voice, as_json=as_json))


def _overlays(sources: Sequence[Source], layout: Layout) -> dict[Source, Targets]:
    planned = plan_targets(sources, layout)
    originals = Originals(source.path for source in sources if source.path is not None)
    for targets in planned:
        if targets.picture is None:
            raise UsageError("--overlay -", "a file or a folder", "pass --overlay overlay.png")
        originals.check(targets)
    return dict(zip(sources, planned, strict=True))


def _diagnose_one(
    source: Source, *, targets: dict[Source, Targets], overwrite: bool, threads: int | None, tables: bool
) -> Outcome:
    import conservator

    picture = targets[source].picture if source in targets else None
    if picture is not None and not overwrite:
        check_new(targets[source])
    photo = conservator.open_photo(source.path if source.path is not None else read_stdin())
    diagnosis = conservator.diagnose(photo, threads=threads)
    facts = diagnosis.to_dict()
    if picture is not None:
        from conservator.report.overlay import overlay

        with Staging() as staging:
            staging.add_picture(picture, overlay(photo.samples, diagnosis.regions))
        facts["overlay"] = str(picture)
    if tables:
        _print(source.label, diagnosis, picture)
    status = Status.UNCHANGED if diagnosis.clean else Status.DONE
    return Outcome(status, found(facts["degradations"]), facts)


def _print(label: str, diagnosis: Diagnosis, overlay: Path | None) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    height, width = diagnosis.size
    console.print(f"{label}: {width}×{height} px, {'nothing to treat' if diagnosis.clean else 'damaged'}")
    if not diagnosis.clean:
        _print_tables(console, diagnosis)
    if overlay is not None:
        console.print(f"regions drawn: {overlay}")


def _print_tables(console: Console, diagnosis: Diagnosis) -> None:
    from rich.table import Table

    kinds = Table("damage", "typical", "severity", "worst", "share of the frame")
    for name, facts in diagnosis.to_dict()["degradations"].items():
        shown = f"{facts['typical_value']:g} {facts['unit']}"
        severity, worst = f"{facts['mean_severity']:.2f}", f"{facts['worst_severity']:.2f}"
        kinds.add_row(name.replace("_", " "), shown, severity, worst, f"{facts['share_of_frame']:.0%}")
    console.print(kinds, soft_wrap=False)
    regions = Table("region", "share of the frame", "what ails it (mean severity)")
    for region in diagnosis.regions:
        ails = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in region.severities.items())
        regions.add_row(region.id, f"{region.area:.0%}", ails or "nothing")
    console.print(regions, soft_wrap=False)
