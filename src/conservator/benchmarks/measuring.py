"""What one treatment did to one photograph whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from conservator.benchmarks.figures import interval, mean, percent
from conservator.benchmarks.photos import Bytes, to_unit
from conservator.benchmarks.results import Row
from conservator.pixels.types import Mask

if TYPE_CHECKING:
    from conservator.photo import Source
    from conservator.treatment import Treatment

Treat: TypeAlias = "Callable[[Source], Treatment]"
"""Takes whatever `restore` takes."""

OnRow: TypeAlias = Callable[[Row], None]
"""Told every row when it is measured."""

BEST = 100.0
"""dB that equal pictures count, so that means stay finite; 8-bit pictures of a megapixel that differ once are near."""

WORSE = -0.05
"""dB of gain below which a picture became worse: what rounding and an invisible touch do is above."""


def restored(photo: Source) -> Treatment:
    """What a user gets who asks for nothing in particular."""
    from conservator.treatment import restore

    return restore(photo)


def decibel(picture: Bytes, truth: Bytes, mask: Mask | None = None) -> float:
    """PSNR of 8-bit pictures in dB, at most BEST; inside a mask, float32 (H, W), when there is one."""
    from conservator.quality.reference import psnr, psnr_inside

    pair = to_unit(picture), to_unit(truth)
    return min(BEST, psnr(*pair) if mask is None else psnr_inside(*pair, mask))


def compared(before: Bytes, after: Bytes, truth: Bytes) -> Row:
    """PSNR and SSIM of both against the truth, and the gain."""
    from conservator.quality.reference import ssim

    unit = to_unit(truth)
    old, new = decibel(before, truth), decibel(after, truth)
    return {
        "psnr_before_db": old,
        "psnr_db": new,
        "gain_db": new - old,
        "ssim_before": ssim(to_unit(before), unit),
        "ssim": ssim(to_unit(after), unit),
    }


def spent(treatment: Treatment) -> Row:
    """What was treated with which tools, and what it cost."""
    data = treatment.record.data
    plan = data["plan"]
    return {
        "treated": sorted({kind for step in plan for kind in step["treats"]}),
        "tools": [step["tool"] for step in plan],
        "calls": data["budget"]["calls"],
        "looks_ahead": data["budget"]["looks_ahead"],
        "seconds": data["budget"]["seconds"],
        "critical_path_seconds": data["budget"]["critical_path_seconds"],
    }


def result_of(treatment: Treatment) -> Bytes:
    """The photograph as an 8-bit file would hold it, uint8 (H, W, 3)."""
    from conservator.pixels.frame import to_eight

    return to_eight(treatment.photo.samples)


def gains(rows: Sequence[Row], *, groups: Sequence[str] | None = None, seed: int = 0) -> Row:
    """Means, interval and failures over rows that hold `compared`."""
    gain = np.array([row["gain_db"] for row in rows])
    low, high = interval(gain, groups, seed)
    return {
        "photos": len(rows),
        "psnr_db": mean([row["psnr_db"] for row in rows]),
        "ssim": mean([row["ssim"] for row in rows]),
        "gain_db": mean(gain),
        "from_db": low,
        "to_db": high,
        "median_db": float(np.median(gain)) if gain.size else None,
        "worst_db": float(gain.min()) if gain.size else None,
        "below_0_percent": percent(gain < 0),
        "worse_percent": percent(gain < WORSE),
    }
