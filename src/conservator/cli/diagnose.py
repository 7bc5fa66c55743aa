"""conservator diagnose: what is wrong and where, without touching anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conservator.cli import options
from conservator.cli.narrator import narrator
from conservator.cli.sources import STREAM, Source, find_sources
from conservator.cli.streams import read_stdin
from conservator.cli.tally import run_all
from conservator.cli.targets import Layout, Originals, is_result, plan_targets
from conservator.errors import UsageError
from conservator.folders.outcome import Outcome, Status
from conservator.folders.results import Targets, check_new
from conservator.report.phrases import found, selected
from conservator.staging import Staging

if TYPE_CHECKING:
    from rich.console import Console

    from conservator.diagnosis import Diagnosis
    from conservator.photo import Photo
    from conservator.pixels.types import Mask
    from conservator.regions import Region
    from conservator.selection import Prompt


def diagnose(
    photographs: options.Photographs,
    overlay: Annotated[
        str | None,
        typer.Option(help="Write the regions drawn onto the photograph: a file, or a folder for several photographs."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(help='A part of the picture instead of its regions: "the hazy sky", "everything but the faces".'),
    ] = None,
    regions: options.Regions = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y", help="The thing there instead, by --regions; -X,Y is beside it; repeatable."),
    ] = None,
    box: Annotated[
        str | None, typer.Option(metavar="L,T,R,B", help="The thing in a box instead, by --regions; in pixels.")
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="Write the regions as masks: COCO (.json), .geojson or .svg, one also as .png; a folder for several "
            "photographs."
        ),
    ] = None,
    mask_style: Annotated[
        str, typer.Option(help="Of masks in COCO: rle, counts (run lengths that are not compressed) or polygons.")
    ] = "rle",
    mask_points: Annotated[
        int | None,
        typer.Option(min=4, help="At most so many points for the outline of each mask; of COCO's those of polygons."),
    ] = None,
    threads: options.Threads = None,
    device: options.Device = None,  # takes effect where it is read
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is wrong with photographs, where and how badly; nothing is changed."""
    layout = Layout(overlay, ".overlay", "png", records=False)
    sources = find_sources(photographs, lambda file, root: is_result(file, root, layout))
    targets = _targets(sources, layout, masks)
    voice = narrator(len(sources), quiet=quiet or len(sources) == 1)
    wanted = _wanted(select, point or [], box, regions)
    job = partial(
        _diagnose_one, targets=targets, select=wanted, regions=regions, overwrite=overwrite, threads=threads,
        tables=not as_json, outlines=_outlines(masks, mask_style, mask_points),
    )  # fmt: skip
    raise typer.Exit(run_all(sources, job, voice, as_json=as_json))


def _wanted(select: str | None, points: Sequence[str], box: str | None, regions: str | None) -> str | Prompt | None:
    """What is to be selected; UsageError when it cannot be understood, or is asked of nobody."""
    shown, by_name = bool(points) or box is not None, regions is not None and regions.startswith("dino:")
    if select is not None and (shown or (regions is not None and not by_name)):
        raise UsageError("--select with --regions, --point or --box", "one of them", "leave the others out")
    if shown and regions is None:
        raise UsageError("--point or --box alone", "who outlines things", "pass --regions sam:PATH")
    if select is not None and not by_name:
        from conservator.wishes import place

        place(select)
    if not shown:
        return select
    from conservator.selection import Prompt

    marks = [(abs(x), y, not text.startswith("-")) for text in points for x, y in [_numbers(text, 2)]]
    return Prompt(points=tuple(marks), box=_numbers(box, 4) if box is not None else None)  # type: ignore[arg-type]


def _outlines(masks: str | None, style: str, points: int | None) -> dict[str, Any]:
    """How masks are to be written; what they cannot be written with is refused before the work."""
    from conservator.masks import FORMATS, check_format

    if masks is None and (style != "rle" or points is not None):
        raise UsageError("--mask-style or --mask-points alone", "masks to write", "pass --masks FILE")
    suffix = Path(masks or "").suffix.lower()
    suffix = suffix if suffix in FORMATS else ".json"  # a folder's files
    if points is not None and suffix == ".json" and style == "rle":
        style = "polygons"
    check_format(suffix, style, points)
    return {"style": style, "points": points}


def _numbers(text: str, count: int) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count:
        raise UsageError(f"{text!r}", f"{count} numbers of pixels with commas between", "such as 120,80")
    return found


