"""conservator bench: one command per benchmark; each writes one result file and prints its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conservator.errors import UsageError
from conservator.models.runtime import bound_threads

if TYPE_CHECKING:
    from conservator.benchmarks.entrants import Contestant
    from conservator.benchmarks.results import Findings

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measures quality and speed. Every benchmark writes benchmarks/results/NAME.json.",
)

Clean = Annotated[Path, typer.Option("--clean", help="Folder of clean photographs.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the data set.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the damage that is inflicted.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after so many photographs or scenes.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Result file instead of the usual one.")]
Threads = Annotated[
    int | None, typer.Option(min=1, envvar="CONSERVATOR_THREADS", help="Most threads to use. Default: every core.")
]
Policies = Annotated[
    str | None,
    typer.Option(help="Who competes, names with commas between; all is everybody, a wrong name lists them."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A further measure: ms_ssim, or pyiqa:NAME where pyiqa is installed; repeatable."),
]


@app.command()
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
    found = run(photos, seed=seed, among=among, metrics=_known(metric), pictures=save_pictures, on_row=_tell)
    _finish("spatialbench", found, seed, output)


@app.command()
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
    found = run(photos, seed=seed, groups=groups, among=among, metrics=_known(metric), on_row=_tell)
    _finish("mixbench", found, seed, output)


@app.command()
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
    found = run(photographs(clean, limit), seed=seed, tracks=tracks, among=chosen(ABLATIONS), on_row=_tell)
    _finish("ablations", replace(found, title="Ablations: `spatial` without its parts"), seed, output)


@app.command()
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


@app.command()
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
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.stream import ROLLS, run
    from conservator.policies import LEARNING

    bound_threads(threads)
    names = LEARNING if policies == "all" else [name.strip() for name in (policies or "").split(",")]
    if unknown := [name for name in names if name not in LEARNING]:
        raise UsageError(f"a memory for {', '.join(unknown)}", f"some of {', '.join(LEARNING)}")
    if rolls not in ROLLS:
        raise UsageError(f"--rolls {rolls}", f"one of {', '.join(ROLLS)}")
    found = run(photographs(clean, limit), policies=names, rolls=rolls, shipped=not empty, seed=seed, on_row=_tell)
    special = [*([] if list(names) == ["agenticir"] else names), *([] if rolls == "camera" else [rolls])]
    _finish("-".join(["memory", *special]), found, seed, output)


@app.command()
def perception(
    clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None
) -> None:
    """Severity maps and regions against the truth, kind by kind."""
    from conservator.benchmarks.perception import run

    _measure("perception", run, clean, limit, threads, seed, output)


@app.command()
def noise_pairs(folder: Folder, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Real camera noise, in folders clean/ and noisy/."""
    from conservator.benchmarks.noise_pairs import run

    bound_threads(threads)
    _finish("noise-pairs", run(folder, limit=limit, on_row=_tell), None, output)


