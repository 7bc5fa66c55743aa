"""Text that is found, and what is taken for text where there is none: lines of known place over photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conservator.benchmarks.controls import true_diagnosis
from conservator.benchmarks.figures import Flags, mean, overlap, percent
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import Bytes, read
from conservator.benchmarks.results import Findings, Row
from conservator.degradations import CELL, NAMES
from conservator.photo import open_photo
from conservator.selection import select
from conservator.selection.lettering import VARIABLE

TITLE = "Text"
HEIGHTS = ((12, 18), (18, 30), (30, 56))
"""Of capital letters in pixels, from and to."""

STRONGEST = 130
"""Levels by which text is lighter or darker than what it is written on, at most."""

LINES = 2  # in a photograph
FAINT = 85  # levels below which it is faint
COVERED = 0.5  # share of a line from which it is found
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvw0123456789"


@dataclass(frozen=True)
class Hand:
    """How lines are written. The built-in finder was tuned on some that were written as these defaults say.

    fonts     files to choose from; the one that ships with Pillow where there are none
    tilt      degrees at most
    faintest  levels by which text differs from what it is written on, at least
    """

    fonts: tuple[Path, ...] = ()
    tilt: float = 12.0
    faintest: int = 40


@dataclass(frozen=True, eq=False)
class Line:
    """A line of text: where its box lies, bool (H, W), and how it was written."""

    box: Flags
    height: int
    contrast: int


def run(
    photos: Sequence[Path], *, seed: int = 0, hand: Hand = Hand(), on_row: OnRow | None = None
) -> Findings:  # fmt: skip
    """Write on every photograph and look for the writing; then look at the photograph as it was.

    Finders are the built-in one and, when CONSERVATOR_TEXT names its file, that network.
    """
    rows: list[Row] = []
    for finder in ("built in", *(["network"] if os.environ.get(VARIABLE) else [])):
        for index, path in enumerate(photos):
            for row in _looked(path, np.random.default_rng((seed, index)), finder, hand):
                rows.append(row)
                if on_row is not None:
                    on_row(row)
    tables = {
        "pictures": [_summed(part) for part in _by(rows, "method")],
        "lines": [_lines(part, f"{low}–{high}", low, high) for part in _by(rows, "method") for low, high in HEIGHTS],
    }
    network = Path(os.environ[VARIABLE]).name if os.environ.get(VARIABLE) else None
    written = {"fonts": [font.name for font in hand.fonts], "tilt": hand.tilt, "faintest": hand.faintest}
    return Findings(TITLE, tables, rows, {"photos": len(photos), "network": network, "written": written})


def _looked(path: Path, rng: np.random.Generator, finder: str, hand: Hand) -> Iterator[Row]:
    picture = read(path)
    written, lines = write(picture, rng, hand)
    found, before = _found(written, finder), _found(picture, finder)
    text = np.any([line.box for line in lines], axis=0) if lines else np.zeros(found.shape, np.bool_)
    elsewhere = found & ~before  # words that the photograph had already are not for this to judge
    yield {
        "photo": path.name, "method": finder, "iou": overlap(elsewhere | (found & text), text),
        "precision": mean(text[elsewhere]), "recall": mean(found[text]), "alarm": bool(before.any()),
        "alarm_area": float(before.mean()),
        "lines": [{"height": line.height, "contrast": line.contrast, "covered": mean(found[line.box])}
                  for line in lines],
    }  # fmt: skip


def _found(picture: Bytes, finder: str) -> Flags:
    file = os.environ.pop(VARIABLE, None) if finder == "built in" else None
    try:
        grid = tuple(-(-side // CELL) for side in picture.shape[:2])
        diagnosis = true_diagnosis(np.zeros((len(NAMES), *grid), np.float32), open_photo(picture).samples)
        return np.asarray(select(picture, "text", diagnosis=diagnosis).mask >= 0.5)
    finally:
        if file is not None:
            os.environ[VARIABLE] = file


def write(picture: Bytes, rng: np.random.Generator, hand: Hand = Hand()) -> tuple[Bytes, list[Line]]:
    """A photograph with lines of text that do not overlap, and what was written; fewer where there is no room."""
    page, lines = picture.astype(np.float32), list[Line]()
    for _ in range(20):
        low, high = HEIGHTS[int(rng.integers(len(HEIGHTS)))]
        ink = _written(rng, int(rng.integers(low, high)), hand)
        spare = [side - own for side, own in zip(picture.shape, ink[0].shape, strict=False)]
        if min(spare) < 1:
            continue
        top, left = (int(rng.integers(room)) for room in spare)
        place = slice(top, top + ink[0].shape[0]), slice(left, left + ink[0].shape[1])
        box = np.zeros(picture.shape[:2], np.bool_)
        box[place] = ink[1]
        if any((box & line.box).any() for line in lines):
            continue
        contrast = int(rng.integers(hand.faintest, STRONGEST))
        under = float(page[box].mean())
        tint = (under + contrast if under < 128 else under - contrast) + rng.uniform(-25, 25, 3)
        page[place] += ink[0][..., None] * (tint - page[place])
        lines.append(Line(box, ink[2], contrast))
        if len(lines) == LINES:
            break
    return np.asarray(np.rint(page.clip(0, 255)), np.uint8), lines


def _written(rng: np.random.Generator, height: int, hand: Hand) -> tuple[Any, Flags, int]:
    """A line: how much ink, float (h, w) in [0, 1], its box, and the height of its capitals."""
    from PIL import Image, ImageDraw, ImageFont

    angle = float(rng.uniform(-hand.tilt, hand.tilt))
    words = ["".join(rng.choice(list(_LETTERS), int(rng.integers(3, 8)))) for _ in range(int(rng.integers(1, 4)))]
    size = height / 0.72  # capitals take that share of it
    file = hand.fonts[int(rng.integers(len(hand.fonts)))] if hand.fonts else None
    font = ImageFont.load_default(size) if file is None else ImageFont.truetype(str(file), size)
    left, top, right, bottom = (round(side) for side in font.getbbox(" ".join(words)))
    ink, box = (Image.new("L", (right - left + 2, bottom - top + 2), shade) for shade in (0, 255))
    ImageDraw.Draw(ink).text((1 - left, 1 - top), " ".join(words), 255, font)
    turned = [np.asarray(one.rotate(angle, Image.Resampling.BICUBIC, expand=True), np.float32) for one in (ink, box)]
    return turned[0] / 255, turned[1] > 127, height


def _by(rows: Sequence[Row], key: str) -> list[list[Row]]:
    return [[row for row in rows if row[key] == value] for value in dict.fromkeys(row[key] for row in rows)]


def _summed(rows: Sequence[Row]) -> Row:
    """Means over photographs, of precision over those where anything was found."""
    lines = [line for row in rows for line in row["lines"]]
    return {
        "method": rows[0]["method"], "photos": len(rows), "lines": len(lines),
        "lines_found_percent": percent([line["covered"] >= COVERED for line in lines]),
        "iou": mean([row["iou"] for row in rows if row["iou"] is not None]),
        "precision": mean([row["precision"] for row in rows if row["precision"] is not None]),
        "recall": mean([row["recall"] for row in rows if row["recall"] is not None]),
        "without_text_found_percent": percent([row["alarm"] for row in rows]),
        "area_there_percent": 100 * (mean([row["alarm_area"] for row in rows]) or 0.0),
    }  # fmt: skip


def _lines(rows: Sequence[Row], title: str, low: int, high: int) -> Row:
    lines = [line for row in rows for line in row["lines"] if low <= line["height"] < high]
    faint = [line for line in lines if line["contrast"] < FAINT]
    strong = [line for line in lines if line not in faint]
    return {
        "method": rows[0]["method"], "capitals_in_pixels": title, "lines": len(lines),
        "found_percent": percent([line["covered"] >= COVERED for line in lines]),
        "faint_found_percent": percent([line["covered"] >= COVERED for line in faint]),
        "strong_found_percent": percent([line["covered"] >= COVERED for line in strong]),
    }  # fmt: skip
