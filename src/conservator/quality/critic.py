"""Critics: is the photograph better after a step than before it, and how sure is that?

Whoever predicts quality fits in here: a critic sees a state before and after and says what the step was worth. The
embedded one looks at both with the perceiver. No critic has the last word: the guard (`quality.guard`) is asked too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import INDEX, JPEG, NOISE
from conservator.diagnosis import Diagnosis
from conservator.pixels.types import Maps, Samples
from conservator.quality.residue import patterned

LEAST_GAIN = 0.15
"""Share of the perceived severity that a step must remove; less is inside what a second look varies by."""


class View(NamedTuple):
    """A photograph, or a part of it, as a critic sees it: uint16 (H, W, 3) and what is wrong with it."""

    samples: Samples
    diagnosis: Diagnosis


@dataclass(frozen=True)
class Opinion:
    """What a critic thinks of a step.

    gain       improvement per cell and kind that the step was to treat; one unit for all steps of one critic
    deviation  standard deviation of the gain: one that lies inside it may as well be none
    says       the same in words, for when the step is refused
    """

    gain: float
    deviation: float
    says: str

    @property
    def sure(self) -> bool:
        """Whether the gain is beyond its own uncertainty."""
        return self.gain > self.deviation


class Critic(Protocol):
    """Compares two states of a photograph."""

    def __call__(self, before: View, after: View, asked: Maps) -> Opinion:
        """Judge a step that was asked to treat `asked`, float32 (D, h, w)."""
        ...


def severity_fall(before: View, after: View, asked: Maps) -> Opinion:
    """The embedded critic: how much of the perceived severity a second look no longer finds, in severity.

    What went as noise and has a pattern was none: of that nothing is gained, whatever the second look says.
    """
    if patterned(before.samples, after.samples, _grainy(asked)) > 0.5:
        return Opinion(0.0, 0.0, "what went away has a pattern, and noise has none")
    then, now = (severity_left(view.diagnosis, asked) for view in (before, after))
    share = 1 - now / then if then > 0 else 0.0
    return Opinion(then - now, LEAST_GAIN * then, f"only {share:.0%} of the damage went away")


def _grainy(asked: Maps) -> NDArray[np.bool_]:
    """Cells of which only grain should be taken: noise, compressed or not. Streaks of rain come again, too."""
    others = np.delete(asked, [INDEX[NOISE.name], INDEX[JPEG.name]], axis=0)
    return np.asarray((asked[INDEX[NOISE.name]] > 0) & ~others.any(axis=0))


def severity_left(diagnosis: Diagnosis, asked: Maps) -> float:
    """Mean expected severity (presence × severity) over the cells and kinds that were to be treated."""
    expected = diagnosis.presence * diagnosis.raw
    return float(expected[asked > 0].mean()) if (asked > 0).any() else 0.0
