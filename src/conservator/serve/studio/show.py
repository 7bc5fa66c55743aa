"""What the page shows of a desk, as HTML that escapes by construction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from conservator.errors import ConservatorError
from conservator.regions import WHOLE
from conservator.report import words
from conservator.report.colours import CLEAN, region_colour
from conservator.report.layout import percent, swatch
from conservator.report.markup import Child, Markup, element
from conservator.report.story import Attempt, End
from conservator.serve.studio.desk import Desk
from conservator.serve.studio.draft import Line
from conservator.serve.studio.history import Version

FILES = "/studio/jobs"
"""Where the files of jobs are, see `mount.py`."""

EVERY = -1
"""Key of the whole plan where lines have keys from 0 on."""

_PLANNED = "planned"
_SPLIT = "this.parentElement.style.setProperty('--at', this.value + '%')"


def heading() -> Markup:
    """The top of the page."""
    lead = "Finds what is wrong with a photograph and where, and treats only that. Nothing leaves this server."
    return element("header", element("h1", "Conservator Studio"), element("p", lead, class_="quiet"))


def title(text: str) -> Markup:
    """Of a part of the page."""
    return element("h2", text)


def quiet(text: str) -> Markup:
    """Something said in passing."""
    return element("p", text, class_="quiet")


def empty(text: str) -> Markup:
    """Where there is nothing to show yet."""
    return element("p", text, class_="empty quiet")


def legend(treat: str, protect: str) -> Markup:
    """What the two colours of the brush mean."""
    marks = ((treat, "Blue: treat this and nothing else."), (protect, "Orange: leave this alone."))
    items = [
        element("li", swatch((int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16))), " ", text) for c, text in marks
    ]
    return element("ul", *items, class_="regions")


def mask_note(desk: Desk) -> Markup:
    """Whether there is a mask for what masks are painted for."""
    draft, index = desk.draft, desk.draft.index(desk.target)
    if draft.painted(desk.target)[0] is not None:
        return quiet("A mask is in use. New strokes or a new file replace it.")
    if index is None:
        return quiet("No mask: whatever is found is treated.")
    return quiet(f"No mask of its own: step {index + 1} works {draft.lines[index].where}.")


def targets(desk: Desk) -> list[tuple[str, int]]:
    """(label, key) of all that can have a mask: the whole plan, and each line."""
    lines = [(f"Step {number}: {line.step.tool}", line.key) for number, line in enumerate(desk.draft.lines, 1)]
    return [("Every step", EVERY), *lines]


def places(desk: Desk, line: Line) -> list[tuple[str, str]]:
    """(label, value) of where a line of the plan may be kept to; the first is the value of `placed`."""
    own = [(line.where[:1].upper() + line.where[1:], placed(line))] if placed(line) else []
    regions: list[dict[str, Any]] = []
    with suppress(ConservatorError):  # no photograph yet, or the server has forgotten it
        regions = desk.found["regions"]
    found = [(_kept_to(region), region["id"]) for region in regions if region["id"] != placed(line)]
    return [*own, ("Wherever it is found", ""), *found]


def placed(line: Line) -> str:
    """The value of where a line is kept to."""
    return line.place.label if line.place is not None else "" if line.step.regions == (WHOLE,) else _PLANNED


def message(text: str) -> Markup:
    """Something worth knowing."""
    return element("p", text, class_="told", role="status")


def problem(error: ConservatorError) -> Markup:
    """What was found, what was wanted and what to do."""
    parts: list[Child] = [element("b", f"{_sentence(error.got)} ")]
    parts += [f"Wanted: {_sentence(error.wanted)} "] if error.wanted else []
    parts += [_sentence(error.fix[:1].upper() + error.fix[1:])] if error.fix else []
    return element("p", *parts, class_="told wrong", role="alert")


def progress(attempts: Iterable[Attempt], tile: Mapping[str, Any] | None) -> Markup:
    """Every step that was begun, and how far the one at work is."""
    told = list(attempts)
    last = len(told) - 1
    items = [_step(one, tile if number == last else None) for number, one in enumerate(told)]
    return element("ol", *items, class_="steps") if items else Markup("")


def outcome(desk: Desk) -> Markup:
    """What a run made, and what of it had been computed before; at first, what was found."""
    version = desk.current
    if version.parent is None:
        kinds = words.listed([words.lower(kind) for kind in desk.found["degradations"]])
        found = f"Found: {kinds}. Now press Restore" if kinds else "Nothing was found that a viewer would notice"
        return message(f"This is the photograph as it came. {found}.")
    kept, reused = len(version.kept), version.reused
    counts = [f"{n} {what}" for n, what in ((reused, "reused"), (kept - reused, "computed")) if n]
    again = f" ({', '.join(counts)})" if counts else ""
    same = " The picture is the same to the bit." if version.facts.get("unchanged") else ""
    left = [words.lower(left["degradation"]) for left in version.facts.get("cannot_treat", ())]
    alone = f" Found and left alone: {words.listed(left)}." if left else ""
    return message(f"Version {version.number}: {kept} step{'' if kept == 1 else 's'}{again}.{same}{alone}")


def compare(desk: Desk) -> Markup:
    """The photograph as it came and as it is now, under one slider that arrow keys move, too."""
    first, now = desk.found["size"], desk.current
    before = _picture(_first(desk), "before", f"{desk.name} before treatment", first)
    if now.parent is None:
        return element("div", before, class_="pair alone")
    after = _picture(now, "after", f"{desk.name} in version {now.number}", first)
    range_ = element(
        "input", type="range", min="0", max="100", value="50", oninput=_SPLIT,
        aria_label="How much of the picture shows the photograph before treatment",
    )  # fmt: skip
    tags = [element("span", text, class_=f"tag {text.lower()}", aria_hidden="true") for text in ("Before", "After")]
    top = element("div", before, class_="top")
    return element("div", after, top, *tags, range_, class_="pair")


def regions(desk: Desk) -> Markup:
    """The photograph with its regions drawn in, and a list of what ails each."""
    found = desk.found
    alt = "Regions drawn over the photograph; the list says the same"
    picture = _picture(_first(desk), "regions", alt, found["size"])
    items = [_region(number, region) for number, region in enumerate(found["regions"])]
    return element("div", picture, element("ul", *items, class_="regions"))


def maps(desk: Desk) -> Markup:
    """A map of each kind of damage, before and after."""
    found, left = desk.found["degradations"], desk.current.facts.get("left", {})
    if not found and not left:
        return message("Nothing was found that a viewer would notice.")
    size = desk.found["size"]
    pairs = []
    for kind in dict.fromkeys([*found, *left]):
        sides = [_map(_first(desk), "found", kind, "found", found.get(kind), size)]
        if desk.current.parent is not None:
            sides.append(_map(desk.current, "left", kind, "left", left.get(kind), size))
        pairs.append(element("div", element("h3", words.title(kind)), element("div", *sides, class_="sides")))
    note = "Dark is nothing to treat, pale yellow as bad as the scale goes."
    return element("div", quiet(note), element("div", *pairs, class_="maps"))


def downloads(desk: Desk) -> Markup:
    """Links to the files of the current version."""
    now = desk.current
    if now.parent is None:
        return quiet("Restore the photograph first.")
    stem, kind = Path(desk.name).stem, now.facts["container"]
    suffix = {"jpeg": "jpg", "tiff": "tif"}.get(kind, kind)
    files = [
        ("Picture", "result", f"{stem}.restored.{suffix}"),
        ("Record", "record", f"{stem}.restored.record.json"),
        ("Report", "report", f"{stem}.restored.html"),
    ]
    files += [("Mask", "mask", f"{stem}.mask.png")] if now.draft.mask is not None else []
    names = {line.place.name: number for number, line in enumerate(now.draft.lines, 1) if line.on and line.place}
    files += [(f"Mask of step {number}", f"place-{name}", f"{stem}.{name}.png") for name, number in names.items()]
    links = [element("a", what, href=f"{FILES}/{now.job}/{name}", download=file) for what, name, file in files]
    return element("p", *links, class_="downloads")


def edits(desk: Desk) -> Markup:
    """What was edited and not yet run."""
    said = desk.edited
    return message(f"Edited, not run yet: {', '.join(said)}.") if said else Markup("")


def about(attempt: Attempt | None, treats: Iterable[str]) -> str:
    """What a line of the plan treats, and what became of it in the version that is looked at."""
    kinds = words.listed([words.lower(kind) for kind in treats])
    return kinds if attempt is None else f"{kinds}; {_end(attempt)}"


def choices(desk: Desk) -> list[tuple[str, int]]:
    """(label, number) of every version, each behind the one it was made from; where a branch begins, that is said."""
    told = list(desk.history.tree()) if desk.history is not None else []
    return [
        (f"{now.number} · {now.title}{'' if now.parent is last else _from(now)}", now.number)
        for last, now in zip([None, *told], told, strict=False)
    ]


def _from(version: Version) -> str:
    return f" (from version {version.parent.number})" if version.parent is not None else ""


def _first(desk: Desk) -> Version:
    assert desk.history is not None
    return desk.history.versions[0]


def _picture(version: Version, name: str, alt: str, size: Iterable[int]) -> Markup:
    height, width = size
    return element("img", src=f"{FILES}/{version.job}/{name}", alt=alt, width=width, height=height)


def _map(version: Version, stem: str, kind: str, when: str, finding: Mapping[str, Any] | None, size: Any) -> Markup:
    if finding is None:
        return element("figure", element("p", "nothing " + when, class_="none"))
    says = f"{when}: worst {words.amount(kind, finding['worst_severity'])}, in {percent(finding['share_of_frame'])}"
    alt = f"Map of {words.lower(kind)} {when}"
    return element("figure", _picture(version, f"{stem}-{kind}", alt, size), element("figcaption", says))


def _region(number: int, region: Mapping[str, Any]) -> Markup:
    ails = region["severities"]
    said = [f"{words.lower(kind)} {words.amount(kind, ails[kind])}" for kind in words.worst_first(ails)]
    shade = region_colour(number) if ails else CLEAN
    return element(
        "li", swatch(shade), " ", element("b", region["id"]), f" ({percent(region['area'])} of the frame): ",
        ", ".join(said) or "clean",
    )  # fmt: skip


def _kept_to(region: Mapping[str, Any]) -> str:
    ails = words.listed([words.lower(kind) for kind in words.worst_first(region["severities"])])
    return f"Only in {region['id']}: {ails or 'clean'}, {percent(region['area'])} of the frame"


def _step(attempt: Attempt, tile: Mapping[str, Any] | None) -> Markup:
    kinds = words.listed([words.lower(kind) for kind in attempt.treats])
    return element("li", element("b", attempt.tool), f" ({kinds}): ", *_state(attempt, tile))


def _state(attempt: Attempt, tile: Mapping[str, Any] | None) -> Iterator[Child]:
    if attempt.end is not End.OPEN or attempt.before is not None:
        yield _end(attempt)
    elif tile is not None and tile["tool"] == attempt.tool and tile["total"]:
        done = tile["done"] / tile["total"]
        yield f"{done:.0%} ", element("progress", max=1, value=round(done, 3), aria_hidden="true")
    else:
        yield "at work"


def _end(attempt: Attempt) -> str:
    again = "reused" if attempt.reused else "computed"
    match attempt.end:
        case End.KEPT:
            return f"{again}, but the guard doubts it: {'; '.join(attempt.doubts)}" if attempt.doubts else again
        case End.TAKEN_BACK:
            return f"taken back: {attempt.why}"
        case End.FAILED:
            return f"failed: {attempt.why}"
        case End.OPEN:
            return again


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
