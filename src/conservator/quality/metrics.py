"""Measures by name: the built-in ones, a user's own, and those of pyiqa where it is installed.

    conservator bench spatialbench --clean photos --metric ms_ssim --metric pyiqa:musiq

`perceptual` has LPIPS's form and a small network of our own, which no person taught; LPIPS and DISTS themselves need
weights that this package does not ship.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from conservator.errors import ModelMissing, UsageError
from conservator.models.foreign.pytorch import declare_torchvision_operators
from conservator.pixels.types import Pixels
from conservator.quality import reference
from conservator.quality.perceptual import perceptual

Measure: TypeAlias = Callable[[Pixels, Pixels], float]


@dataclass(frozen=True)
class Metric:
    """A measure of quality.

    name     identifier, as on the command line
    measure  (result, truth), both float32 (H, W, 3) in [0, 1], to a number; may leave the truth unused
    higher   whether more is better
    """

    name: str
    measure: Measure
    higher: bool = True


_KNOWN: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", reference.psnr),
        Metric("ssim", reference.ssim),
        Metric("ms_ssim", reference.ms_ssim),
        Metric("gmsd", reference.gmsd, higher=False),
        Metric("perceptual", perceptual, higher=False),
    )
}
PYIQA = "pyiqa:"
"""Prefix of the names of pyiqa's metrics, which may need downloads and have licences of their own."""
INSTALL = "pip install 'conservator[torch]' requests, then pip install --no-deps pyiqa"


def add_metric(metric: Metric) -> None:
    """Make a measure known by its name; UsageError when the name is taken."""
    if metric.name in _KNOWN or metric.name.startswith(PYIQA):
        raise UsageError(f"a metric named {metric.name!r}", "a name that is free", f"not {', '.join(_KNOWN)}")
    _KNOWN[metric.name] = metric


def metric_named(name: str) -> Metric:
    """A measure by name, "pyiqa:NAME" for one of pyiqa's.

    Raises UsageError for an unknown name, ModelMissing when pyiqa is not installed or cannot fetch its weights.
    """
    if name.startswith(PYIQA):
        return _of_pyiqa(name)
    if name not in _KNOWN:
        raise UsageError(f"metric {name!r}", f"one of {', '.join(_KNOWN)} or {PYIQA}NAME")
    return _KNOWN[name]


@cache
def _of_pyiqa(name: str) -> Metric:
    try:
        declare_torchvision_operators()
        import pyiqa
        import torch
    except ImportError as error:
        raise ModelMissing(f"metric {name!r} needs pyiqa: {error}", "an installed pyiqa", INSTALL) from error
    known = name.removeprefix(PYIQA)
    if known not in pyiqa.list_models():
        raise UsageError(f"pyiqa has no metric {known!r}", f"one of {', '.join(pyiqa.list_models())}")
    try:
        network = pyiqa.create_metric(known, device="cpu")
    except (OSError, ImportError) as error:  # weights that it downloads, packages that only some need
        raise ModelMissing(f"metric {name!r}: {error}", "what pyiqa needs", "be online, or install it") from error

    def tensor(pixels: Pixels) -> Any:
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None])

    def measure(result: Pixels, truth: Pixels) -> float:
        pair = (tensor(result), tensor(truth)) if network.metric_mode == "FR" else (tensor(result),)
        with torch.no_grad():
            return float(network(*pair))

    return Metric(name, measure, not network.lower_better)
