"""The treatment report: one HTML file that needs no network, for people who must decide whether to trust a picture.

Everything is inside: pictures, style and script. The page's own policy lets nothing else run or load, and every string
that came from a file is escaped by construction (see `markup`).
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from conservator.errors import OutputError
from conservator.files import write_atomically
from conservator.report import story, words
from conservator.report.canvas import Bytes
from conservator.report.doing import done
from conservator.report.encode import preview_profile
from conservator.report.findings import found, regions
from conservator.report.layout import facts, percent
from conservator.report.markup import Markup, element
from conservator.report.provenance import file_name, notes, provenance, untouched_share
from conservator.report.seeing import closeups, comparison, previews
from conservator.report.story import End

if TYPE_CHECKING:
    from conservator.treatment import Treatment

_SUFFIXES = (".html", ".htm")


def write_report(treatment: Treatment, path: str | Path, overwrite: bool = False) -> Path:
    """Write the report of a treatment as one self-contained HTML file of less than 6 MB, whole or not at all.

    Raises OutputError when the name is not that of an HTML file, names the input, exists (without `overwrite`) or
    cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"a report named {path.name!r}", "a name that ends in .html", "choose another name")
    source = treatment.original.source
    data = render(treatment).encode("utf-8")
    write_atomically(path, data, overwrite=overwrite, protect=[source] if source else [])
    return path


def render(treatment: Treatment) -> str:
    """The report as text of an HTML document."""
    untouched = untouched_share(treatment.original.samples, treatment.photo.samples)
    name = file_name(treatment.original)
    before, after = previews(treatment)
    style, script = _shape(after) + _resource("report.css"), _resource("report.js")
    parts = (_header(treatment, name, untouched), _main(treatment, before, after, untouched), _footer(treatment))
    body = element("body", *parts, element("script", Markup(script)))
    return "<!doctype html>\n" + element("html", _head(name, style, script), body, lang="en") + "\n"


def _main(treatment: Treatment, before: Bytes, after: Bytes, untouched: float | None) -> Markup:
    icc = preview_profile(treatment.original)
    return element(
        "main",
        comparison(treatment, before, after, icc),
        closeups(treatment, icc),
        found(treatment.diagnosis, treatment.after, before, icc),
        regions(treatment.diagnosis, before, icc),
        done(treatment.record.to_dict()),
        notes(treatment, untouched),
        provenance(treatment),
    )


def _head(name: str, style: str, script: str) -> Markup:
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"Treatment report: {name}"),
        element("style", Markup(style)),
    )


def _header(treatment: Treatment, name: str, untouched: float | None) -> Markup:
    record = treatment.record.to_dict()
    ends = [attempt.end for attempt in story.attempts(record["events"])]
    return element(
        "header",
        element("p", "Conservator treatment report", class_="brand"),
        element("h1", element("bdi", name)),
        element("p", _summary(treatment, ends), class_="summary"),
        facts(
            [
                ("Perceived damage", _damage(treatment)),
                ("Steps", words.listed([f"{n} {e.lower()}" for e in End if (n := ends.count(e))]) or "none"),
                ("Untouched pixels", None if untouched is None else percent(untouched)),
                ("Time", f"{record['budget']['seconds']:.1f} s"),
            ]
        ),
    )


def _summary(treatment: Treatment, ends: list[End]) -> str:
    kinds = words.listed([words.lower(kind) for kind in treatment.diagnosis.degradations])
    if not kinds and not treatment.unchanged:
        return f"Nothing was found that a viewer would notice. {_made(treatment)}"
    if not kinds:
        return "Nothing was found that a viewer would notice. The photo comes back as it was, to the bit."
    if treatment.unchanged:
        what = "every attempt was taken back or failed" if ends else "no step was taken"
        return f"Found: {kinds}. The photo comes back as it was, to the bit: {what}."
    return f"Found: {kinds}. {_made(treatment)}"


def _made(treatment: Treatment) -> str:
    plan = treatment.record.to_dict()["plan"]
    treated = words.listed([words.lower(k) for k in dict.fromkeys(k for step in plan for k in step["treats"])])
    (height, width), (was, _) = treatment.photo.size, treatment.original.size
    return f"Treated: {treated}." + ("" if height == was else f" Enlarged to {width} × {height} pixels.")


def _damage(treatment: Treatment) -> str:
    before, after = treatment.diagnosis.damage(), treatment.after.damage()
    return f"{before:.2f}" if treatment.unchanged else f"{before:.2f} before, {after:.2f} after"


def _footer(treatment: Treatment) -> Markup:
    version = treatment.record.to_dict()["versions"].get("conservator", "")
    return element("footer", element("p", f"Made by Conservator {version}. The original file was not changed."))


def _shape(picture: Bytes) -> str:
    """Style variables by which upright pictures fit a screen and tiny ones are not blown up."""
    height, width = picture.shape[:2]
    return f":root {{ --aspect: {width / height:.4f}; --width: {width}; }}\n"


def _resource(name: str) -> str:
    return resources.files("conservator.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}"
