"""Arguments and options that several commands share, described once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from conservator.errors import UsageError
from conservator.models.devices import DEVICES, device
from conservator.models.devices import VARIABLE as DEVICE_VARIABLE

if TYPE_CHECKING:
    from conservator.agents.reader import Reading
    from conservator.masks import MaskLike

RESULTS = "Results"
LIMITS = "Limits"

Photographs: TypeAlias = Annotated[
    list[str],
    typer.Argument(help="Files, folders, quoted patterns such as 'scans/**/*.tif', or - for standard input."),
]
Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", rich_help_panel=RESULTS,
        help="A file, a folder (trees are mirrored) or - for standard output. Default: beside the photograph.",
    ),
]  # fmt: skip
Suffix: TypeAlias = Annotated[
    str, typer.Option(help="Put between name and extension of the result.", rich_help_panel=RESULTS)
]
Extension: TypeAlias = Annotated[
    str,
    typer.Option(
        "--ext", help="Format of the result: auto (the photograph's own), png, jpg, webp, tiff, avif or bmp.",
        rich_help_panel=RESULTS,
    ),
]  # fmt: skip
Quality: TypeAlias = Annotated[
    int, typer.Option(min=1, max=100, help="Quality of JPEG, WebP and AVIF results.", rich_help_panel=RESULTS)
]
RecordPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--record", rich_help_panel=RESULTS,
        help="Where the record goes: a file, or a folder for several photographs. Default: beside the result.",
    ),
]  # fmt: skip
NoRecord: TypeAlias = Annotated[bool, typer.Option("--no-record", help="Write no record.", rich_help_panel=RESULTS)]
Report: TypeAlias = Annotated[
    bool, typer.Option("--report", help="Also write an HTML page about the treatment.", rich_help_panel=RESULTS)
]
Compare: TypeAlias = Annotated[
    bool, typer.Option("--compare", help="Also write a picture of before and after.", rich_help_panel=RESULTS)
]
Overwrite: TypeAlias = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace results that exist; photographs never.", rich_help_panel=RESULTS),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON to standard output.", rich_help_panel=RESULTS)
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=RESULTS)
]
Policy: TypeAlias = Annotated[str, typer.Option(help="Who decides what is done; a wrong name lists them all.")]
Strength: TypeAlias = Annotated[
    float, typer.Option(min=0.0, max=2.0, help="Multiplies what the diagnosis asks for; 0 changes nothing.")
]
Instruction: TypeAlias = Annotated[
    str | None, typer.Option("--instruction", "-i", help='Plain words: "remove the rain, keep the grain".')
]
Reader: TypeAlias = Annotated[
    str,
    typer.Option(help="Who reads the instruction: grammar, or llm, the language model that CONSERVATOR_LLM_URL names."),
]
Prefer: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="A tool that gets what it treats to itself, added ones too; repeatable."),
]
Regions: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Regions along things instead of damage: sam:FOLDER, a network of SAM's kind."),
]
Scale: TypeAlias = Annotated[int, typer.Option(min=1, help="Enlarge so many times, last of all: 2, 3 or 4.")]
Seed: TypeAlias = Annotated[int, typer.Option(help="Of everything random.")]
MaxCalls: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Most tool calls per photograph.", rich_help_panel=LIMITS)
]
MaxSeconds: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0.0, help="No step starts later than this, per photograph.", rich_help_panel=LIMITS),
]
Cache: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Folder that keeps intermediate results between runs.", rich_help_panel=LIMITS),
]
_MASK_FILE = "a picture (white is inside), COCO, GeoJSON or SVG, with :STRENGTH if not 1; repeatable."
Mask: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="FILE[:STRENGTH]", help=f"Treat only what a mask covers: {_MASK_FILE}")
]
Protect: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="FILE[:STRENGTH]", help=f"Leave alone what a mask covers: {_MASK_FILE}")
]
Place: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="NAME=FILE", help="A mask that steps keep to, by its name in the record.")
]
Memory: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", rich_help_panel=LIMITS,
        help="Experience to use and to add to, made when absent; for policies that search. No pixels are kept.",
    ),
]  # fmt: skip
Tile: TypeAlias = Annotated[
    int | None,
    typer.Option(min=64, help="Side of the tiles in pixels; smaller needs less memory.", rich_help_panel=LIMITS),
]  # fmt: skip
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, envvar="CONSERVATOR_THREADS", rich_help_panel=LIMITS, help="Most threads to use. Default: every core."
    ),
]  # fmt: skip


def _use_device(name: str | None) -> str | None:
    """Kept in the environment, where worker processes find it."""
    if name is not None:
        os.environ[DEVICE_VARIABLE] = name
        device()
    return name


Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar=DEVICE_VARIABLE, callback=_use_device, rich_help_panel=LIMITS,
        help=f"Where networks run: {', '.join(DEVICES)}. Default: cpu.",
    ),
]  # fmt: skip


def read(instruction: str | None, reader: str) -> str | Reading | None:
    """An instruction, read where somebody else than the grammar is to read it; UsageError for what cannot be done."""
    if reader not in ("grammar", "llm"):
        raise UsageError(f"reader {reader!r}", "grammar or llm")
    if reader == "grammar" or instruction is None:
        return instruction
    from conservator.agents.endpoint import Endpoint
    from conservator.agents.reader import LanguageReader

    return LanguageReader(Endpoint.from_environment())(instruction)


def masks(given: Sequence[str] | None) -> list[tuple[MaskLike, float]]:
    """("sky.json", 0.5) from "sky.json:0.5"; the strength is 1 where none is given."""
    return [_mask(argument) for argument in given or ()]


def places(given: Sequence[str] | None) -> dict[str, MaskLike]:
    """{"r2-1a2b3c4d": "face.png"} from "r2-1a2b3c4d=face.png"; UsageError where there is no name or no file."""
    pairs = [argument.partition("=") for argument in given or ()]
    if wrong := [name for name, sign, file in pairs if not (name and sign and file)]:
        raise UsageError(f"--place {wrong[0]}", "NAME=FILE", "the record's `call` says which names there are")
    return {name: file for name, _, file in pairs}


def mask_files(*given: Sequence[str] | None) -> tuple[Path, ...]:
    """The files that masks are read from."""
    return tuple(Path(str(source)) for several in given for source, _ in masks(several))


def _mask(argument: str) -> tuple[MaskLike, float]:
    file, colon, strength = argument.rpartition(":")
    try:
        return (file, float(strength)) if colon and file else (argument, 1.0)
    except ValueError:
        return argument, 1.0
