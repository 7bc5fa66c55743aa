"""HTML that escapes by construction: every string is text unless this module made it.

Names of files, EXIF fields and instructions come from strangers. No section of the report can forget to escape them.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from typing import TypeAlias

LONGEST_TEXT = 600
"""Characters after which one string is cut: a page is for reading, and its size has a bound."""

_VOID = frozenset({"meta", "img", "input", "link", "br", "hr"})


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Iterable[Child] | None"


def element(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One HTML element with escaped attributes and children.

    Children are nested as given; None is left out. In attribute names a trailing underscore is dropped (class_) and
    the others become hyphens (aria_label). True writes a bare attribute, False and None write nothing.
    """
    head = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{head}>") if tag in _VOID else Markup(f"<{head}>{joined(children)}</{tag}>")


def joined(children: Child) -> Markup:
    """Children one after another."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int | float):
        return Markup(html.escape(readable(str(children))))
    return Markup("".join(joined(child) for child in children))


def readable(text: str) -> str:
    """Text that shows what it says: control characters, direction overrides and broken bytes become "\ufffd"."""
    kept = "".join("\ufffd" if _deceives(c) else c for c in text)
    return kept if len(kept) <= LONGEST_TEXT else kept[:LONGEST_TEXT] + "…"


_DIRECTIONS = frozenset(chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that reorder what follows: "gpj.exe" can be made to look like "exe.jpg"."""


def _deceives(char: str) -> bool:
    if char in _DIRECTIONS:
        return True
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs")  # Cs: bytes of a name that is no UTF-8


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    key = name.rstrip("_").replace("_", "-")
    # A data: URI is written by this package and is longer than any text may be.
    text = value if isinstance(value, Markup) else readable(str(value))
    return f" {key}" if value is True else f' {key}="{html.escape(text)}"'
