"""One command per benchmark of the machinery: speed, load, accidents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conservator.benchmarks.commands.shared import Folder, Limit, Output, Seed, Threads, finish, tell
from conservator.errors import UsageError
from conservator.models.runtime import bound_threads


def speed(
    photo: Annotated[Path, typer.Option("--photo", help="Clean photograph that the mosaic is made of.")],
    megapixels: Annotated[float, typer.Option(min=0.1, help="Of the photograph that is timed.")] = 12.0,
    size: Annotated[
        list[float] | None, typer.Option(help="Megapixels whose memory is measured; repeatable. Default: 1, 12, 100.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of which the fastest counts.")] = 3,
    seed: Seed = 0,
    threads: Threads = 2,
    output: Output = None,
) -> None:
    """Seconds per stage, peak memory at three sizes, and import time."""
    from conservator.benchmarks.speed import SIZES, run

    bound_threads(threads)
    found = run(photo, megapixels=megapixels, sizes=size or SIZES, repeat=repeat, seed=seed)
    finish("speed", found, seed, output)


def load(
    jobs: Annotated[int, typer.Option(min=1, max=100_000, help="Photographs in all.")] = 100,
    clients: Annotated[int, typer.Option(min=1, max=100, help="That submit at the same time.")] = 8,
    workers: Annotated[int, typer.Option(min=1, help="Of the server.")] = 1,
    max_queue: Annotated[int, typer.Option(min=0, help="Places in the server's queue.")] = 4,
    side: Annotated[int, typer.Option(min=16, max=8192, help="Of the photographs in pixels.")] = 128,
    kills: Annotated[int, typer.Option(min=0, max=100, help="Times the server is killed and started again.")] = 0,
    seed: Seed = 0,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """The server under load, on this machine only: waiting, turned away, lost."""
    from conservator.benchmarks.load import run

    bound_threads(threads)
    found = run(
        jobs=jobs, clients=clients, workers=workers, max_queue=max_queue, side=side, kills=kills, seed=seed,
        on_row=lambda row: tell({"photo": row["number"], "policy": row["state"]}),
    )  # fmt: skip
    finish("load", found, seed, output)


def throughput(
    folder: Folder,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of workers; repeatable. Default: 1, 2, 4 … to every core.")
    ] = None,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Measure on a Ray cluster.")] = None,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Photographs per hour against the number of workers."""
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.throughput import run
    from conservator.models.runtime import thread_limit

    counts = workers or [2**power for power in range(thread_limit().bit_length())]
    found = run(photographs(folder, limit), workers=counts, threads=threads, ray=ray, on_row=tell)
    finish("throughput", found, None, output)


def kills(
    photos: Annotated[int, typer.Option(min=2, help="Small photographs in the folder.")] = 12,
    kill: Annotated[int, typer.Option(min=1, help="How often the batch is killed.")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the batch.")] = 2,
    seed: Seed = 0,
    output: Output = None,
) -> None:
    """A batch killed at random moments: half, lost and doubled photographs."""
    from conservator.benchmarks.kills import run

    finish("kills", run(photos=photos, kills=kill, workers=workers, seed=seed, on_row=tell), seed, output)


def fuzz(
    cases: Annotated[
        int | None, typer.Option(min=1, help="Of each kind of input. Default: as many as were last measured.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A kind of input; repeatable. Default: every kind.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Begin no case after so many.")] = None,
    together: Annotated[int, typer.Option(min=1, help="Kinds at a time.")] = 1,
    seed: Seed = 0,
    output: Output = None,
) -> None:
    """Broken photographs, masks, records, plans and requests: crashes, hangs, memory."""
    from conservator.benchmarks.fuzz import CASES, run

    if unknown := sorted(set(only or ()) - CASES.keys()):
        raise UsageError(f"--only {', '.join(unknown)}", f"some of {', '.join(CASES)}")
    chosen = {name: cases or count for name, count in CASES.items() if not only or name in only}
    found = run(chosen, seed=seed, seconds=seconds or float("inf"), together=together, on_row=tell)
    finish("-".join(["fuzz", *(only or ())]), found, seed, output)
