"""conservator batch: a folder restored into another, by many workers, resumed after whatever stopped it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conservator.cli import options
from conservator.cli.narrator import narrator
from conservator.cli.tally import Tally
from conservator.errors import UsageError
from conservator.files import check_place
from conservator.folders.outcome import Outcome
from conservator.folders.results import AUTO

if TYPE_CHECKING:
    from conservator.folders.executor import Executor

WORKERS = "Workers"


def batch(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Folder of photographs, searched through.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the results, in the same tree.")],
    ext: options.Extension = AUTO,
    policy: options.Policy = "spatial",
    strength: options.Strength = 1.0,
    instruction: options.Instruction = None,
    prefer: options.Prefer = None,
    regions: options.Regions = None,
    scale: options.Scale = 1,
    seed: options.Seed = 0,
    max_calls: options.MaxCalls = None,
    max_seconds: options.MaxSeconds = None,
    tile: options.Tile = None,
    cache: options.Cache = None,
    memory: options.Memory = None,
    workers: Annotated[
        int | None, typer.Option(min=1, rich_help_panel=WORKERS, help="Worker processes. Default: one per thread.")
    ] = None,
    threads: options.Threads = None,
    device: options.Device = None,  # takes effect where it is read
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", rich_help_panel=WORKERS,
                     help="Work on a Ray cluster: its address, auto, or local for one on this machine."),
    ] = None,
    gpus: Annotated[
        float, typer.Option(min=0, rich_help_panel=WORKERS, help="Of each worker on Ray; 0.25 puts four on a GPU.")
    ] = 0.0,
    records: Annotated[
        bool, typer.Option("--records", rich_help_panel=options.RESULTS, help="Also write NAME.record.json.")
    ] = False,
    contact_sheet: Annotated[
        Path | None, typer.Option(rich_help_panel=options.RESULTS, help="Picture of befores and afters, at the end.")
    ] = None,
    quality: options.Quality = 95,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on: restore what comes, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look of --watch to the next.")] = 2.0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Restore a folder into another of the same tree, with many workers.

    Start it again after whatever stopped it, and it goes on where it was: OUT/.conservator keeps account.
    """  # fmt: skip
    from conservator.folders.batch import batch as run

    _check(contact_sheet, watch, memory, ray)
    voice = narrator(0, quiet=quiet)
    tally = Tally(voice, as_json)
    pairs: list[tuple[Path, Path]] = []

    def tell(path: Path, outcome: Outcome) -> None:
        if contact_sheet is not None and "output" in outcome.facts:
            pairs.append((path, Path(outcome.facts["output"])))
        if outcome.earlier:
            tally.count(str(path), outcome)
        else:
            voice.begin(str(path))
            tally.add(str(path), outcome)

    with voice:
        treated = run(
            source, output, executor=_executor(ray, workers, threads, gpus), ext=ext.lower().lstrip("."),
            quality=quality, records=records, overwrite=overwrite, retry_failed=retry_failed,
            watch=every if watch else None, on_scan=voice.expect, on_photo=tell,
            policy=policy, strength=strength, instruction=instruction, prefer=prefer or (), regions=regions,
            scale=scale, seed=seed, max_calls=max_calls, max_seconds=max_seconds, tile=tile, cache=cache,
            memory=memory,
        )  # fmt: skip
    code = tally.close(treated)
    if contact_sheet is not None and pairs:
        from conservator.folders.sheet import write_sheet

        shown = write_sheet(sorted(pairs), contact_sheet)
        voice.note(f"{shown} photographs on {contact_sheet}")
    raise typer.Exit(code)


def _check(contact_sheet: Path | None, watch: bool, memory: Path | None, ray: str | None) -> None:
    """What does not go together is refused before the work."""
    if contact_sheet is not None:
        if watch:
            raise UsageError("--contact-sheet with --watch", "one of them", "a sheet needs an end")
        check_place(contact_sheet, overwrite=False, protect=())
    if memory is not None and ray is not None:
        raise UsageError("--memory with --ray", "one of them", "a memory is one file on one machine")


def _executor(ray: str | None, workers: int | None, threads: int | None, gpus: float) -> Executor:
    if ray is None:
        if gpus:
            raise UsageError("--gpus without --ray", "both", "processes share a GPU by --device alone")
        from conservator.folders.processes import Processes

        return Processes(workers, threads)
    from conservator.folders.ray_actors import RayActors

    return RayActors(ray, workers, threads, gpus)

