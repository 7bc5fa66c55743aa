"""One command per benchmark of masks, words, and language models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from conservator.benchmarks.commands.shared import Clean, Limit, Output, Seed, Threads, finish, measure, tell
from conservator.models.runtime import bound_threads


def masks(
    count: Annotated[int, typer.Option(min=1, help="Computed masks.")] = 24, seed: Seed = 0, output: Output = None
) -> None:
    """Outlines of so many points against the masks they follow, and the bytes each format takes."""
    from conservator.benchmarks.masks import run

    finish("masks", run(seed=seed, count=count, on_row=tell), seed, output)


def text(
    clean: Clean,
    font: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="A TrueType file to write with; repeatable.")
    ] = None,
    tilt: Annotated[float, typer.Option(min=0, max=90, help="Degrees, at most.")] = 12.0,
    faintest: Annotated[int, typer.Option(min=1, max=84, help="Levels beside what lies under it, at least.")] = 40,
    skip: Annotated[int, typer.Option(min=0, help="Photographs to leave out, the first ones.")] = 0,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Lines of text over photographs: found, and seen where there are none; with CONSERVATOR_TEXT a network besides."""
    from conservator.benchmarks.lettering import Hand, run

    hand = Hand(tuple(font or ()), tilt, faintest)
    name = "text" if (hand, skip) == (Hand(), 0) else "text-held-out"
    measure(name, partial(run, hand=hand), clean, limit, threads, seed, output, skip)


def eyes(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """The language model that CONSERVATOR_LLM_URL names, asked about damage that is known; it is shown the pictures."""
    from conservator.agents.endpoint import Endpoint
    from conservator.benchmarks.eyesbench import run

    measure("eyes", partial(run, endpoint=Endpoint.from_environment()), clean, limit, threads, seed, output)


def llm(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """The language model that CONSERVATOR_LLM_URL names, as planner and as reader of instructions."""
    from conservator.agents.endpoint import Endpoint
    from conservator.benchmarks.planners import run

    measure("llm", partial(run, endpoint=Endpoint.from_environment()), clean, limit, threads, seed, output)


def regions(
    clean: Clean,
    source: Annotated[
        str | None, typer.Option("--regions", metavar="SOURCE", help="A source to measure besides the words: sam:PATH.")
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Regions on damaged photographs against those on clean ones, with and without cleaning first."""
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.stability import run
    from conservator.selection import source_named

    bound_threads(threads)
    outliner = source_named(source) if source is not None else None
    finish("regions", run(photographs(clean, limit), outliner=outliner, seed=seed, on_row=tell), seed, output)
