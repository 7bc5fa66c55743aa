"""Sections to look at: the slider between before and after, and windows at full resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conservator.report import words
from conservator.report.canvas import Bytes, bounded, fitted
from conservator.report.details import Detail, details
from conservator.report.encode import jpegs
from conservator.report.layout import figure, section
from conservator.report.markup import Markup, element

if TYPE_CHECKING:
    from conservator.treatment import Treatment

_FRAME_BYTES = 900_000
_DETAIL_BYTES = 150_000


def previews(treatment: Treatment) -> tuple[Bytes, Bytes]:
    """Before and after, bounded and of one size; the same array twice when nothing was changed."""
    after = bounded(treatment.photo.samples)
    if treatment.unchanged:
        return after, after
    height, width = after.shape[:2]
    return fitted(bounded(treatment.original.samples), (height, width)), after


def comparison(treatment: Treatment, before: Bytes, after: Bytes, icc: bytes | None) -> Markup:
    """Before and after under one slider; side by side without scripts and on paper."""
    if treatment.unchanged:
        (source,) = jpegs([after], _FRAME_BYTES, icc)
        caption = "The photo comes back as it went in, to the bit."
        shown = figure(source, "The photo, unchanged", after, caption)
        return section("look", "The photo", element("div", shown, class_="frame"))
    sources = jpegs([before, after], _FRAME_BYTES, icc)
    sides = [
        element("div", figure(source, alt, after, name), class_=name.lower())
        for source, name, alt in zip(
            sources, ("Before", "After"), ("The photo before treatment", "The photo after treatment"), strict=True
        )
    ]
    handle = element("span", class_="handle", aria_hidden="true")
    pair = element("div", *sides, handle, class_="pair", id="pair")
    return section("look", "Before and after", element("div", pair, _control(), class_="frame", id="frame"))


def _control() -> Markup:
    """The slider itself, hidden until the script that moves it runs."""
    range_ = element("input", type="range", id="split", min="0", max="100", value="50", step="1",
                     aria_label="How much of the picture shows the photo before treatment")  # fmt: skip
    left, right = (element("span", text, aria_hidden="true") for text in ("Before", "After"))
    return element("div", left, range_, right, class_="control", id="control", hidden=True)


def closeups(treatment: Treatment, icc: bytes | None) -> Markup | None:
    """Windows at full resolution where local damage is worst; None when there is nothing they would show."""
    if treatment.unchanged:
        return None
    found = details(treatment.original.samples, treatment.photo.samples, treatment.diagnosis)
    if not found:
        return None
    lead = "Noise, blur and compression blocks vanish when a photo is shrunk to fit a page. These places are not."
    return section("details", "At full size", element("p", lead, class_="lead"), [_closeup(d, icc) for d in found])


def _closeup(detail: Detail, icc: bytes | None) -> Markup:
    y0, x0, y1, x1 = detail.box
    place = f"{words.title(detail.kind)} at x {x0} to {x1}, y {y0} to {y1}"
    sources = jpegs([detail.before, detail.after], _DETAIL_BYTES, icc)
    pair = [
        figure(source, f"{place}, {name.lower()} treatment", detail.after, name)
        for source, name in zip(sources, ("Before", "After"), strict=True)
    ]
    return element("div", element("h3", place), element("div", pair, class_="closeup"))
