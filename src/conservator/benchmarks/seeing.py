"""Whether distances between pictures follow what is known of people's eyes: more damage is farther off, and of two
versions with the same error the one that anybody would call worse is.

The answers are not votes but rules nobody disputes, see `seeingpairs`. Of some the network learned its weights, of
others it never heard: only these say what it makes of pictures that nobody prepared it for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import read, stored, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.benchmarks.seeingpairs import TAUGHT, UNTAUGHT, Rule, field
from conservator.pixels.types import Pixels
from conservator.synthesis import Damage, degrade

TITLE = "Distances between pictures and what is known of seeing"
METRICS = ("perceptual", "gmsd", "ssim", "psnr")

Dose: TypeAlias = Callable[[Pixels, float, int], Pixels]
"""A photograph damaged by so much; the last number is the seed."""


def inflicted(kind: str, parameter: str, **others: Any) -> Dose:
    """A kind of damage, one of whose parameters says how much."""

    def dose(truth: Pixels, much: float, seed: int) -> Pixels:
        return degrade(truth, [Damage(kind, {**others, parameter: much}, seed)]).degraded

    return dose


def _blotched(truth: Pixels, much: float, seed: int) -> Pixels:
    return truth + field(truth, np.random.default_rng(seed), 2.0) * np.float32(much / 255)


def _ringing(truth: Pixels, much: float, seed: int) -> Pixels:
    """All frequencies above so many cycles per pixel taken away at once, which leaves waves beside edges."""
    far = np.hypot(np.fft.fftfreq(truth.shape[0])[:, None], np.fft.rfftfreq(truth.shape[1]))
    kept = np.fft.rfft2(truth, axes=(0, 1)) * (far <= much)[..., None]
    return np.asarray(np.fft.irfft2(kept, s=truth.shape[:2], axes=(0, 1)), np.float32)


def _blurred(truth: Pixels, much: float, seed: int) -> Pixels:
    return np.asarray(cv2.GaussianBlur(truth, (0, 0), much))


_FALL = {"length": 25.0, "angle": 0.2, "width": 1.0, "model": "add", "brightness": 0.6}

DOSES: Mapping[str, tuple[Dose, tuple[float, ...]]] = {
    "noise, σ": (inflicted("noise", "sigma"), (5, 10, 20, 35, 50)),
    "JPEG, quality": (inflicted("jpeg", "quality"), (80, 50, 30, 15, 8)),
    "motion blur, px": (inflicted("motion_blur", "extent", path="line", angle=0.5), (3, 6, 10, 15, 22)),
    "defocus, px": (inflicted("defocus_blur", "radius"), (1, 2, 3, 4.5, 6)),
    "Gaussian blur, px": (_blurred, (0.5, 1, 1.5, 2.5, 4)),
    "low resolution, times": (inflicted("low_resolution", "factor"), (1.5, 2, 2.5, 3, 4)),
    "rain, drops per px": (inflicted("rain", "density", **_FALL), (0.002, 0.004, 0.008, 0.016, 0.032)),
    "haze, β": (inflicted("haze", "beta", airlight=0.85), (0.3, 0.6, 1, 1.5, 2.2)),
    "low light, EV": (inflicted("low_light", "amount", model="ev"), (-0.3, -0.7, -1.2, -2, -3)),
    "blotches, levels": (_blotched, (3, 6, 10, 16, 25)),
    "ringing, cycles per px": (_ringing, (0.4, 0.3, 0.22, 0.16, 0.12)),
}
"""How to damage, and how much, the least first."""


def run(
    photos: Sequence[Path], *, seed: int = 0, metrics: Sequence[str] = METRICS, on_row: OnRow | None = None
) -> Findings:
    """Ask every measure about doses of damage and about pairs whose order is known, photograph by photograph."""
    rows: list[Row] = []
    for index, path in enumerate(photos):
        truth = to_unit(read(path))
        for row in (*_doses(truth, (seed, index), metrics), *_rules(truth, (seed, index), metrics)):
            rows.append({"photo": path.name, **row})
            if on_row is not None:
                on_row(rows[-1])
    return Findings(TITLE, summary(rows, metrics), rows, {"photos": len(photos), "metrics": list(metrics)})


def _doses(truth: Pixels, seed: tuple[int, int], metrics: Sequence[str]) -> Iterator[Row]:
    """Of each damage, how far off every measure calls each dose of it."""
    for number, (name, (dose, amounts)) in enumerate(DOSES.items()):
        own = int(np.random.default_rng((*seed, number)).integers(2**31))
        found = [_farther(stored(dose(truth, much, own)), truth, metrics) for much in amounts]
        yield {"damage": name, "distances": {metric: [one[metric] for one in found] for metric in metrics}}


def _rules(truth: Pixels, seed: tuple[int, int], metrics: Sequence[str]) -> Iterator[Row]:
    """Of each rule, whether the version that looks worse is called farther off."""
    for number, (name, rule) in enumerate({**TAUGHT, **UNTAUGHT}.items()):
        trio = posed(rule, truth, np.random.default_rng((*seed, 100 + number)))
        if trio is not None:
            like, near, far = trio
            better, worse = _farther(near, like, metrics), _farther(far, like, metrics)
            yield {"rule": name, "answers": {metric: worse[metric] > better[metric] for metric in metrics}}


def posed(rule: Rule, truth: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels, Pixels] | None:
    """A rule's pictures as 8-bit files hold them."""
    trio = rule(truth, rng)
    return None if trio is None else (stored(trio[0]), stored(trio[1]), stored(trio[2]))


