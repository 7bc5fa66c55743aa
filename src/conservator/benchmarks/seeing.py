"""Whether distances between pictures follow what is known of people's eyes: more damage is farther off, and of two
versions with the same error the one that anybody would call worse is.

The answers are not votes. They are rules nobody disputes: a shift of half a pixel looks better than a blur with no
larger error, blotches look worse than fine noise, noise in colours hides, and so does noise on texture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.photos import read, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.pixels.types import Mask, Pixels
from conservator.synthesis import degrade, draw_preset
from conservator.synthesis.sensor import jpeg

TITLE = "Distances between pictures and what is known of seeing"
METRICS = ("perceptual", "gmsd", "ssim", "psnr")
KINDS = ("noise", "jpeg", "motion_blur", "defocus_blur", "rain", "haze", "low_light")
DOSES = (0.15, 0.3, 0.5, 0.75, 1.0)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Pair: TypeAlias = tuple[Pixels, Pixels]
Rule: TypeAlias = "Callable[[Pixels, np.random.Generator], Pair | None]"


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
    tables = {"doses ranked rightly": _table("damage", rows, metrics), "rules kept": _table("rule", rows, metrics)}
    return Findings(TITLE, tables, rows, {"photos": len(photos), "metrics": list(metrics)})


def _doses(truth: Pixels, seed: tuple[int, int], metrics: Sequence[str]) -> Iterator[Row]:
    """Of each kind of damage, whether five doses are told apart in their order: Spearman's correlation."""
    from scipy.stats import spearmanr

    for number, kind in enumerate(KINDS):
        change = degrade(truth, draw_preset(np.random.default_rng((*seed, number)), [kind])).degraded - truth
        found = [_farther(_stored(truth + dose * change), truth, metrics) for dose in DOSES]
        ranks = {name: float(spearmanr(DOSES, [one[name] for one in found]).statistic) for name in metrics}
        yield {"damage": kind, "answers": ranks}


def _rules(truth: Pixels, seed: tuple[int, int], metrics: Sequence[str]) -> Iterator[Row]:
    """Of each rule, whether the version that looks worse is called farther off: 1 or 0."""
    for number, (name, rule) in enumerate(RULES.items()):
        pair = rule(truth, np.random.default_rng((*seed, 100 + number)))
        if pair is not None:
            near, far = (_farther(_stored(one), truth, metrics) for one in pair)
            yield {"rule": name, "answers": {metric: float(far[metric] > near[metric]) for metric in metrics}}


def _farther(picture: Pixels, truth: Pixels, metrics: Sequence[str]) -> dict[str, float]:
    """Every measure of a picture, with its sign turned where more is better."""
    from conservator.quality.metrics import metric_named

    asked = [metric_named(name) for name in metrics]
    return {one.name: one.measure(picture, truth) * (-1 if one.higher else 1) for one in asked}


def _shifted(truth: Pixels, rng: np.random.Generator) -> Pixels:
    angle = float(rng.uniform(0, 2 * np.pi))
    move = np.array([[1, 0, 0.5 * np.cos(angle)], [0, 1, 0.5 * np.sin(angle)]])
    size = truth.shape[1], truth.shape[0]
    return np.asarray(cv2.warpAffine(truth, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))


def _brighter(truth: Pixels, rng: np.random.Generator) -> Pixels:
    return truth * np.float32(rng.choice([0.96, 1.04]))


def _warmer(truth: Pixels, rng: np.random.Generator) -> Pixels:
    return truth * np.array([1.03, 1.0, 0.97], np.float32)


def _blurred(truth: Pixels, rng: np.random.Generator) -> Pixels:
    return np.asarray(cv2.GaussianBlur(truth, (0, 0), 3.0))


def _blocky(truth: Pixels, rng: np.random.Generator) -> Pixels:
    return jpeg(truth, 6)


def _streaked(truth: Pixels, rng: np.random.Generator) -> Pixels:
    return degrade(truth, draw_preset(rng, ["rain"])).degraded


