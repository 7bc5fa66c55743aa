"""Clean photographs in, damaged ones with truth maps out; deterministic by seed."""

from conservator.synthesis.damage import Damage, apply
from conservator.synthesis.mixtures import COMBINATIONS, Sample, degrade, draw_global, draw_preset, draw_spatial

__all__ = ["COMBINATIONS", "Damage", "Sample", "apply", "degrade", "draw_global", "draw_preset", "draw_spatial"]
