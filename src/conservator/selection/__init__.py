"""Which part of a photograph a phrase means: built-in words that need no model, and the place for sources that do."""

from conservator.selection.selecting import Selection, Selector, select
from conservator.selection.source import Found, MaskSource, Prompt

__all__ = ["Found", "MaskSource", "Prompt", "Selection", "Selector", "select"]
