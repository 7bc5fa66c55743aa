"""What a step did, or would do, and versions to return to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conservator.degradations import BY_NAME, Sight
from conservator.diagnosis import Diagnosis
from conservator.errors import ConservatorError
from conservator.pixels.types import Maps, Samples
from conservator.plan import Step
from conservator.quality.critic import Critic, Opinion, View, severity_left
from conservator.quality.guard import Verdict

NO_OPINION = Opinion(0.0, 0.0, "nothing was treated")


@dataclass(frozen=True, eq=False)
class State:
    """A version of the photo to return to, and the steps that led there."""

    samples: Samples
    key: str
    diagnosis: Diagnosis
    steps: tuple[Step, ...]


class Judgement(NamedTuple):
    """What was seen of a step on one picture.

    weight   cells it was to treat there, summed over kinds
    before   severity of these, mean
    after    the same, seen again afterwards
    opinion  of the critic
    """

    weight: int
    before: float
    after: float
    opinion: Opinion

    @classmethod
    def of(cls, before: View, after: View, asked: Maps, critic: Critic) -> Judgement:
        """Of a step that was asked to treat `asked`, float32 (D, h, w)."""
        left = severity_left(before.diagnosis, asked), severity_left(after.diagnosis, asked)
        return cls(int(np.count_nonzero(asked)), *left, critic(before, after, asked))


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step did to the photo, or to proxies of it.

    step     as asked for
    before   severity of what it treats, mean over the cells it was to treat
    after    the same, seen again afterwards
    opinion  of the critic
    extent   cells it was to treat, as a share of the frame, summed over kinds
    verdict  of the fidelity guard; None on proxies, which are too small for it
    failed   the tool's error, or None
    """

    step: Step
    before: float = 0.0
    after: float = 0.0
    opinion: Opinion = NO_OPINION
    extent: float = 0.0
    verdict: Verdict | None = None
    failed: ConservatorError | None = None

    @classmethod
    def of(cls, step: Step, asked: Maps, seen: Sequence[Judgement], verdict: Verdict | None = None) -> Outcome:
        """From all pictures that were looked at; `asked`, float32 (D, h, w), is what the step was to treat."""
        extent = float(np.count_nonzero(asked) / asked[0].size)
        if not any(judgement.weight for judgement in seen):
            return cls(step, extent=extent, verdict=verdict)
        figures = [(j.before, j.after, j.opinion.gain, j.opinion.deviation) for j in seen]
        before, after, gain, deviation = np.average(figures, axis=0, weights=[j.weight for j in seen]).tolist()
        opinion = Opinion(gain, deviation, seen[0].opinion.says)
        return cls(step, before, after, opinion, extent, verdict)

    @property
    def gain(self) -> float:
        """Share of the severity that is gone, ≤ 1; negative when it grew."""
        return 1.0 - self.after / self.before if self.before > 0 else 0.0

    @property
    def worth(self) -> float:
        """What the critic sees gained over the whole frame; comparable between steps on one photo."""
        return self.opinion.gain * self.extent

    @property
    def objection(self) -> str | None:
        """Why the step should not stay: the tool's error, the guard's reasons, or a gain the critic is not sure of."""
        if self.failed is not None:
            return str(self.failed)
        if self.verdict is not None and not self.verdict.ok:
            return "; ".join(self.verdict.reasons)
        if all(BY_NAME[kind].sight is Sight.TOLD for kind in self.step.treats):
            return None  # what nothing perceives, no second look can judge; whoever asked for it has seen it
        return None if self.opinion.sure else self.opinion.says
