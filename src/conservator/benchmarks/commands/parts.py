"""One command per benchmark of the parts: perception, tools, critics."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from conservator.benchmarks.commands.shared import Clean, Folder, Limit, Output, Seed, Threads, finish, measure, tell
from conservator.errors import UsageError
from conservator.models.runtime import bound_threads


def perception(
    clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None
) -> None:
    """Severity maps and regions against the truth, kind by kind."""
    from conservator.benchmarks.perception import run

    measure("perception", run, clean, limit, threads, seed, output)


def noise_pairs(folder: Folder, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Real camera noise, in folders clean/ and noisy/."""
    from conservator.benchmarks.noise_pairs import run

    bound_threads(threads)
    finish("noise-pairs", run(folder, limit=limit, on_row=tell), None, output)


def brackets(folder: Folder, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Real exposure brackets: scenes with reference.jpg and lumaNNN.jpg."""
    from conservator.benchmarks.brackets import run

    bound_threads(threads)
    finish("brackets", run(folder, limit=limit, on_row=tell), None, output)


def tools(
    clean: Clean,
    underwater: Annotated[
        Path | None, typer.Option(help="Folder with degraded/ and reference/ of photographs taken under water.")
    ] = None,
    tool: Annotated[
        str | None, typer.Option(help="Only this tool, written to tools-TOOL.json. Default: every tool, to tools.json.")
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Every tool beside the classical ones a user has, on the same photographs."""
    from conservator.benchmarks.toolbench import TASKS, UNDERWATER, run

    tasks = [task for task in TASKS if tool in (None, task.tool)]
    if not tasks and (tool != UNDERWATER.tool or underwater is None):
        raise UsageError(f"--tool {tool}", f"one of {', '.join(dict.fromkeys(task.tool for task in TASKS))}")
    name = "tools" if tool is None else f"tools-{tool}"
    among = partial(run, underwater=underwater, limit=limit, tasks=tasks)
    measure(name, among, clean, limit, threads, seed, output)


def critic(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Critics on outcomes of classical tools: ranking, calibration, and what they would keep."""
    from conservator.benchmarks.criticbench import run

    measure("critic", run, clean, limit, threads, seed, output)


def scratches(
    clean: Clean,
    unmarred: Annotated[
        list[Path] | None, typer.Option(help="Folder of photographs without marks, for false alarms; repeatable.")
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Marks that are found, filled, and taken for marks where there are none."""
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.scratches import run

    others = [path for folder in unmarred or () for path in photographs(folder, limit)]
    measure("scratches", partial(run, unmarred=others), clean, limit, threads, seed, output)


def seeing(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Distances between pictures against what is known of people's eyes."""
    from conservator.benchmarks.seeing import run

    measure("seeing", run, clean, limit, threads, seed, output)
