"""Critics on tools they have never seen: what classical corrections did to damaged photographs, right ones and wrong.

Every photograph suffers from one kind of damage and is then treated with every classical tool, fit for it or not. A
critic says of each outcome what it gained; the truth knows. Beside the learned critic stand the one that looks again
with the perceiver, told where and what the damage is, and two rules that need no thought: that smoother is better, and
that what is changed least is best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks import peers
from conservator.benchmarks.brackets import clahe, gamma
from conservator.benchmarks.measuring import OnRow, decibel
from conservator.benchmarks.peers import Peer
from conservator.benchmarks.photos import Bytes, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.benchmarks.toolbench import TASKS
from conservator.pixels.types import Pixels, to_samples
from conservator.quality.critic import View, severity_fall
from conservator.quality.learned import judge
from conservator.quality.reference import gmsd, ssim
from conservator.synthesis import Sample, degrade

TITLE = "Critics on tools they never saw"
MEASURES = ("gain_db", "ssim_gain", "gmsd_gain")
LEARNED, PERCEIVED, SMOOTHER, UNCHANGED = "learned", "severity_fall", "smoother is better", "unchanged is better"

UNSEEN: Mapping[str, Peer] = {
    **{f"NLMeans {sigma}": peers.nlmeans(sigma) for sigma in (10, 30)},
    **{f"total variation {sigma}": peers.total_variation(sigma) for sigma in (10, 30)},
    **{f"bilateral {sigma}": peers.bilateral(sigma) for sigma in (10, 30)},
    **{f"DCT shrinkage {sigma}": peers.dct_shrinkage(sigma) for sigma in (10, 30)},
    "Wiener": peers.wiener,
    "median": peers.median,
    "opening": peers.opening,
    "unsharp mask, wide": peers.unsharp,
    "dark-channel prior": peers.dark_channel,
    "CLAHE": clahe,
    "gamma 2.2": gamma,
    "grey world": peers.grey_world,
    "white patch": peers.white_patch,
}
"""Classical tools by name; the learned critic was trained on none of them."""

Guess: TypeAlias = Callable[[Bytes], dict[str, float]]
"""Says of an outcome what it gained: `gain`, and its `deviation` and `per_megapixel_seconds` where it knows."""

Critic: TypeAlias = Callable[[Sample], Guess]
"""Looks at a damaged photograph once and then judges outcomes."""


def run(
    photos: Sequence[Path],
    *,
    seed: int = 0,
    tools: Mapping[str, Peer] = UNSEEN,
    among: Mapping[str, Critic] | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Damage every photograph once, treat it with every tool and ask every critic.

    photos   clean photographs; the kind of damage goes round, photograph by photograph
    among    critics by name; CRITICS when omitted
    on_row   called with every row as soon as it is measured
    """
    from conservator.benchmarks.criticsummary import summary

    rows: list[Row] = []
    for index, path in enumerate(photos):
        damage = TASKS[index % len(TASKS)]
        assert damage.draw is not None
        sample = degrade(to_unit(read(path)), damage.draw(np.random.default_rng((seed, index))))
        for row in _outcomes(sample, tools, among or CRITICS):
            rows.append({"photo": path.name, "task": damage.name, **row})
            if on_row is not None:
                on_row(rows[-1])
    return Findings(TITLE, summary(rows), rows, {"photos": len(photos), "tools": list(tools)})


def _outcomes(sample: Sample, tools: Mapping[str, Peer], among: Mapping[str, Critic]) -> Iterator[Row]:
    clean, before = to_bytes(sample.clean), to_bytes(sample.degraded)
    then, critics = _figures(before, clean), {name: critic(sample) for name, critic in among.items()}
    for name, tool in tools.items():
        outcome = tool(before)
        gains = _figures(outcome, clean) - then
        guesses = {critic: guess(outcome) for critic, guess in critics.items()}
        yield {"method": name, **dict(zip(MEASURES, gains.tolist(), strict=True)), "guesses": guesses}


def _figures(picture: Bytes, clean: Bytes) -> NDArray[np.float64]:
    """PSNR, SSIM and GMSD, the last with its sign turned: more is better."""
    pair = to_unit(picture), to_unit(clean)
    return np.array([decibel(picture, clean), ssim(*pair), -gmsd(*pair)])


def by_network(sample: Sample) -> Guess:
    """The learned critic, on the whole picture."""

    def guess(outcome: Bytes) -> dict[str, float]:
        begun = time.perf_counter()
        gain, deviation = judge(sample.degraded, to_unit(outcome)).pooled()
        return {"gain": gain, "deviation": deviation, "per_megapixel_seconds": _spent(begun, outcome)}

    return guess


def by_perceiver(sample: Sample) -> Guess:
    """Severity that a second look no longer finds, of the kinds and in the cells that were damaged; of a clean
    photograph, of every kind everywhere."""
    from conservator.perception import observe

    def view(picture: Pixels) -> View:
        samples = to_samples(picture, 8)
        return View(samples, observe(samples))

    before, asked = view(sample.degraded), sample.truth if sample.truth.any() else np.ones_like(sample.truth)

    def guess(outcome: Bytes) -> dict[str, float]:
        begun = time.perf_counter()
        opinion = severity_fall(before, view(to_unit(outcome)), asked)
        return {
            "gain": opinion.gain, "deviation": opinion.deviation, "per_megapixel_seconds": _spent(begun, outcome),
        }  # fmt: skip

    return guess


def _spent(begun: float, outcome: Bytes) -> float:
    return (time.perf_counter() - begun) * 1e6 / outcome[..., 0].size


def by_smoothness(sample: Sample) -> Guess:
    """How much the estimated noise fell (Immerkær, 1996), in 8-bit levels."""
    before = _roughness(sample.degraded)
    return lambda outcome: {"gain": before - _roughness(to_unit(outcome))}


def _roughness(picture: Pixels) -> float:
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    high = cv2.filter2D(picture.mean(axis=2), cv2.CV_32F, kernel)
    return float(255 * np.sqrt(np.pi / 2) * np.abs(high).mean() / 6)


def by_change(sample: Sample) -> Guess:
    """Minus the mean change in 8-bit levels."""
    return lambda outcome: {"gain": -255 * float(np.abs(to_unit(outcome) - sample.degraded).mean())}


CRITICS: Mapping[str, Critic] = {
    LEARNED: by_network, PERCEIVED: by_perceiver, SMOOTHER: by_smoothness, UNCHANGED: by_change,
}  # fmt: skip
