"""conservator synth: clean photographs in, damaged ones with their truth out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conservator.cli import options
from conservator.cli.narrator import narrator
from conservator.cli.sources import Source, find_sources
from conservator.cli.tally import run_all
from conservator.cli.targets import Layout, is_result, plan_targets
from conservator.degradations import CELL, NAMES, PERCEIVED
from conservator.errors import UsageError
from conservator.folders.outcome import Outcome, Status
from conservator.staging import Staging

if TYPE_CHECKING:
    from conservator.synthesis import Sample

SCHEMA = 1
"""Version of the recipe's layout."""


@dataclass(frozen=True)
class Recipe:
    """What to inflict.

    combination  kinds in order, over the whole frame; None mixes `kinds` differently in different regions
    kinds        to choose from in a spatial mixture
    """

    combination: tuple[str, ...] | None
    kinds: tuple[str, ...]
    seed: int


def synth(
    photographs: Annotated[list[str], typer.Argument(help="Clean photographs: files, folders or quoted patterns.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder that gets degraded/, clean/, truth/ and recipes/."),
    ],
    combination: Annotated[
        str | None,
        typer.Option(help="One of AgenticIR's sixteen, such as rain+haze, everywhere; a wrong name lists them."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Kind of damage a spatial mixture may use; repeatable. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same file name: same damage.")] = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Damage clean photographs and write down the truth.

    By default each region of a photograph gets another mixture, and one region stays clean.
    """
    recipe = Recipe(_combination(combination), _kinds(kind or PERCEIVED), seed)
    searched = Layout(str(output), suffix="")
    sources = find_sources(photographs, lambda file, root: is_result(file, root, searched))
    layout = Layout(f"{output / 'degraded'}/", suffix="", ext="png", records=False)
    planned = {s: t.files[0] for s, t in zip(sources, plan_targets(sources, layout), strict=True)}
    voice = narrator(len(sources), quiet=quiet)
    job = partial(_synth_one, folder=output, planned=planned, recipe=recipe, overwrite=overwrite)
    raise typer.Exit(run_all(sources, job, voice, as_json=as_json))


def _combination(name: str | None) -> tuple[str, ...] | None:
    if name is None:
        return None
    from conservator.synthesis import COMBINATIONS

    every = [kinds for group in COMBINATIONS.values() for kinds in group]
    asked = sorted(part.strip() for part in name.split("+"))
    for kinds in every:
        if sorted(kinds) == asked:
            return kinds
    raise UsageError(f"--combination {name}", "one of " + ", ".join("+".join(kinds) for kinds in every))


def _kinds(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in PERCEIVED]
    if unknown:
        raise UsageError(f"--kind {', '.join(unknown)}", f"some of {', '.join(PERCEIVED)}")
    return tuple(names)


def _synth_one(
    source: Source, *, folder: Path, planned: dict[Source, Path], recipe: Recipe, overwrite: bool
) -> Outcome:
    degraded = planned[source]
    if degraded.exists() and not overwrite:
        said = f"skipped: {degraded} exists; --overwrite replaces it"
        return Outcome(Status.SKIPPED, said, {"degraded": str(degraded)})
    name = degraded.relative_to(folder / "degraded").with_suffix("")
    sample = _inflict(source, name, recipe)
    with Staging() as staging:
        facts = _write(staging, folder, name, sample, recipe)
    for file in _outdated(folder / "truth" / name, sample):
        file.unlink(missing_ok=True)
    kinds = ", ".join(sorted({damage.kind.replace("_", " ") for damage in sample.damages}))
    return Outcome(Status.DONE, f"{kinds} → {degraded}", facts)


def _inflict(source: Source, name: Path, recipe: Recipe) -> Sample:
    import numpy as np

    from conservator.photo import open_photo
    from conservator.synthesis import degrade, draw_preset, draw_spatial

    clean = open_photo(str(source.path)).pixels
    # The name, not the place in the list: more photographs in the folder must not change this one.
    rng = np.random.default_rng([recipe.seed, zlib.crc32(name.as_posix().encode())])
    if recipe.combination is not None:
        return degrade(clean, draw_preset(rng, recipe.combination))
    return degrade(clean, *draw_spatial(clean, rng, recipe.kinds))


def _write(staging: Staging, folder: Path, name: Path, sample: Sample, recipe: Recipe) -> dict[str, Any]:
    """Stage everything about one photograph; returns the recipe."""
    import numpy as np

    def place(kind: str, ending: str) -> Path:
        return folder / kind / name.with_name(name.name + ending)

    for index in np.flatnonzero(sample.truth.any(axis=(1, 2))):
        grey = np.rint(sample.truth[index] * 255).astype(np.uint8).repeat(CELL, axis=0).repeat(CELL, axis=1)
        height, width = sample.clean.shape[:2]
        staging.add_picture(place("truth", f".{NAMES[index]}.png"), grey[:height, :width])
    names, regions = np.array(NAMES), np.array(sample.regions, np.float32)
    staging.add(
        place("truth", ".npz"),
        lambda path: np.savez_compressed(path, names=names, severity=sample.truth, regions=regions),
    )
    files = {kind: place(kind, ".png") for kind in ("clean", "degraded")}
    written = _recipe(sample, recipe) | {kind: str(file.relative_to(folder)) for kind, file in files.items()}
    written["truth"] = str(place("truth", ".npz").relative_to(folder))
    staging.add_json(place("recipes", ".json"), written)
    staging.add_picture(files["clean"], np.rint(sample.clean * 255).astype(np.uint8))
    staging.add_picture(files["degraded"], np.rint(sample.degraded * 255).astype(np.uint8))
    return written


def _outdated(truth: Path, sample: Sample) -> list[Path]:
    """Pictures of kinds that an earlier recipe inflicted on the photograph and this one did not."""
    inflicted = {damage.kind for damage in sample.damages}
    return [truth.with_name(f"{truth.name}.{kind}.png") for kind in NAMES if kind not in inflicted]


def _recipe(sample: Sample, recipe: Recipe) -> dict[str, Any]:
    """What was inflicted, in order; `region` counts the masks in the truth file, null is everywhere."""
    region_of = {id(mask): index for index, mask in enumerate(sample.regions)}
    return {
        "schema": SCHEMA,
        "seed": recipe.seed,
        "combination": "+".join(recipe.combination) if recipe.combination else None,
        "damages": [
            {
                "kind": damage.kind,
                "parameters": {key: _plain(value) for key, value in damage.parameters.items()},
                "seed": damage.seed,
                "region": None if damage.mask is None else region_of[id(damage.mask)],
            }
            for damage in sample.damages
        ],
    }


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's own, for JSON."""
    return value.item() if hasattr(value, "item") else value