@app.command()
def brackets(folder: Folder, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Real exposure brackets: scenes with reference.jpg and lumaNNN.jpg."""
    from conservator.benchmarks.brackets import run

    bound_threads(threads)
    _finish("brackets", run(folder, limit=limit, on_row=_tell), None, output)


@app.command()
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
    from conservator.benchmarks.photos import photographs
    from conservator.benchmarks.toolbench import TASKS, UNDERWATER, run

    bound_threads(threads)
    tasks = [task for task in TASKS if tool in (None, task.tool)]
    if not tasks and (tool != UNDERWATER.tool or underwater is None):
        raise UsageError(f"--tool {tool}", f"one of {', '.join(dict.fromkeys(task.tool for task in TASKS))}")
    found = run(photographs(clean, limit), underwater=underwater, seed=seed, limit=limit, tasks=tasks, on_row=_tell)
    _finish("tools" if tool is None else f"tools-{tool}", found, seed, output)


@app.command()
def critic(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """Critics on outcomes of classical tools: ranking, calibration, and what they would keep."""
    from conservator.benchmarks.criticbench import run

    _measure("critic", run, clean, limit, threads, seed, output)


@app.command()
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

    bound_threads(threads)
    others = [path for folder in unmarred or () for path in photographs(folder, limit)]
    found = run(photographs(clean, limit), unmarred=others, seed=seed, on_row=_tell)
    _finish("scratches", found, seed, output)


@app.command()
def masks(
    count: Annotated[int, typer.Option(min=1, help="Computed masks.")] = 24, seed: Seed = 0, output: Output = None
) -> None:
    """Outlines of so many points against the masks they follow, and the bytes each format takes."""
    from conservator.benchmarks.masks import run

    _finish("masks", run(seed=seed, count=count, on_row=_tell), seed, output)


@app.command()
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
    _measure(name, partial(run, hand=hand), clean, limit, threads, seed, output, skip)


@app.command()
def eyes(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """The language model that CONSERVATOR_LLM_URL names, asked about damage that is known; it is shown the pictures."""
    from conservator.agents.endpoint import Endpoint
    from conservator.benchmarks.eyesbench import run

    _measure("eyes", partial(run, endpoint=Endpoint.from_environment()), clean, limit, threads, seed, output)


@app.command()
def llm(clean: Clean, seed: Seed = 0, limit: Limit = None, threads: Threads = None, output: Output = None) -> None:
    """The language model that CONSERVATOR_LLM_URL names, as planner and as reader of instructions."""
    from conservator.agents.endpoint import Endpoint
    from conservator.benchmarks.planners import run

    _measure("llm", partial(run, endpoint=Endpoint.from_environment()), clean, limit, threads, seed, output)


@app.command()
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
    _finish("regions", run(photographs(clean, limit), outliner=outliner, seed=seed, on_row=_tell), seed, output)


@app.command()
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
    _finish("speed", found, seed, output)


@app.command()
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
        on_row=lambda row: _tell({"photo": row["number"], "policy": row["state"]}),
    )  # fmt: skip
    _finish("load", found, seed, output)


@app.command()
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
    found = run(photographs(folder, limit), workers=counts, threads=threads, ray=ray, on_row=_tell)
    _finish("throughput", found, None, output)


@app.command()
def kills(
    photos: Annotated[int, typer.Option(min=2, help="Small photographs in the folder.")] = 12,
    kill: Annotated[int, typer.Option(min=1, help="How often the batch is killed.")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the batch.")] = 2,
    seed: Seed = 0,
    output: Output = None,
) -> None:
    """A batch killed at random moments: half, lost and doubled photographs."""
    from conservator.benchmarks.kills import run

    _finish("kills", run(photos=photos, kills=kill, workers=workers, seed=seed, on_row=_tell), seed, output)


@app.command()
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
    found = run(chosen, seed=seed, seconds=seconds or float("inf"), together=together, on_row=_tell)
    _finish("-".join(["fuzz", *(only or ())]), found, seed, output)


@app.command()
def contact(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture file of the sheet.")],
    limit: Limit = None,
    threads: Threads = None,
    columns: Annotated[int, typer.Option(min=1, help="Pairs side by side.")] = 1,
    width: Annotated[int, typer.Option(min=256, help="Of the sheet in pixels.")] = 1600,
) -> None:
    """One sheet of everything in a folder, before and after, for looking."""
    from conservator.benchmarks.contact import run
    from conservator.benchmarks.photos import photographs

    bound_threads(threads)
    sheet = run(photographs(folder, limit), output, width=width, columns=columns, on_row=_tell)
    typer.echo(f"written: {sheet}")


@app.command()
def tables(
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path("benchmarks/results"),
    page: Annotated[Path, typer.Option(help="Markdown page whose tables are replaced.")] = Path("docs/benchmarks.md"),
) -> None:
    """Write the tables of docs/benchmarks.md from the result files."""
    from conservator.benchmarks.tables import write_tables

    changed = write_tables(results, page)
    typer.echo(f"{page}: {'written' if changed else 'up to date'}")


def _entrants(names: str | None) -> dict[str, Contestant] | None:
    from conservator.benchmarks.entrants import chosen

    return None if names is None else chosen([name.strip() for name in names.split(",")])


def _known(metrics: list[str] | None) -> list[str]:
    """The metrics' names, looked up before hours are spent."""
    from conservator.quality.metrics import metric_named

    return [metric_named(name).name for name in metrics or ()]


def _tell(row: dict[str, Any]) -> None:
    """A line per measurement on stderr: long runs must show that they run."""
    keys = ("track", "combination", "task", "draw", "scene", "photo", "policy", "method", "question", "said")
    names = " ".join(str(row[key]) for key in keys if key in row)
    gain = f" {row['gain_db']:+.2f} dB" if "gain_db" in row else ""
    typer.echo(f"{names}{gain} {' '.join(row.get('treated', ()))}".rstrip(), err=True)


def _measure(
    name: str, run: Callable[..., Findings], clean: Path, limit: int | None, threads: int | None, seed: int,
    output: Path | None, skip: int = 0,
) -> None:  # fmt: skip
    """Run a benchmark that needs photographs and a seed, and nothing else."""
    from conservator.benchmarks.photos import photographs

    bound_threads(threads)
    _finish(name, run(photographs(clean, limit, skip), seed=seed, on_row=_tell), seed, output)


def _finish(name: str, found: Findings, seed: int | None, output: Path | None) -> None:
    from conservator.benchmarks.results import load_result, table, write_result

    path = write_result(name, found, seed=seed, path=output)
    typer.echo(table(load_result(path)))
    typer.echo(f"written: {path}")
