"""One command per benchmark of policies, and of what they are made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conservator.benchmarks.commands.shared import Clean, Limit, Output, Seed, Threads, finish, measure, tell
from conservator.errors import UsageError
from conservator.models.runtime import bound_threads

if TYPE_CHECKING:
    from conservator.benchmarks.entrants import Contestant

Policies = Annotated[
    str | None,
    typer.Option(help="Who competes, names with commas between; all is everybody, a wrong name lists them."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A further measure: ms_ssim, or pyiqa:NAME where pyiqa is installed; repeatable."),
]


def spatialbench(
    clean: Clean,
    policies: Policies = None,
    metric: Metrics = None,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
    save_pictures: Annotated[Path | None, typer.Option(help="Folder for a sheet per photograph.")] = None,
) -> None:
    """Different damage in different regions: gain, harm, and where the gain is lost."""
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.spatialbench import run

    bound_threads(threads)
    photos, among = photographs(clean, limit), _entrants(policies)
    found = run(photos, seed=seed, among=among, metrics=_known(metric), pictures=save_pictures, on_row=tell)
    finish("spatialbench", found, seed, output)


def mixbench(
    clean: Clean,
    policies: Policies = None,
    metric: Metrics = None,
    group: Annotated[list[str] | None, typer.Option(help="A, B or C; repeatable. Default: all three.")] = None,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """AgenticIR's sixteen combinations over the whole frame: every policy on the same photographs."""
    from conservator.benchmarks.mixbench import run
    from conservator.benchmarks.photos import photographs
    from conservator.synthesis import COMBINATIONS

    bound_threads(threads)
    groups = group or list(COMBINATIONS)
    if unknown := sorted(set(groups) - COMBINATIONS.keys()):
        raise UsageError(f"--group {', '.join(unknown)}", f"some of {', '.join(COMBINATIONS)}")
    photos, among = photographs(clean, limit), _entrants(policies)
    found = run(photos, seed=seed, groups=groups, among=among, metrics=_known(metric), on_row=tell)
    finish("mixbench", found, seed, output)


def ablations(
    clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None
) -> None:
    """`spatial` without its critic, its guard, its regions …, on SpatialBench's treatable photographs."""
    from conservator.benchmarks.draws import TRACKS
    from conservator.benchmarks.entrants import ABLATIONS, chosen
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.spatialbench import run

    bound_threads(threads)
    tracks = {"treatable": TRACKS["treatable"]}
    found = run(photographs(clean, limit), seed=seed, tracks=tracks, among=chosen(ABLATIONS), on_row=tell)
    finish("ablations", replace(found, title="Ablations: `spatial` without its parts"), seed, output)


def compare(
    result: Annotated[Path, typer.Argument(help="Result file of mixbench or spatialbench.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The plot without extension. Default: beside the result.")
    ] = None,
) -> None:
    """Draw quality against seconds, policy by policy, as PNG and SVG."""
    from conservator.benchmarks.plot import draw
    from conservator.benchmarks.results import load_result

    for path in draw(load_result(result), output or result.with_suffix("")):
        typer.echo(f"written: {path}")


def memory(
    clean: Clean,
    policies: Policies = "agenticir",
    rolls: Annotated[str, typer.Option(help="What the stream suffers: camera or combinations.")] = "camera",
    empty: Annotated[bool, typer.Option("--empty", help="Begin without the shipped experience.")] = False,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Tool calls and gain with and without a memory, on a stream of similar photographs."""
    from conservator.benchmarks.stream import ROLLS, run
    from conservator.policies import LEARNING

    names = LEARNING if policies == "all" else [name.strip() for name in (policies or "").split(",")]
    if unknown := [name for name in names if name not in LEARNING]:
        raise UsageError(f"a memory for {', '.join(unknown)}", f"some of {', '.join(LEARNING)}")
    if rolls not in ROLLS:
        raise UsageError(f"--rolls {rolls}", f"one of {', '.join(ROLLS)}")
    special = [*([] if list(names) == ["agenticir"] else names), *([] if rolls == "camera" else [rolls])]
    stream = partial(run, policies=names, rolls=rolls, shipped=not empty)
    measure("-".join(["memory", *special]), stream, clean, limit, threads, seed, output)


def _entrants(names: str | None) -> dict[str, Contestant] | None:
    from conservator.benchmarks.entrants import chosen

    return None if names is None else chosen([name.strip() for name in names.split(",")])


def _known(metrics: list[str] | None) -> list[str]:
    """The metrics' names, looked up before hours are spent."""
    from conservator.quality.metrics import metric_named

    return [metric_named(name).name for name in metrics or ()]
