"""Conservator restores and enhances photographs region by region.

import conservator

treatment = conservator.restore("street.jpg")
treatment.save("street.restored.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conservator.diagnosis import Diagnosis
    from conservator.errors import (
        BudgetExceeded,
        ConservatorError,
        InputError,
        ModelMissing,
        OutputError,
        ToolDefinitionError,
        ToolFailed,
        UsageError,
    )
    from conservator.folders.batch import batch
    from conservator.memory import Memory
    from conservator.photo import Photo, open_photo
    from conservator.record import Record
    from conservator.selection import select
    from conservator.tools.added import add_tool, remove_tool
    from conservator.treatment import Treatment, diagnose, replay, restore, treat

__version__ = "0.1.0"

_HOME = {
    "Diagnosis": "diagnosis",
    "Memory": "memory",
    "Photo": "photo",
    "open_photo": "photo",
    "Record": "record",
    "batch": "folders.batch",
    "select": "selection",
    **dict.fromkeys(("add_tool", "remove_tool"), "tools.added"),
    **dict.fromkeys(("Treatment", "diagnose", "replay", "restore", "treat"), "treatment"),
    **dict.fromkeys(
        ("BudgetExceeded", "ConservatorError", "InputError", "ModelMissing", "OutputError", "ToolDefinitionError",
         "ToolFailed", "UsageError"),
        "errors",
    ),
}  # fmt: skip

__all__ = [
    "BudgetExceeded",
    "ConservatorError",
    "Diagnosis",
    "InputError",
    "Memory",
    "ModelMissing",
    "OutputError",
    "Photo",
    "Record",
    "ToolDefinitionError",
    "ToolFailed",
    "Treatment",
    "UsageError",
    "add_tool",
    "batch",
    "diagnose",
    "open_photo",
    "remove_tool",
    "replay",
    "restore",
    "select",
    "treat",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import conservator` alone stays instant."""
    if name not in _HOME:
        raise AttributeError(f"module 'conservator' has no attribute {name!r}")
    return getattr(importlib.import_module(f"conservator.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
