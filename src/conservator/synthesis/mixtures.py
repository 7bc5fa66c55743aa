"""Mixtures of damage: global, spatially mixed, and AgenticIR's sixteen combinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from conservator.degradations import PERCEIVED
from conservator.errors import UsageError
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.synthesis.damage import Damage, apply
from conservator.synthesis.masks import partition

ORDER: tuple[str, ...] = (
    "low_light", "over_exposure", "haze", "rain", "motion_blur", "defocus_blur", "low_resolution", "noise", "jpeg",
)  # fmt: skip
"""From the scene to the file: the order in which light meets the damage."""

COMBINATIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "A": (
        ("rain", "haze"), ("motion_blur", "low_resolution"), ("low_light", "noise"), ("defocus_blur", "jpeg"),
        ("noise", "jpeg"), ("rain", "low_resolution"), ("motion_blur", "low_light"), ("defocus_blur", "haze"),
    ),
    "B": (("motion_blur", "jpeg"), ("haze", "noise"), ("defocus_blur", "low_resolution"), ("rain", "low_light")),
    "C": (
        ("haze", "motion_blur", "low_resolution"), ("rain", "noise", "low_resolution"),
        ("low_light", "defocus_blur", "jpeg"), ("motion_blur", "defocus_blur", "noise"),
    ),
}  # fmt: skip
"""AgenticIR's groups (arXiv 2410.17809), applied in the order written."""


LEAST_CORE = 0.1
"""Least share of the frame that the clean region's untouched core takes, where the partition allows it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A damaged photograph whose truth is known.

    clean, degraded   float32 (H, W, 3) in [0, 1], both exactly representable in 8 bits
    truth             float32 (D, h, w) severities on the cell grid
    damages           what was inflicted, in order
    regions           the partition's masks, float32 (H, W); the first one is clean; empty when global
    """

    clean: Pixels
    degraded: Pixels
    truth: Maps
    damages: tuple[Damage, ...]
    regions: tuple[Mask, ...] = ()

    @property
    def untouched(self) -> Mask:
        """1 where no damage reached, float32 (H, W)."""
        touched = np.zeros(self.clean.shape[:2], np.float32)
        for damage in self.damages:
            touched = np.maximum(touched, 1.0 if damage.mask is None else damage.mask)
        return np.asarray(touched == 0, np.float32)

    def without(self, kinds: Sequence[str]) -> Pixels:
        """The same photograph, damaged by everything but `kinds`."""
        return apply(self.clean, self.damages, frozenset(kinds))[0]


def degrade(clean: Pixels, damages: Sequence[Damage], regions: Sequence[Mask] = ()) -> Sample:
    """Inflict damages on a clean photograph, float32 (H, W, 3)."""
    clean = np.rint(clean * 255).astype(np.float32) / np.float32(255)
    degraded, truth = apply(clean, damages)
    return Sample(clean, degraded, truth, tuple(damages), tuple(regions))


def draw_global(rng: np.random.Generator, kinds: Sequence[str], mask: Mask | None = None) -> list[Damage]:
    """Damages of the given kinds with parameters from the broad training ranges, in physical order.

    Kinds that nothing perceives are left out: no perceiver is to learn them unasked.
    """
    return [_damage(kind, _PARAMETERS[kind](rng), rng, mask) for kind in ORDER if kind in kinds]


def draw_preset(rng: np.random.Generator, kinds: Sequence[str], mask: Mask | None = None) -> list[Damage]:
    """Damages of the given kinds, in the given order, with AgenticIR's ranges."""
    unknown = set(kinds) - set(_PRESET)
    if unknown:
        raise UsageError(f"kinds {sorted(unknown)}", f"some of {sorted(_PRESET)}", "see COMBINATIONS")
    return [_damage(kind, _PRESET[kind](rng), rng, mask) for kind in kinds]


