"""Which part of a photograph a phrase means: built-in words that need no model, and the place for sources that do."""

from conservator.selection.named import source_named
from conservator.selection.outlines import Outlined, outlined
from conservator.selection.selecting import Selection, Selector, select
from conservator.selection.source import Found, MaskSource, Prompt
from conservator.selection.vocabulary import VOCABULARY

__all__ = [
    "VOCABULARY",
    "Found",
    "MaskSource",
    "Outlined",
    "Prompt",
    "Selection",
    "Selector",
    "outlined",
    "select",
    "source_named",
]
