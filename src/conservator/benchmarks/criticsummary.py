"""How well critics rank what they see: tables of the critics' benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.results import Row

NOTICED = 0.5
"""dB of true gain from which one state counts as better than another."""

FARTHEST = 15.0
"""dB beyond which a gain is not told apart from a larger one: no critic needs to, and a clean photograph that is
touched loses more than any number says."""

CLASSES = 4
"""Classes of predicted deviation, equally many outcomes in each, that calibration is shown for."""

Reals = NDArray[np.float64]


def ranked(true: ArrayLike, predicted: ArrayLike) -> Row:
    """Rank correlations of predicted with true gains, and how often the sign is right where anybody would notice."""
    from scipy.stats import kendalltau, spearmanr

    truth, guess = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    clear = np.abs(truth) > NOTICED
    return {
        "spearman": float(spearmanr(truth, guess).statistic),
        "kendall": float(kendalltau(truth, guess).statistic),
        "right_percent": percent((np.sign(truth) == np.sign(guess))[clear]),
    }


def calibrated(true: ArrayLike, predicted: ArrayLike, deviation: ArrayLike) -> Row:
    """How far predictions are off, and how often not farther than once or twice their deviation (68 and 95 % of the
    time if errors were normal)."""
    error = np.abs(np.clip(true, -FARTHEST, FARTHEST) - np.asarray(predicted, np.float64))
    spread = np.maximum(np.asarray(deviation, np.float64), 1e-6)
    return {
        "deviation_db": float(np.sqrt(np.square(spread).mean())),
        "rms_error_db": float(np.sqrt(np.square(error).mean())),
        "within_1_percent": percent(error <= spread),
        "within_2_percent": percent(error <= 2 * spread),
    }


def summary(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Tables by title."""
    from conservator.benchmarks.criticbench import LEARNED

    critics = list(rows[0]["guesses"])
    return {
        "ranking": [_ranking(name, rows) for name in critics],
        "kept when sure": [_keeping(name, rows) for name in critics if "deviation" in rows[0]["guesses"][name]],
        "calibration of the learned critic": _calibration(LEARNED, rows),
        "the learned critic by damage": _parts(LEARNED, "task", rows),
        "the learned critic by tool": _parts(LEARNED, "method", rows),
    }


def _ranking(name: str, rows: Sequence[Row]) -> Row:
    guess = _guesses(name, rows)
    psnr, ssim, gmsd = (ranked([row[key] for row in rows], guess) for key in ("gain_db", "ssim_gain", "gmsd_gain"))
    correlations = {
        f"{figure}_{measure}": found[figure]
        for measure, found in (("psnr", psnr), ("ssim", ssim), ("gmsd", gmsd))
        for figure in ("spearman", "kendall")
    }
    seconds = [row["guesses"][name].get("per_megapixel_seconds") for row in rows]
    return {
        "critic": name,
        "outcomes": len(rows),
        **correlations,
        "before_or_after_percent": psnr["right_percent"],
        "which_of_two_percent": percent(_choices(guess, rows)),
        "per_megapixel_seconds": float(np.median(seconds)) if None not in seconds else None,
    }


def _choices(guess: Reals, rows: Sequence[Row]) -> list[bool]:
    """Whether of two outcomes of one photograph the better one was named, for all pairs that differ noticeably."""
    found = []
    for photo in dict.fromkeys(row["photo"] for row in rows):
        own = [(row["gain_db"], float(g)) for row, g in zip(rows, guess, strict=True) if row["photo"] == photo]
        found += [(a - b) * (p - q) > 0 for (a, p), (b, q) in combinations(own, 2) if abs(a - b) > NOTICED]
    return found


def _keeping(name: str, rows: Sequence[Row]) -> Row:
    """What would be kept if a gain beyond its deviation sufficed."""
    kept = _guesses(name, rows) > _guesses(name, rows, "deviation")
    gain = np.array([row["gain_db"] for row in rows])
    return {
        "critic": name,
        "kept_percent": percent(kept),
        "better_percent": percent(gain[kept] > 0),
        "harmful_percent": percent(gain[kept] < -NOTICED),
        "of_the_better_kept_percent": percent(kept[gain > NOTICED]),
        "mean_gain_db": mean(np.clip(gain[kept], -FARTHEST, FARTHEST)),
    }


def _calibration(name: str, rows: Sequence[Row]) -> list[Row]:
    if name not in rows[0]["guesses"]:
        return []
    true, guess = np.array([row["gain_db"] for row in rows]), _guesses(name, rows)
    deviation = _guesses(name, rows, "deviation")
    classes = np.array_split(np.argsort(deviation, kind="stable"), CLASSES)
    named = [("all", np.arange(len(rows))), *((f"{i} of {CLASSES}", part) for i, part in enumerate(classes, 1))]
    return [
        {"deviation": title, "outcomes": part.size, **calibrated(true[part], guess[part], deviation[part])}
        for title, part in named
        if part.size
    ]


def _parts(name: str, key: str, rows: Sequence[Row]) -> list[Row]:
    if name not in rows[0]["guesses"]:
        return []
    parts: Mapping[str, list[Row]] = {
        value: [row for row in rows if row[key] == value] for value in dict.fromkeys(row[key] for row in rows)
    }
    return [
        {
            key: value,
            "outcomes": len(part),
            "mean_gain_db": mean(np.clip([row["gain_db"] for row in part], -FARTHEST, FARTHEST)),
            **ranked([row["gain_db"] for row in part], _guesses(name, part)),
        }
        for value, part in parts.items()
    ]


def _guesses(name: str, rows: Sequence[Row], figure: str = "gain") -> Reals:
    return np.array([row["guesses"][name][figure] for row in rows], np.float64)
