"""What a policy is measured against: the same tools in one pass, the same tools told the truth, and `spatial` with one
of its parts gone or exchanged.

SpatialBench takes the distance between what is possible and what is reached apart with these: what perception owes
(true maps against predicted ones), which half of perception owes it, and what looking again is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conservator.degradations import BY_NAME, CELL, INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.errors import UsageError
from conservator.perception import Perceiver
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Samples
from conservator.policies.spatial import by_stage, spatial
from conservator.quality.critic import Opinion
from conservator.quality.guard import Verdict
from conservator.quality.learned import learned
from conservator.regions import EVERYWHERE
from conservator.session import Session


def one_pass(session: Session) -> None:
    """Every tool at most once, in the order of the stages, on all it treats; nothing is weighed or taken back."""
    for _, step in by_stage(session):
        outcome = session.apply(step) if step is not None else None
        if outcome is not None and outcome.failed is None:
            session.keep(outcome)
    session.stop("one pass done")


def by_learned_critic(session: Session) -> None:
    """`spatial`, with the network instead of a second look deciding what stays."""
    session.critic = learned
    spatial(session)


def without_critic(session: Session) -> None:
    """`spatial`, where every step stays that the guard lets pass."""
    session.critic = lambda before, after, asked: Opinion(1.0, 0.0, "")
    spatial(session)


def without_guard(session: Session) -> None:
    """`spatial`, where every step stays that the critic likes."""
    session.guard = lambda before, after, cells=None: Verdict(True, (), {})
    spatial(session)


def without_hysteresis(session: Session) -> None:
    """`spatial`, which believes the last look alone."""
    session.steady = False
    spatial(session)


def without_regions(session: Session) -> None:
    """`spatial` on the frame as one thing, as the published agents treat it."""
    spatial(session, coordinator=lambda session, step: [replace(step, regions=(EVERYWHERE,))])


def first_come(session: Session) -> None:
    """`spatial`, which spends its calls in the order of the stages, however few they are."""
    for _, step in by_stage(session):
        if step is not None and not session.exhausted:
            session.decide(session.apply(step))
    session.stop()


def true_diagnosis(truth: Maps, samples: Samples) -> Diagnosis:
    """A diagnosis that is right: severity as inflicted, 0 below what anybody would notice, no doubt, no regions.

    truth    float32 (D, h, w) severities on the cell grid
    samples  uint16 (H, W, 3), for the colours of the cells
    Raises UsageError when the truth is about a picture of another size: nobody knows where a crop comes from.
    """
    grid = tuple(-(-side // CELL) for side in samples.shape[:2])
    if truth.shape[1:] != grid:
        got, wanted = (f"{h}×{w} cells" for h, w in (truth.shape[1:], grid))
        raise UsageError(f"a truth of {got}", wanted, "policies that look ahead need a perceiver that looks")
    threshold = np.array([BY_NAME[name].threshold for name in NAMES], np.float32)[:, None, None]
    maps = np.where(truth >= threshold, truth, 0).astype(np.float32)
    presence = (maps > 0).astype(np.float32)
    size = samples.shape[0], samples.shape[1]
    return Diagnosis(size, maps, maps, np.zeros_like(maps), presence, cell_means(samples))


def told(truth: Maps, kinds: Sequence[str] = NAMES, perceiver: Perceiver | None = None) -> Perceiver:
    """A perceiver that knows the truth about some kinds, whatever was treated since, and must look for the others.

    kinds      known
    perceiver  looks for the others; without one they are never found
    """
    known = [INDEX[kind] for kind in kinds]

    def perceive(samples: Samples) -> Diagnosis:
        """The diagnosis of samples uint16 (H, W, 3) of the size that the truth was made for."""
        right = true_diagnosis(truth, samples)
        seen = perceiver(samples) if perceiver is not None else true_diagnosis(np.zeros_like(truth), samples)
        return replace(
            seen,
            maps=_mixed(seen.maps, right.maps, known),
            raw=_mixed(seen.raw, right.raw, known),
            deviation=_mixed(seen.deviation, right.deviation, known),
            presence=_mixed(seen.presence, right.presence, known),
        )

    return perceive


def _mixed(seen: Maps, right: Maps, known: Sequence[int]) -> Maps:
    mixed = seen.copy()
    mixed[known] = right[known]
    return mixed
