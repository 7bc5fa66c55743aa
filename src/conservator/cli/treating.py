"""What restore, treat and replay share: photographs in, treatments out, results written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from conservator.cli.narrator import Narrator, narrator
from conservator.cli.sources import Source, find_sources
from conservator.cli.streams import read_stdin, write_stdout
from conservator.cli.tally import run_all
from conservator.cli.targets import Layout, Originals, is_result, plan_targets
from conservator.errors import UsageError
from conservator.folders.outcome import Outcome, Status
from conservator.folders.results import CONTAINERS, Targets, check_new, check_still, facts_of, files_of, said_of
from conservator.staging import Staging

if TYPE_CHECKING:
    from conservator.treatment import Treatment

Listener = Callable[[dict[str, Any]], None]
Treat = Callable[["Path | bytes", Listener], "Treatment"]
"""Makes a treatment of a file or of the bytes of one, telling the listener about it."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says about results and about talking.

    also_read   files besides the photographs that must not be written over, such as a mask
    """

    layout: Layout
    overwrite: bool = False
    quality: int = 95
    as_json: bool = False
    quiet: bool = False
    also_read: tuple[Path, ...] = field(default=())


def treat_all(photographs: Sequence[str], wanted: Wanted, treat: Treat) -> None:
    """Treat every photograph named and write its results; ends the command with the exit code."""
    layout = wanted.layout
    sources = find_sources(photographs, lambda file, root: is_result(file, root, layout))
    planned = plan_targets(sources, layout)
    if wanted.as_json and planned[0].picture is None:
        raise UsageError("--json with the picture on standard output", "one of them", "pass -o NAME.png")
    read = [*wanted.also_read, *(source.path for source in sources if source.path is not None)]
    originals = Originals(read)
    for targets in planned:
        originals.check(targets)
    voice = narrator(len(sources), quiet=wanted.quiet)
    targets_of = dict(zip(sources, planned, strict=True))
    job = partial(_treat_one, targets_of=targets_of, wanted=wanted, treat=treat, voice=voice)
    raise typer.Exit(run_all(sources, job, voice, as_json=wanted.as_json))


def _treat_one(
    source: Source, *, targets_of: dict[Source, Targets], wanted: Wanted, treat: Treat, voice: Narrator
) -> Outcome:
    targets = targets_of[source]
    if not wanted.overwrite:
        if targets.picture is not None and targets.picture.exists():
            facts = {"output": str(targets.picture)}
            return Outcome(Status.SKIPPED, f"skipped: {targets.picture} exists; --overwrite replaces it", facts)
        check_new(targets)
    treatment = treat(source.path if source.path is not None else read_stdin(), voice.hear)
    files = files_of(treatment, targets, quality=wanted.quality)
    if source.path is not None:
        check_still(source.path, treatment.original.sha256)
    with Staging() as staging:
        for file, data in files.items():
            staging.add_bytes(file, data)
        if targets.picture is None:
            _stream(treatment, wanted)
    status = Status.UNCHANGED if treatment.unchanged else Status.DONE
    place = targets.picture or "standard output"
    return Outcome(status, f"{said_of(treatment)} → {place}", facts_of(treatment, targets))


def _stream(treatment: Treatment, wanted: Wanted) -> None:
    from conservator.photo import encode

    own = treatment.photo.container
    asked = CONTAINERS.get(f".{wanted.layout.ext.lower().lstrip('.')}")
    container = asked or (own if own in CONTAINERS.values() else "png")
    write_stdout(encode(treatment.photo, container, quality=wanted.quality))
