"""The terms of a treatment: what the caller asked for, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conservator.pixels.types import Mask
from conservator.wishes import Wishes


@dataclass
class Budget:
    """What a run may spend.

    max_calls    most tool calls; None is no limit
    max_seconds  no step starts after this many seconds; None is no limit
    calls        tool calls so far
    looks_ahead  steps tried on proxies so far; they count towards the seconds only
    """

    max_calls: int | None = None
    max_seconds: float | None = None
    calls: int = 0
    looks_ahead: int = 0

    def spent(self, elapsed: float) -> str | None:
        """Why no further step may start, or None."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls={self.max_calls} used up"
        if self.max_seconds is not None and elapsed >= self.max_seconds:
            return f"max_seconds={self.max_seconds:g} used up"
        return None


@dataclass(frozen=True, eq=False)
class Limits:
    """What the caller asked for.

    strength  multiplies every severity
    wishes    the instruction, parsed
    mask      float32 (H, W): 1 treat, 0 protect; None is everywhere
    tile      side of the engine's tiles in px
    places    masks like it, by the names under which steps have them as their regions
    """

    strength: float = 1.0
    wishes: Wishes = field(default_factory=Wishes)
    mask: Mask | None = None
    tile: int = 512
    places: Mapping[str, Mask] = field(default_factory=dict)
