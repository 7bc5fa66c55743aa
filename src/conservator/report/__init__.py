"""What people look at: pictures of damage and treatment, and the self-contained HTML report."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conservator.report.html import render, write_report
    from conservator.report.pictures import compare, contact_sheet, heatmap, side_by_side

__all__ = ["compare", "contact_sheet", "heatmap", "render", "side_by_side", "write_report"]

_HOME = {"render": "html", "write_report": "html"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a picture should not have to load every tool."""
    if name not in __all__:
        raise AttributeError(f"module 'conservator.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"conservator.report.{_HOME.get(name, 'pictures')}"), name)
