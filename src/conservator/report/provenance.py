"""Sections for those who must be able to trust the picture: honest notes, files, hashes, versions, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conservator.pixels.types import Samples
from conservator.report import words
from conservator.report.camera import camera_facts
from conservator.report.doing import card_of
from conservator.report.layout import bar, code, facts, percent, section, table
from conservator.report.markup import Child, Markup, element
from conservator.tools.card import Kind

if TYPE_CHECKING:
    from conservator.photo import Photo
    from conservator.treatment import Treatment

_ROWS = 256


def notes(treatment: Treatment, untouched: float | None) -> Markup:
    """What a reader must know before believing the picture."""
    items = [element("li", note) for note in _notes(treatment, untouched)]
    return section("notes", "Honest notes", element("ul", *items))


def provenance(treatment: Treatment) -> Markup:
    """Files, hashes, call, budget, timings, versions and models."""
    record = treatment.record.to_dict()
    return section(
        "origin",
        "Files and figures",
        facts([*_files(treatment, record), *camera_facts(treatment.original.exif)]),
        element("h3", "How it was asked for"),
        facts([*_call(record["call"]), ("Seed", record["seed"]), *_budget(record["budget"])]),
        element("h3", "Time"),
        _timings(record["timings"]),
        element("h3", "Versions and models"),
        facts([(name, str(version)) for name, version in record["versions"].items()]),
        facts([(name, code(digest)) for name, digest in record["models"].items()]),
    )


def file_name(photo: Photo) -> str:
    """What a report calls the photo."""
    return photo.file_name or "A photo from memory"


def untouched_share(before: Samples, after: Samples) -> float | None:
    """Share of pixels that are equal to the bit, in [0, 1]; None when the treatment changed the size."""
    if before is after:
        return 1.0
    if before.shape != after.shape:
        return None
    tops = range(0, len(before), _ROWS)  # a band at a time: 100 megapixels need no second frame
    same = sum(int((before[t : t + _ROWS] == after[t : t + _ROWS]).all(axis=2).sum()) for t in tops)
    return same / float(np.prod(before.shape[:2]))


def _notes(treatment: Treatment, untouched: float | None) -> Iterator[Child]:
    yield element("b", "Generated pixels: "), generated(treatment.record.to_dict()["plan"])
    if untouched is not None:
        yield element("b", "Untouched pixels: "), f"{percent(untouched)} of the photo, equal to the bit."
    yield (
        "Severities and physical values are estimates by the networks named below, before and after alike. "
        "They can be wrong; the pictures decide."
    )
    yield "Perceived damage is the sum of all severities, averaged over the frame: 0 is a clean photo."
    yield "The pictures on this page are JPEG previews of at most 1600 pixels. The hashes are those of the real data."
    photo = treatment.original
    if photo.alpha is not None:
        yield "Transparency is carried over and not shown here."
    if photo.depth == 16:
        yield "The photo has 16 bits per sample; the previews have 8."
    if photo.size != treatment.photo.size:
        yield "The treatment enlarged the photo; the picture before it is stretched here to the same size."


def generated(plan: list[Mapping[str, Any]]) -> str:
    """Whether kept steps may have invented anything, from the cards of their tools."""
    cards = {step["tool"]: card_of(step["tool"]) for step in plan}
    inventing = [name for name, card in cards.items() if card is not None and card.kind is Kind.GENERATIVE]
    unknown = [name for name, card in cards.items() if card is None]
    if inventing:
        return f"yes, by {words.listed(inventing)}. What it drew may never have been there."
    if unknown:
        return f"not known: {words.listed(unknown)} did not ship with Conservator."
    if not plan:
        return "none."
    return "none. No step that was kept is generative: each computes its best estimate of what was there."


def _files(treatment: Treatment, record: Mapping[str, Any]) -> Iterator[tuple[str, Child]]:
    photo, result = treatment.original, treatment.photo
    yield "Input", element("bdi", file_name(photo))
    yield "Input SHA-256", code(record["input"]["sha256"])
    yield "Output samples SHA-256", code(record["output"]["sha256"])
    yield "Size", _size(photo) if photo.size == result.size else f"{_size(photo)}, now {_size(result)}"
    colour = "grey" if photo.gray else "colour"
    profile = "with its own ICC profile" if photo.icc else "sRGB"
    yield "Kind", f"{photo.container}, {photo.depth} bits per sample, {colour}, {profile}"


def _size(photo: Photo) -> str:
    height, width = photo.size
    return f"{width} × {height} pixels"


def _call(call: Mapping[str, Any]) -> Iterator[tuple[str, Child]]:
    for name, value in call.items():
        limit = name.startswith("max_")  # told with what was spent of it
        if value is not None and value is not False and not limit:
            yield name.replace("_", " ").capitalize(), _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):  # masks
        names = (Path(entry["path"]).name if entry["path"] else "drawn in memory" for entry in value)
        return ", ".join(f"{name} × {entry['strength']:g}" for name, entry in zip(names, value, strict=True))
    return "yes" if value is True else str(value)


def _budget(budget: Mapping[str, Any]) -> Iterator[tuple[str, Child]]:
    calls, seconds = budget["max_calls"], budget["max_seconds"]
    yield "Tool calls", f"{budget['calls']}, {'no limit' if calls is None else f'at most {calls}'}"
    if budget.get("looks_ahead"):
        yield "Looks ahead", f"{budget['looks_ahead']}, on small copies and crops"
    yield "Seconds", f"{budget['seconds']:.1f}, {'no limit' if seconds is None else f'limit {seconds:g}'}"
    if "work_seconds" in budget:
        work, path = budget["work_seconds"], budget["critical_path_seconds"]
        yield "Seconds of work", f"{work:.1f}, of which {path:.1f} could not run side by side"


def _timings(timings: Mapping[str, float]) -> Markup:
    longest = max(timings.values(), default=0.0)
    rows = [(stage.capitalize(), element("div", f"{s:.2f} s", bar(s / longest if longest else 0.0)))
            for stage, s in sorted(timings.items(), key=lambda item: -item[1])]  # fmt: skip
    return table("Seconds per stage", ("Stage", "Seconds"), rows)