def draw_spatial(
    image: Pixels,
    rng: np.random.Generator,
    kinds: Sequence[str] = PERCEIVED,
    regions: tuple[int, int] = (2, 4),
    most: int = 2,
    preset: bool = False,
) -> tuple[list[Damage], list[Mask]]:
    """Different mixtures in different regions; the first region is clean.

    kinds     to choose from; those that nothing perceives are left out
    regions   fewest and most regions
    most      most kinds of damage in one region
    """
    kinds = [kind for kind in kinds if kind in PERCEIVED]
    masks = _with_core(image, rng, int(rng.integers(regions[0], regions[1] + 1)))
    damages: list[Damage] = []
    for mask in masks[1:]:
        chosen = _compatible(rng, kinds, int(rng.integers(1, most + 1)))
        damages += (draw_preset if preset else draw_global)(rng, chosen, mask)
    return sorted(damages, key=lambda damage: ORDER.index(damage.kind)), masks


def _with_core(image: Pixels, rng: np.random.Generator, count: int) -> list[Mask]:
    """A partition led by a region with a core large enough to stay clean (chosen at random where several have)."""
    for _ in range(8):
        masks = partition(image, rng, count)
        cores = np.array([float((mask == 1).mean()) for mask in masks])
        if cores.max() >= LEAST_CORE:
            break
    first = int(rng.choice(np.flatnonzero(cores >= min(LEAST_CORE, float(cores.max())))))
    return [masks[first], *masks[:first], *masks[first + 1 :]]


def _compatible(rng: np.random.Generator, kinds: Sequence[str], count: int) -> list[str]:
    """Random kinds without contradictions (dark and over-exposed, blurred twice)."""
    rivals = ({"low_light", "over_exposure"}, {"motion_blur", "defocus_blur", "low_resolution"})
    chosen: list[str] = []
    for kind in rng.permutation(list(kinds)):
        if not any(kind in pair and pair & set(chosen) for pair in rivals):
            chosen.append(str(kind))
        if len(chosen) == count:
            break
    return chosen


def _damage(kind: str, parameters: dict[str, Any], rng: np.random.Generator, mask: Mask | None) -> Damage:
    return Damage(kind, parameters, int(rng.integers(2**31)), mask)