def _field(truth: Pixels, rng: np.random.Generator, radius: float = 0.0) -> Pixels:
    """Grey noise of deviation one (H, W, 1), smooth over `radius` px."""
    field = rng.standard_normal(truth.shape[:2]).astype(np.float32)
    field = np.asarray(cv2.GaussianBlur(field, (0, 0), radius)) if radius else field
    return np.asarray(field / field.std(), np.float32)[..., None]


def _rather(near: Callable[..., Pixels], far: Callable[..., Pixels]) -> Rule:
    """The first change, and as much of the second as has an error no larger than its; None where it has less."""

    def rule(truth: Pixels, rng: np.random.Generator) -> Pair | None:
        one, change = near(truth, rng), far(truth, rng) - truth
        share = _error(one - truth) / max(_error(change), 1e-6)
        return (one, truth + share * change) if share <= 1 else None

    return rule


def _blotches(truth: Pixels, rng: np.random.Generator) -> Pair:
    return truth + _field(truth, rng) * np.float32(8 / 255), truth + _field(truth, rng, 2.0) * np.float32(8 / 255)


def _brightness(truth: Pixels, rng: np.random.Generator) -> Pair:
    fields: Pixels = np.concatenate([_field(truth, rng) for _ in range(3)], axis=2)
    colours: Pixels = fields - (fields @ LUMA)[..., None]
    grey = _field(truth, rng)
    return truth + colours * np.float32(8 / 255 / _error(colours)), truth + grey * np.float32(8 / 255)


def _hidden(truth: Pixels, rng: np.random.Generator) -> Pair | None:
    plane = truth @ LUMA
    mean_ = cv2.blur(plane, (9, 9))
    deviation = np.sqrt(np.maximum(cv2.blur(plane * plane, (9, 9)) - np.square(mean_), 0))
    quiet, busy = (_soft(deviation <= np.quantile(deviation, 0.3)), _soft(deviation >= np.quantile(deviation, 0.7)))
    if np.quantile(deviation, 0.7) < 3 * np.quantile(deviation, 0.3):
        return None
    noise: Pixels = _field(truth, rng) * np.float32(10 / 255)
    shown, hidden = noise * quiet, noise * busy
    return truth + hidden * np.float32(_error(shown) / _error(hidden)), truth + shown


def _soft(where: NDArray[np.bool_]) -> Mask:
    return np.asarray(cv2.blur(where.astype(np.float32), (9, 9)), np.float32)[..., None]


RULES: Mapping[str, Rule] = {
    "half a pixel to the side, rather than blurred": _rather(_shifted, _blurred),
    "half a pixel to the side, rather than blocks": _rather(_shifted, _blocky),
    "4 % brighter or darker, rather than blurred": _rather(_brighter, _blurred),
    "4 % brighter or darker, rather than blocks": _rather(_brighter, _blocky),
    "a touch warmer, rather than streaks": _rather(_warmer, _streaked),
    "fine noise, rather than blotches": _blotches,
    "noise in colours, rather than in brightness": _brightness,
    "noise on texture, rather than on what is flat": _hidden,
}
"""Which of two versions looks better, the error being the same."""


def _error(change: Pixels) -> float:
    return float(np.sqrt(np.square(np.broadcast_to(change, (*change.shape[:2], 3))).mean()))


def _stored(picture: Pixels) -> Pixels:
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255) / 255, np.float32)


def _table(key: str, rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """Mean answers, rule by rule in per cent, damage by damage as correlations, and over all."""
    mine = [row for row in rows if key in row]
    parts = {name: [row for row in mine if row[key] == name] for name in dict.fromkeys(row[key] for row in mine)}

    def told(part: Sequence[Row]) -> Row:
        answers = {name: [row["answers"][name] for row in part] for name in metrics}
        if key == "rule":
            return {f"{name}_percent": percent(np.array(values) > 0.5) for name, values in answers.items()}
        return {f"{name}_spearman": mean(values) for name, values in answers.items()}

    return [{key: name, "asked": len(part), **told(part)} for name, part in {**parts, "all": mine}.items()]
