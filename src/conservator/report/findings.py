"""Sections on what was found: damage in physical units, where it is, and region by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conservator.degradations import BY_NAME
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Mask
from conservator.regions import Region
from conservator.report import words
from conservator.report.canvas import Bytes
from conservator.report.colours import RAMP
from conservator.report.encode import jpegs
from conservator.report.layout import bar, figure, percent, section, swatch, table
from conservator.report.markup import Child, Markup, element
from conservator.report.overlay import overlay, region_shade
from conservator.report.pictures import heatmap

_HEAT_SIDE = 560
_HEAT_BYTES = 48_000
_OVERLAY_BYTES = 600_000


@dataclass(frozen=True)
class Finding:
    """One degradation in one state of the photo; severities in [0, 1], share of the frame that has any."""

    typical: float
    worst: float
    share: float

    @classmethod
    def of(cls, cells: Mask) -> Finding | None:
        """From the severity on the cell grid; None when there is nothing to treat."""
        ailing = cells[cells > 0]
        if not ailing.size:
            return None
        return cls(float(np.median(ailing)), float(ailing.max()), ailing.size / cells.size)


def found(before: Diagnosis, after: Diagnosis, preview: Bytes, icc: bytes | None) -> Markup:
    """Table of damage before and after, with a map of each kind; says so when there is none."""
    if before.clean:
        return section("found", "What was found", element("p", "Nothing that a viewer would notice."))
    rows = [_row(name, before, after) for name in before.degradations]
    rows += [_row(name, before, after) for name in after.degradations if name not in before.degradations]
    maps = [_heat(name, before, preview, icc) for name in before.degradations]
    return section(
        "found",
        "What was found",
        element("p", "Typical values where the damage is, and the worst place. They are estimates.", class_="lead"),
        table("Damage before and after treatment", ("Damage", "Before", "After"), rows),
        element("h3", "Where it is"),
        _legend(),
        element("div", *maps, class_="maps"),
    )


def regions(diagnosis: Diagnosis, preview: Bytes, icc: bytes | None) -> Markup | None:
    """The photo with its regions drawn in, and a table of what ails each; None without regions."""
    if not diagnosis.regions:
        return None
    picture = overlay(preview, diagnosis.regions)
    (source,) = jpegs([picture], _OVERLAY_BYTES, icc)
    alt = "The photo before treatment with its regions outlined; the table below says the same."
    rows = [_region_row(i, region) for i, region in enumerate(diagnosis.regions)]
    return section(
        "regions",
        "Region by region",
        element("div", figure(source, alt, picture), class_="fitting"),
        table("Regions and what ails them", ("Region", "Share of frame", "What ails it"), rows),
    )


def _row(name: str, before: Diagnosis, after: Diagnosis) -> Sequence[Child]:
    first, last = Finding.of(before.cells(name)), Finding.of(after.cells(name))
    share = element("span", f"{percent(first.share)} of the frame", class_="quiet") if first else None
    return [element("span", words.title(name), class_="kind"), share], _state(name, first), _state(name, last)


def _state(name: str, finding: Finding | None) -> Markup:
    if finding is None:
        return element("span", "not noticeable", class_="quiet")
    worst = element("span", f"worst {words.amount(name, finding.worst)}", class_="quiet")
    return element("div", words.amount(name, finding.typical), bar(finding.typical), worst)


def _heat(name: str, diagnosis: Diagnosis, preview: Bytes, icc: bytes | None) -> Markup:
    picture = heatmap(diagnosis.cells(name), preview, _HEAT_SIDE)
    (source,) = jpegs([picture], _HEAT_BYTES, icc)
    worst = words.amount(name, float(diagnosis.cells(name).max()))
    caption = f"{words.title(name)}, worst {worst}"
    return figure(source, f"Map of {words.lower(name)} over the photo", picture, caption)


def _legend() -> Markup:
    stops = [_stop(i) for i in range(0, 256, 17)]
    gradient = element("linearGradient", *stops, id="heat")
    strip = element("rect", width="100", height="8", rx="1", fill="url(#heat)")
    drawing = element("svg", element("defs", gradient), strip, viewBox="0 0 100 8", preserveAspectRatio="none",
                      aria_hidden="true")  # fmt: skip
    text = "Severity from 0 (nothing to treat, dark) to 1 (as bad as the scale goes, pale yellow)."
    return element("div", drawing, element("p", text), class_="legend")


def _stop(level: int) -> Markup:
    red, green, blue = (int(c) for c in RAMP[level])
    return element("stop", offset=f"{level / 255:.3f}", stop_color=f"#{red:02x}{green:02x}{blue:02x}")


def _region_row(index: int, region: Region) -> Sequence[Child]:
    shade = region_shade(index, region)
    name = element("span", swatch(shade), element("bdi", region.id), class_="kind")
    source = element("span", f"drawn by {region.source}", class_="quiet")
    ailing = [_ailment(kind, region.severities[kind]) for kind in words.worst_first(region.severities)]
    what = element("ul", *ailing, class_="ailments") if ailing else element("span", "nothing: clean", class_="quiet")
    return element("div", name, source), percent(region.area), what


def _ailment(name: str, severity: float) -> Markup:
    unit = BY_NAME[name].unit
    return element("li", f"{words.title(name)} ", element("b", words.amount(name, severity)), bar(severity), title=unit)
