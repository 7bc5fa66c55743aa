"""Quality against seconds, policy by policy: one drawing, as SVG for pages and PNG for everything else."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from conservator.benchmarks.results import Row, heading
from conservator.errors import InputError
from conservator.files import make_folder, write_atomically
from conservator.report.canvas import font

WIDTH, HEIGHT = 460, 380
"""Pixels of one panel."""

LEFT, RIGHT, TOP, BOTTOM = 56, 104, 44, 48
"""Margins: labels stand to the right of their points."""

INK, FAINT, OURS, OTHERS = "#1c1f24", "#d5d8dd", "#c2410c", "#2563eb"
SHARP = 3
"""The PNG has so many pixels per pixel of the SVG."""


class Line(NamedTuple):
    """From one point to another."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: str
    width: float = 1.0


class Dot(NamedTuple):
    """A disc; told policies, which no user can have, are rings."""

    at: tuple[float, float]
    colour: str
    hollow: bool = False
    radius: float = 4.5


class Text(NamedTuple):
    """A line of text; anchor "l", "m" or "r" is its left end, middle or right end."""

    at: tuple[float, float]
    text: str
    anchor: str = "l"
    size: float = 11.0
    colour: str = INK


Mark = Line | Dot | Text


def draw(result: Mapping[str, Any], path: Path) -> list[Path]:
    """Write PATH.svg and PATH.png: a panel per table of policies, seconds across, gain in dB up, with 95 % intervals.

    Raises InputError when the result has no table of policies, OutputError when it cannot be written.
    """
    tables = {title: rows for title, rows in result["summary"].items() if title.endswith(": policies")}
    panels = {title: timed for title, rows in tables.items() if (timed := [row for row in rows if row["seconds"]])}
    if not panels:
        raise InputError(f"result {result['name']} compares no policies", "mixbench or spatialbench", "name another")
    marks = [m for i, (title, rows) in enumerate(panels.items()) for m in panel(title, rows, i * WIDTH)]
    marks.sort(key=lambda mark: (Line, Dot, Text).index(type(mark)))  # later ones cover earlier ones
    size = len(panels) * WIDTH, HEIGHT
    make_folder(path.parent)
    written = [path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png")]
    write_atomically(written[0], svg(marks, size).encode(), overwrite=True)
    write_atomically(written[1], png(marks, size), overwrite=True)
    return written


def panel(title: str, rows: Sequence[Row], left: float = 0) -> Iterator[Mark]:
    """One table, drawn from `left` on; every row has seconds."""
    across = _ticks_of_time([row["seconds"] for row in rows])
    up = _ticks([0.0] + [row[key] for row in rows for key in ("from_db", "to_db", "gain_db") if row[key] is not None])
    x0, x1, y0, y1 = left + LEFT, left + WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    span = math.log(across[-1] / across[0])

    def place(seconds: float, gain: float) -> tuple[float, float]:
        share = (gain - up[0]) / (up[-1] - up[0])
        return x0 + (x1 - x0) * math.log(seconds / across[0]) / span, y0 + (y1 - y0) * share

    yield Text(((x0 + x1) / 2, 18), title, "m", 13)
    yield Text(((x0 + x1) / 2, HEIGHT - 12), "seconds per photo", "m")
    yield Text((left + 8, TOP - 14), heading("gain_db"))
    for gain in up:
        yield Line(place(across[0], gain), place(across[-1], gain), INK if gain == 0 else FAINT)
        yield Text((x0 - 6, place(across[0], gain)[1]), f"{gain:g}".replace("-", "−"), "r")
    for seconds in across:
        yield Line(place(seconds, up[0]), place(seconds, up[-1]), FAINT)
        yield Text((place(seconds, up[0])[0], y0 + 14), f"{seconds:g}", "m")
    lowest = math.inf
    for row in sorted(rows, key=lambda row: row["gain_db"]):
        at, colour = place(row["seconds"], row["gain_db"]), OURS if row["policy"] == "spatial" else OTHERS
        if row["from_db"] is not None:
            yield Line(place(row["seconds"], row["from_db"]), place(row["seconds"], row["to_db"]), colour)
        yield Dot(at, colour, row["policy"].startswith(("oracle", "true_")))
        lowest = min(at[1], lowest - 12)  # names stand beside their points, but not on each other
        yield Line(at, (x1 + 2, lowest), FAINT, 0.5)
        yield Text((x1 + 5, lowest), row["policy"].replace("_", " "), colour=colour)


def svg(marks: Sequence[Mark], size: tuple[int, int]) -> str:
    """The drawing as SVG text; size is (width, height)."""
    body = "\n".join(map(_element, marks))
    box = f'width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _element(mark: Mark) -> str:
    match mark:
        case Line((x0, y0), (x1, y1), colour, width):
            ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
            return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"/>'
        case Dot((x, y), colour, hollow, radius):
            paint = f'fill="{"white" if hollow else colour}" stroke="{colour}" stroke-width="1.5"'
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {paint}/>'
        case Text((x, y), text, anchor, size, colour):
            where = f'x="{x:.1f}" y="{y + size * 0.35:.1f}" text-anchor="{_ANCHORS[anchor]}"'
            return f'<text {where} font-size="{size:g}" fill="{colour}">{escape(text)}</text>'


_ANCHORS = {"l": "start", "m": "middle", "r": "end"}


def png(marks: Sequence[Mark], size: tuple[int, int]) -> bytes:
    """The drawing as the bytes of a PNG file, SHARP pixels per pixel."""
    image = Image.new("RGB", (size[0] * SHARP, size[1] * SHARP), "white")
    brush = ImageDraw.Draw(image)
    for mark in marks:
        _paint(brush, mark)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _paint(brush: ImageDraw.ImageDraw, mark: Mark) -> None:
    match mark:
        case Line((x0, y0), (x1, y1), colour, width):
            brush.line((x0 * SHARP, y0 * SHARP, x1 * SHARP, y1 * SHARP), colour, round(width * SHARP))
        case Dot((x, y), colour, hollow, radius):
            fill = "white" if hollow else colour
            brush.circle((x * SHARP, y * SHARP), radius * SHARP, fill, colour, round(1.5 * SHARP))
        case Text((x, y), text, anchor, size, colour):
            # The built-in font has no typographic minus.
            brush.text((x * SHARP, y * SHARP), text.replace("−", "-"), colour, font(size * SHARP), anchor=f"{anchor}m")


def _ticks_of_time(values: Sequence[float]) -> list[float]:
    """1, 2, 5 times powers of ten around positive values; two at least."""
    every = [digit * 10.0**power for power in range(-4, 6) for digit in (1, 2, 5)]
    first = max(i for i, tick in enumerate(every) if tick <= max(min(values), every[0]))
    last = next((i for i, tick in enumerate(every) if tick >= max(values)), len(every) - 1)
    return every[first : max(last, first + 1) + 1]


def _ticks(values: Sequence[float]) -> list[float]:
    """Five to ten round numbers around values; two at least."""
    width = max(max(values) - min(values), 1e-3)
    power = 10.0 ** math.floor(math.log10(width / 5))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit * 8 >= width)
    first, last = math.floor(min(values) / step), math.ceil(max(values) / step)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]
