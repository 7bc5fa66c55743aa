"""Choose who decides whether a step stays: gain against harm on held-out training photographs.

    CONSERVATOR_DATA=../shared/data python training/tune_critic.py [PHOTOGRAPHS]        (after critic.py)

Every photograph is damaged in places and treated as `spatial` would, every step kept; each critic says of every step
whether it would have kept it. A step that a rule refuses counts as no gain. Prints one JSON line per rule.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np

from conservator.benchmarks.photos import to_bytes
from conservator.photo import open_photo
from conservator.pixels.types import to_pixels
from conservator.policies.spatial import by_stage
from conservator.quality.critic import Opinion, View, severity_fall
from conservator.quality.learned import learned
from conservator.quality.reference import psnr
from conservator.session import Session
from conservator.synthesis import degrade, draw_global, draw_spatial
from data import Photographs

KINDS = ("noise", "jpeg", "rain", "haze", "low_light", "over_exposure", "defocus_blur")
BEST = 50.0
"""dB that no photograph exceeds: an undamaged one that is touched loses from there."""

Step = tuple[float, Opinion, Opinion, bool]
RULES: dict[str, Callable[[Opinion, Opinion], bool]] = {
    "always": lambda seen, told: True,
    "severity_fall": lambda seen, told: seen.sure,
    "learned, sure": lambda seen, told: told.sure,
    "learned, above 0": lambda seen, told: told.gain > 0,
    "learned, above a third of its deviation": lambda seen, told: told.gain > told.deviation / 3,
    "not surely bad": lambda seen, told: told.gain > -told.deviation,
    "severity_fall and learned above 0": lambda seen, told: seen.sure and told.gain > 0,
    "severity_fall, not surely bad": lambda seen, told: seen.sure and told.gain > -told.deviation,
    "severity_fall or learned, sure": lambda seen, told: seen.sure or told.sure,
    "severity_fall and learned above 0, or learned sure": lambda s, t: (s.sure and t.gain > 0) or t.sure,
}
"""Whether to keep a step, from what a second look and what the network says."""


def steps(photographs: Photographs, index: int) -> list[Step]:
    """Of each step on a photograph: the true gain, both opinions, and whether the guard lets it pass."""
    rng = np.random.default_rng((53, index))
    image = photographs.images[rng.integers(len(photographs.images))][:480, :480]
    clean = image.astype(np.float32) / np.float32(255)
    if index % 3 == 2:
        chosen = {str(kind) for kind in rng.choice(KINDS, int(rng.integers(0, 3)))}
        sample = degrade(clean, draw_global(rng, list(chosen)))
    else:
        sample = degrade(clean, *draw_spatial(clean, rng, KINDS, preset=bool(rng.random() < 0.5)))
    opinions: list[tuple[Opinion, Opinion]] = []

    def both(before: View, after: View, asked: np.ndarray) -> Opinion:
        opinions.append((severity_fall(before, after, asked), learned(before, after, asked)))
        return opinions[-1][0]

    session = Session(open_photo(to_bytes(sample.degraded)), critic=both)
    found, quality = [], min(psnr(sample.degraded, sample.clean), BEST)
    for _, step in by_stage(session):
        outcome = session.apply(step) if step is not None else None
        if outcome is None or outcome.failed is not None:
            continue
        now = min(psnr(to_pixels(session.samples), sample.clean), BEST)
        found.append((now - quality, *opinions[-1], outcome.verdict is None or outcome.verdict.ok))
        session.keep(outcome)
        quality = now
    return found


def told(rule: str, every: list[list[Step]]) -> dict[str, object]:
    """What a rule would have made of all photographs."""
    kept = [[gain for gain, seen, told, ok in one if ok and RULES[rule](seen, told)] for one in every]
    gains = np.array([sum(one) for one in kept])
    return {
        "rule": rule,
        "photographs": len(every),
        "steps": sum(map(len, every)),
        "kept": sum(map(len, kept)),
        "gain": round(float(gains.mean()), 3),
        "median": round(float(np.median(gains)), 3),
        "worse": round(float((gains < -0.05).mean()), 3),
        "worst": round(float(gains.min()), 2),
    }


if __name__ == "__main__":
    held_out = Photographs(held_out=True)
    treated = [steps(held_out, i) for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60)]
    for name in RULES:
        print(json.dumps(told(name, treated)), flush=True)
    for one in treated:
        for gain, seen, guess, ok in one:
            figures = [round(v, 3) for v in (gain, seen.gain, seen.deviation, guess.gain, guess.deviation)]
            print(json.dumps({"gain, severity_fall, learned": figures, "guard": ok}))
