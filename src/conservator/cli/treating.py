"""What restore, treat and replay share: photographs in, treatments out, results written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from conservator.cli.batch import Outcome, Status, run_all
from conservator.cli.narrator import Narrator, narrator
from conservator.cli.sources import Source, find_sources
from conservator.cli.streams import read_stdin, write_stdout
from conservator.cli.targets import (
    CONTAINERS,
    Layout,
    Originals,
    Targets,
    check_new,
    is_result,
    plan_targets,
)
from conservator.cli.writing import Staging
from conservator.errors import UsageError

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
    _write(treatment, targets, wanted)
    status = Status.UNCHANGED if treatment.unchanged else Status.DONE
    place = targets.picture or "standard output"
    return Outcome(status, f"{_said(treatment)} → {place}", _facts(treatment, targets))


def _said(treatment: Treatment) -> str:
    if treatment.unchanged:
        return "unchanged"
    steps = len(treatment.record.data["plan"])
    return f"{steps} step{'s' if steps != 1 else ''} kept"


def _write(treatment: Treatment, targets: Targets, wanted: Wanted) -> None:
    with Staging() as staging:
        if targets.record is not None:
            staging.add_text(targets.record, treatment.record.to_json())
        if targets.report is not None:
            from conservator.report import write_report

            staging.add(targets.report, lambda place: write_report(treatment, place, overwrite=True))
        if targets.compare is not None:
            from conservator.report import compare

            staging.add_picture(targets.compare, compare(treatment))
        if targets.picture is None:
            _stream(treatment, wanted)
        else:
            staging.add(targets.picture, lambda place: treatment.save(place, quality=wanted.quality))


def _stream(treatment: Treatment, wanted: Wanted) -> None:
    from conservator.photo import encode

    own = treatment.photo.container
    asked = CONTAINERS.get(f".{wanted.layout.ext.lower().lstrip('.')}")
    container = asked or (own if own in CONTAINERS.values() else "png")
    write_stdout(encode(treatment.photo, container, quality=wanted.quality))


def _facts(treatment: Treatment, targets: Targets) -> dict[str, Any]:
    """What --json says about a treated photograph."""
    files = {"output": targets.picture, "record": targets.record, "report": targets.report, "compare": targets.compare}
    data = treatment.record.data
    return {
        **{name: str(file) for name, file in files.items() if file is not None},
        "diagnosis": data["diagnosis"],
        "after": data["after"],
        "steps": data["plan"],
        "cannot_treat": data["cannot_treat"],
    }