def _targets(sources: Sequence[Source], layout: Layout, masks: str | None) -> dict[Source, Targets]:
    """The overlay of each photograph as its picture, the masks as its record."""
    if layout.output == STREAM or masks == STREAM:
        raise UsageError("pictures or masks on standard output", "a file or a folder", "pass --overlay overlay.png")
    drawn = plan_targets(sources, layout) if layout.output is not None else [Targets(None)] * len(sources)
    files = [_mask_file(source, masks, len(sources)) for source in sources]
    planned = [Targets(one.picture, file) for one, file in zip(drawn, files, strict=True)]
    originals = Originals(source.path for source in sources if source.path is not None)
    for targets in planned:
        originals.check(targets)
    return dict(zip(sources, planned, strict=True))


def _mask_file(source: Source, masks: str | None, count: int) -> Path | None:
    from conservator.masks import FORMATS

    if masks is None:
        return None
    if count == 1 and not source.found and not Path(masks).is_dir():
        if Path(masks).suffix.lower() not in FORMATS:
            raise UsageError(f"--masks {masks}", f"a name ending in {', '.join(FORMATS)}")
        return Path(masks)
    if Path(masks).suffix.lower() in FORMATS:
        raise UsageError(f"--masks {masks} for several photographs", "a folder", "name one")
    name = source.path.name if source.path is not None else "photograph"
    return Path(masks) / source.folder / f"{name}.masks.json"


def _diagnose_one(
    source: Source,
    *,
    targets: dict[Source, Targets],
    select: str | Prompt | None,
    regions: str | None,
    overwrite: bool,
    threads: int | None,
    tables: bool,
    outlines: Mapping[str, Any],
) -> Outcome:
    import conservator

    wanted = targets[source]
    if not overwrite:
        check_new(wanted)
    photo = conservator.open_photo(source.path if source.path is not None else read_stdin())
    diagnosis = conservator.diagnose(photo, regions=None if select is not None else regions, threads=threads)
    facts = diagnosis.to_dict()
    named = {region.id: (region, diagnosis.whole(region.mask)) for region in diagnosis.regions}
    if select is not None:
        from conservator.selection import VOCABULARY, source_named

        sources = (VOCABULARY, source_named(regions)) if regions is not None else (VOCABULARY,)
        selection = conservator.select(photo, select, diagnosis=diagnosis, sources=sources)
        named = {selection.phrase: (selection.region(diagnosis), selection.mask)}
        facts["selection"] = selection.to_dict()
    facts |= _write(photo, named, wanted, outlines)
    if tables:
        _print(source.label, diagnosis, facts)
    status = Status.UNCHANGED if diagnosis.clean else Status.DONE
    return Outcome(status, found(facts["degradations"]), facts)


def _write(
    photo: Photo, regions: Mapping[str, tuple[Region, Mask]], wanted: Targets, outlines: Mapping[str, Any]
) -> dict[str, str]:
    """Write overlay and masks, both or neither; returns their names."""
    with Staging() as staging:
        if wanted.picture is not None:
            from conservator.report.overlay import overlay

            staging.add_picture(wanted.picture, overlay(photo.samples, [region for region, _ in regions.values()]))
        if wanted.record is not None:
            from conservator.masks import encode_masks

            named = {name: mask for name, (_, mask) in regions.items()}
            data = encode_masks(named, wanted.record.suffix.lower(), file=photo.file_name or "", **outlines)
            staging.add(wanted.record, lambda place: place.write_bytes(data))
    return {name: str(file) for name, file in (("overlay", wanted.picture), ("masks", wanted.record)) if file}


def _print(label: str, diagnosis: Diagnosis, facts: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    height, width = diagnosis.size
    console.print(f"{label}: {width}×{height} px, {'nothing to treat' if diagnosis.clean else 'damaged'}")
    if not diagnosis.clean:
        _print_tables(console, diagnosis)
    if "selection" in facts:
        console.print(selected(facts["selection"]))
    for what, key in (("drawn", "overlay"), ("masks written", "masks")):
        if key in facts:
            console.print(f"{what}: {facts[key]}")


def _print_tables(console: Console, diagnosis: Diagnosis) -> None:
    from rich.table import Table

    kinds = Table("damage", "typical", "severity", "worst", "share of the frame")
    for name, facts in diagnosis.to_dict()["degradations"].items():
        shown = f"{facts['typical_value']:g} {facts['unit']}"
        severity, worst = f"{facts['mean_severity']:.2f}", f"{facts['worst_severity']:.2f}"
        kinds.add_row(name.replace("_", " "), shown, severity, worst, f"{facts['share_of_frame']:.0%}")
    console.print(kinds, soft_wrap=False)
    regions = Table("region", "share of the frame", "what ails it (mean severity)")
    for region in diagnosis.regions:
        ails = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in region.severities.items())
        regions.add_row(region.id, f"{region.area:.0%}", ails or "nothing")
    console.print(regions, soft_wrap=False)
