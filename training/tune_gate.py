"""Choose when to act on haze and exposure: gain against harm on held-out training photographs.

    CONSERVATOR_DATA=../shared/data python training/tune_gate.py        (after tone.py)

A third of the photographs is left undamaged, a third suffers from haze or exposure in places, a third also from local
damage. Every setting treats all of them with the tone tool and prints one JSON line.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from conservator.degradations import FRAME, INDEX, NAMES
from conservator.perception import Gate, frame
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Pixels, Samples, to_pixels, to_samples
from conservator.quality.reference import psnr
from conservator.synthesis import degrade, draw_spatial
from conservator.tools import engine
from conservator.tools.registry import TOOLS
from data import Photographs

KINDS = tuple(d.name for d in FRAME)
LOCAL_TOO = (*KINDS, "noise", "jpeg", "rain")
SETTINGS = ((0.5, 0.3), (0.6, 0.3), (0.7, 0.4), (0.8, 0.5), (0.9, 0.5), (0.95, 0.7))
Case = tuple[Pixels, Pixels, Samples, Maps, Maps, bool]


def cases(count: int) -> list[Case]:
    """(clean, damaged by haze or exposure only, its samples, presence, severity, whether damaged)."""
    photographs = Photographs(held_out=True)
    made = []
    for i in range(count):
        rng = np.random.default_rng((31, i))
        clean = photographs.images[i % len(photographs.images)].astype(np.float32) / np.float32(255)
        kinds = ((), KINDS, LOCAL_TOO)[i % 3]
        sample = degrade(clean, draw_spatial(clean, rng, kinds, preset=bool(rng.random() < 0.6))[0] if kinds else [])
        samples = to_samples(sample.degraded, 8)
        logits, severity, _ = np.split(frame.read(samples, cell_means(samples)), 3)
        target = sample.without(("noise", "jpeg", "rain"))
        presence = 1 / (1 + np.exp(-logits))
        made.append(
            (sample.clean, target, to_samples(target, 8), presence, severity, not np.array_equal(target, clean))
        )
    return made


def judge(made: list[Case], seed: float, grow: float) -> dict[str, float]:
    """Mean gain on damaged photographs, share made worse, share of the undamaged ones touched."""
    gate = Gate(dict.fromkeys(KINDS, seed), dict.fromkeys(KINDS, grow))
    gains, touched = [], []
    for clean, target, samples, presence, severity, damaged in made:
        maps = np.zeros((len(NAMES), *presence.shape[1:]), np.float32)
        for i, kind in enumerate(KINDS):
            maps[INDEX[kind]] = gate.decide(kind, presence[i], severity[i])
        if not damaged:
            touched.append(float(maps.any()))
            continue
        treated = engine.apply(TOOLS.get("tone"), samples, maps, cell_means(samples)) if maps.any() else samples
        gains.append(psnr(to_pixels(treated), clean) - psnr(target, clean))
    return {
        "seed": seed,
        "grow": grow,
        "gain": round(float(np.mean(gains)), 3),
        "worse": round(float(np.mean(np.array(gains) < -0.05)), 3),
        "undamaged_touched": round(float(np.mean(touched)), 3),
    }


if __name__ == "__main__":
    photographs = cases(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
    for pair in SETTINGS:
        print(json.dumps(judge(photographs, *pair)), flush=True)