def _farther(picture: Pixels, truth: Pixels, metrics: Sequence[str]) -> dict[str, float]:
    """Every measure of a picture, with its sign turned where more is better."""
    from conservator.quality.metrics import metric_named

    asked = [metric_named(name) for name in metrics]
    return {one.name: one.measure(picture, truth) * (-1 if one.higher else 1) for one in asked}


def summary(rows: Sequence[Row], metrics: Sequence[str]) -> dict[str, list[Row]]:
    """Tables by title."""
    doses = [row for row in rows if "damage" in row]
    rules = [row for row in rows if "rule" in row]
    return {
        "doses ranked rightly on one photograph (Spearman)": _ranked(doses, metrics, within),
        "doses ranked rightly over all photographs (Spearman)": _ranked(doses, metrics, across),
        "rules kept, of the kinds it was taught": _kept([r for r in rules if r["rule"] in TAUGHT], metrics),
        "rules kept, that it was never taught": _kept([r for r in rules if r["rule"] in UNTAUGHT], metrics),
    }


def within(distances: Sequence[Sequence[float]]) -> float | None:
    """Rank correlation of distance with dose on one photograph; the mean over photographs.

    distances   of each photograph, dose by dose
    """
    return mean([_correlation([one]) for one in distances])


def across(distances: Sequence[Sequence[float]]) -> float:
    """The same over the doses of all photographs at once: whether a number means as much on the next one."""
    return _correlation(distances)


def _correlation(distances: Sequence[Sequence[float]]) -> float:
    from scipy.stats import spearmanr

    order = [place for one in distances for place in range(len(one))]
    return float(spearmanr(order, [d for one in distances for d in one]).statistic)


def _ranked(rows: Sequence[Row], metrics: Sequence[str], figure: Callable[..., float | None]) -> list[Row]:
    found: list[Row] = []
    for name in dict.fromkeys(row["damage"] for row in rows):
        part = [row["distances"] for row in rows if row["damage"] == name]
        correlations = {metric: figure([one[metric] for one in part]) for metric in metrics}
        found.append({"damage": name, "photos": len(part), **correlations})
    overall = {metric: mean([row[metric] for row in found]) for metric in metrics}
    return [*found, {"damage": "mean", "photos": max((row["photos"] for row in found), default=0), **overall}]


def _kept(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    parts = {name: [row for row in rows if row["rule"] == name] for name in dict.fromkeys(row["rule"] for row in rows)}
    return [
        {"rule": name, "asked": len(part)}
        | {f"{metric}_percent": percent([row["answers"][metric] for row in part]) for metric in metrics}
        for name, part in {**parts, "all": rows}.items()
    ]
