"""Choose when to act on haze and exposure: gain against harm on held-out training photographs.

    CONSERVATOR_DATA=../shared/data python training/tune_gate.py        (after tone.py)

A quarter of the pictures is left undamaged, a quarter suffers from haze or exposure in places, a quarter also from
local damage, a quarter from haze or exposure all over. Half of the pictures are close-ups, where what is naturally dark
or pale fills the frame. Every setting treats one kind in all of them with the tone tool and prints one JSON line.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from conservator.degradations import BY_NAME, FRAME, INDEX, NAMES
from conservator.perception import Gate, observe
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Pixels, Samples, to_pixels, to_samples
from conservator.quality.reference import psnr
from conservator.synthesis import Damage, degrade, draw_global, draw_spatial
from conservator.tools import engine
from conservator.tools.registry import TOOLS
from data import Photographs

KINDS = tuple(d.name for d in FRAME)
CHANNELS = [INDEX[kind] for kind in KINDS]
LOCAL_TOO = (*KINDS, "noise", "jpeg", "rain")
SETTINGS = ((0.4, 0.2), (0.5, 0.3), (0.6, 0.3), (0.7, 0.3), (0.7, 0.5), (0.8, 0.3), (0.8, 0.5), (0.9, 0.5), (0.95, 0.7))
Case = tuple[Pixels, Pixels, Samples, Maps, Maps, set[str]]


def cases(count: int) -> list[Case]:
    """(clean, damaged by haze or exposure only, its samples, presence, severity, kinds inflicted)."""
    photographs = Photographs(held_out=True)
    made = []
    for i in range(count):
        rng = np.random.default_rng((31, i))
        clean = window(photographs, rng)
        sample = degrade(clean, damages(clean, rng, i % 4))
        samples = to_samples(sample.degraded, 8)
        seen = observe(samples)
        presence, severity = seen.presence[CHANNELS], seen.raw[CHANNELS]
        target = sample.without(("noise", "jpeg", "rain"))
        inflicted = {kind for kind in KINDS if sample.truth[INDEX[kind]].max() >= BY_NAME[kind].threshold}
        made.append((sample.clean, target, to_samples(target, 8), presence, severity, inflicted))
    return made


def window(photographs: Photographs, rng: np.random.Generator) -> Pixels:
    """A photograph, or a close-up that holds a quarter to two thirds of its sides."""
    image = photographs.images[rng.integers(len(photographs.images))]
    if rng.random() < 0.5:
        h, w = (max(96, int(n * rng.uniform(0.25, 0.65))) for n in image.shape[:2])
        y, x = (int(rng.integers(max(1, n - m + 1))) for n, m in zip(image.shape[:2], (h, w), strict=True))
        image = image[y : y + h, x : x + w]
    return np.asarray(image, np.float32) / np.float32(255)


def damages(clean: Pixels, rng: np.random.Generator, style: int) -> list[Damage]:
    """None, haze or exposure in places, with local damage beside it, or all over."""
    if style == 0:
        return []
    if style == 3:
        return draw_global(rng, [str(rng.choice(KINDS))])
    return draw_spatial(clean, rng, (KINDS, LOCAL_TOO)[style - 1], preset=bool(rng.random() < 0.6))[0]


def judge(made: list[Case], kind: str, seed: float, grow: float) -> dict[str, object]:
    """One kind treated alone: mean gain where it is, shares made worse, share of the photographs without it touched."""
    gate, channel = Gate({kind: seed}, {kind: grow}), INDEX[kind]
    gains, falsely = [], []
    for clean, target, samples, presence, severity, kinds in made:
        maps = np.zeros((len(NAMES), *presence.shape[1:]), np.float32)
        maps[channel] = gate.decide(kind, presence[KINDS.index(kind)], severity[KINDS.index(kind)])
        treated = engine.apply(TOOLS.get("tone"), samples, maps, cell_means(samples)) if maps.any() else samples
        gain = psnr(to_pixels(treated), clean) - psnr(target, clean) if maps.any() else 0.0
        (gains if kind in kinds else falsely).append(gain)
    return {
        "kind": kind,
        "seed": seed,
        "grow": grow,
        "gain": round(float(np.mean(gains)), 3),
        "worse": round(float(np.mean(np.array(gains) < -0.05)), 3),
        "harmed": round(float(np.mean(np.array(falsely) < -0.05)), 3),
    }


if __name__ == "__main__":
    photographs = cases(int(sys.argv[1]) if len(sys.argv) > 1 else 240)
    for name in KINDS:
        for pair in SETTINGS:
            print(json.dumps(judge(photographs, name, *pair)), flush=True)