def _pick(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _log_between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _noise(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "sigma": _log_between(rng, 3, 65),
        "shot": _pick(rng, 0.0, 0.0, _between(rng, 0.2, 1.0)),
        "grain": _pick(rng, 0.0, 0.0, _between(rng, 0.4, 0.9), _between(rng, 0.5, 1.3)),
        "grey": _pick(rng, 0.0, 0.0, 0.5, 1.0),
        "luma": _pick(rng, 1.0, 1.0, 1.0, _between(rng, 0.3, 0.9)),
        "camera_quality": _pick(rng, 0, 0, 0, int(rng.integers(60, 98))),
    }


def _jpeg(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "quality": round(_log_between(rng, 7, 75)),
        "first": _pick(rng, 0, 0, 0, int(rng.integers(10, 80))),
        "offset": _pick(rng, (0, 0), (0, 0), (0, 0), (int(rng.integers(8)), int(rng.integers(8)))),
        "chroma_halved": bool(rng.random() < 0.75),
    }


def _motion(rng: np.random.Generator) -> dict[str, Any]:
    path = _pick(rng, "line", "curve", "one_sided")
    angle, linear = _between(rng, 0, 2 * np.pi), bool(rng.random() < 0.3)
    if path == "one_sided":
        radius = int(rng.integers(8, 18))
        return {"path": path, "radius": radius, "extent": _between(rng, 2, 9), "angle": angle, "linear_light": linear}
    return {"path": path, "extent": _log_between(rng, 3, 28), "angle": angle, "linear_light": linear}


def _defocus(rng: np.random.Generator) -> dict[str, Any]:
    blades = _pick(rng, 0, 0, int(rng.integers(5, 9)))
    return {"radius": _log_between(rng, 1.0, 7.0), "blades": blades, "linear_light": bool(rng.random() < 0.3)}


def _low_resolution(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "factor": _between(rng, 1.5, 4.2),
        "down": _pick(rng, cv2.INTER_AREA, cv2.INTER_CUBIC),
        "up": _pick(rng, cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4),
    }


def _rain(rng: np.random.Generator) -> dict[str, Any]:
    length = _log_between(rng, 8, 45)
    return {
        "length": length,
        "angle": _between(rng, -0.6, 0.6),
        "width": _between(rng, 1.0, 2.5),
        "density": _log_between(rng, 0.03, 0.5) / length,
        "model": _pick(rng, "add", "screen", "cover"),
        "brightness": _between(rng, 0.25, 0.9),
        "storm": bool(rng.random() < 0.5),
    }


def _haze(rng: np.random.Generator) -> dict[str, Any]:
    return {"beta": _between(rng, 0.4, 2.2), "airlight": _between(rng, 0.65, 1.0), "tint": _pick(rng, 0.0, 0.03)}


def _low_light(rng: np.random.Generator) -> dict[str, Any]:
    model = _pick(rng, "ev", "gamma", "gamma", "shift", "compress")
    amount = {
        "ev": -_between(rng, 0.8, 4.0),
        "gamma": _between(rng, 1.4, 3.2),
        "shift": -_between(rng, 0.1, 0.35),
        "compress": _between(rng, 0.25, 0.65),
    }[model]
    return {"model": model, "amount": amount}


def _over_exposure(rng: np.random.Generator) -> dict[str, Any]:
    model = _pick(rng, "ev", "gamma", "shift")
    amount = {"ev": _between(rng, 0.6, 2.2), "gamma": _between(rng, 0.4, 0.75), "shift": _between(rng, 0.12, 0.35)}
    return {"model": model, "amount": amount[model]}


def _scratches(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "density": _log_between(rng, 60, 700),
        "width": _log_between(rng, 0.8, 4.0),
        "opacity": _between(rng, 0.5, 1.0),
        "light": float(_pick(rng, 0.0, 0.5, 0.8, 0.95, 1.0, 1.0)),
        "softness": float(_pick(rng, 0.0, _between(rng, 0.3, 0.8))),
    }


_PARAMETERS = {
    "noise": _noise, "jpeg": _jpeg, "motion_blur": _motion, "defocus_blur": _defocus,
    "low_resolution": _low_resolution, "rain": _rain, "haze": _haze, "low_light": _low_light,
    "over_exposure": _over_exposure,
}  # fmt: skip


def _preset_motion(rng: np.random.Generator) -> dict[str, Any]:
    radius, sigma = _pick(rng, (10, 3.0), (15, 5.0), (15, 8.0))
    return {"path": "one_sided", "radius": radius, "extent": sigma, "angle": _between(rng, 0, 2 * np.pi)}


def _preset_noise(rng: np.random.Generator) -> dict[str, Any]:
    return {"sigma": _between(rng, 20, 50), "shot": _pick(rng, 0.0, 1.0)}


def _preset_rain(rng: np.random.Generator) -> dict[str, Any]:
    length = _between(rng, 20, 40)
    return {
        "length": length, "angle": np.deg2rad(_between(rng, -30, 30)), "width": 1.0,
        "density": _between(rng, 0.1, 0.4) / length, "model": "add", "brightness": _between(rng, 0.5, 0.8),
    }  # fmt: skip


def _preset_dark(rng: np.random.Generator) -> dict[str, Any]:
    model = _pick(rng, "shift", "gamma", "compress")
    amount = {
        "shift": -_between(rng, 30, 50) / 255,
        "gamma": 1 / _between(rng, 0.5, 0.7),
        "compress": _between(rng, 100, 150) / 255,
    }
    return {"model": model, "amount": amount[model]}


_PRESET = {
    "noise": _preset_noise,
    "jpeg": lambda rng: {"quality": int(rng.integers(10, 31))},
    "motion_blur": _preset_motion,
    "defocus_blur": lambda rng: {"radius": float(_pick(rng, 3, 4, 6))},
    "low_resolution": lambda rng: {"factor": 4.0, "down": cv2.INTER_CUBIC},
    "rain": _preset_rain,
    "haze": lambda rng: {"beta": _between(rng, 0.6, 1.8), "airlight": _between(rng, 0.7, 1.0)},
    "low_light": _preset_dark,
    "over_exposure": _over_exposure,
    "scratches": _scratches,
}
