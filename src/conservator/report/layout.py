"""Building blocks of the page: sections, tables that scroll on their own, figures, bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conservator.report.canvas import Bytes, Colour
from conservator.report.markup import Child, Markup, element


def section(anchor: str, heading: str, *children: Child) -> Markup:
    """A section with a heading that names it."""
    title = element("h2", heading, id=f"{anchor}-title")
    return element("section", title, *children, id=anchor, aria_labelledby=f"{anchor}-title")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table whose first column heads the rows; on narrow screens it scrolls without the page, by keyboard too."""
    top = element("thead", element("tr", *(element("th", name, scope="col") for name in head)))
    body = element("tbody", *(_table_row(row) for row in rows))
    inner = element("table", element("caption", caption, class_="hidden"), top, body)
    return element("div", inner, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _table_row(row: Sequence[Child]) -> Markup:
    first, *rest = row
    return element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))


def figure(source: Markup, alt: str, picture: Bytes, caption: Child = None) -> Markup:
    """An image with the size it has, so that nothing jumps while the page loads."""
    height, width = picture.shape[:2]
    image = element("img", src=source, alt=alt, width=width, height=height)
    return element("figure", image, element("figcaption", caption) if caption is not None else None)


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Name and value pairs; pairs without a value are left out."""
    rows = (element("div", element("dt", name), element("dd", value)) for name, value in pairs if value is not None)
    return element("dl", *rows, class_="facts")


def bar(share: float) -> Markup:
    """A share in [0, 1] as a thin bar; the number beside it says the same to those who cannot see it."""
    length = round(100.0 * min(1.0, max(0.0, share)), 1)
    track = element("rect", width="100", height="4", rx="2", class_="track")
    filled = element("rect", width=length, height="4", rx="2", class_="filled")
    return element("svg", track, filled, viewBox="0 0 100 4", preserveAspectRatio="none", class_="bar",
                   aria_hidden="true")  # fmt: skip


def swatch(colour: Colour) -> Markup:
    """A small square in a region's colour."""
    fill = "#{:02x}{:02x}{:02x}".format(*colour)
    square = element("rect", x="0.5", y="0.5", width="11", height="11", rx="3", fill=fill, class_="edge")
    return element("svg", square, viewBox="0 0 12 12", class_="swatch", aria_hidden="true")


def code(text: str) -> Markup:
    """A hash or a name for machines, which may break anywhere."""
    return element("code", text)


def percent(share: float) -> str:
    """A share in words that never round a remainder away: "under 1%", "over 99%"."""
    if 0.0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1.0 else f"{share:.0%}"
