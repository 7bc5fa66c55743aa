"""Figures that sum up many measurements: means with intervals, ranking, calibration, overlap."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 4000
BINS = 15

Flags = NDArray[np.bool_]


def mean(values: ArrayLike) -> float | None:
    """Mean, or None of nothing."""
    found = np.asarray(values, np.float64)
    return float(found.mean()) if found.size else None


def percent(flags: ArrayLike) -> float | None:
    """Share of true values in per cent, or None of nothing."""
    found = np.asarray(flags, np.bool_)
    return 100.0 * float(found.mean()) if found.size else None


def interval(
    values: ArrayLike, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float | None, float | None]:
    """95 % interval of the mean by percentile bootstrap (Efron, 1979); (None, None) for fewer than two groups.

    groups  what each value belongs to: whole groups are drawn, for exposures of one scene are not independent
    """
    found = np.asarray(values, np.float64)
    labels = range(found.size) if groups is None else groups
    names = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    if len(names) < 2:
        return None, None
    index = np.array([names[label] for label in labels])
    sums, counts = np.bincount(index, found), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def auc(score: ArrayLike, label: Flags) -> float | None:
    """Area under the ROC curve by ranks, ties at their mean rank; None when only one class is there."""
    from scipy.stats import rankdata

    positive = int(label.sum())
    negative = label.size - positive
    if not positive or not negative:
        return None
    ranks = rankdata(np.asarray(score, np.float64))
    return float((ranks[label].sum() - positive * (positive + 1) / 2) / (positive * negative))


def calibration_error(probability: ArrayLike, label: Flags, bins: int = BINS) -> float | None:
    """Expected calibration error over equal-width bins (Naeini et al., AAAI 2015), in [0, 1]; None of nothing."""
    found = np.asarray(probability, np.float64)
    if not found.size:
        return None
    place = np.minimum((found * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(place, found - label, bins)
    return float(np.abs(gaps).sum() / found.size)


def overlap(found: Flags, true: Flags) -> float | None:
    """Intersection over union; None when both are empty."""
    union = int((found | true).sum())
    return int((found & true).sum()) / union if union else None
