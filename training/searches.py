"""Searches with the truth at hand: what `restoreagent` learns from and what the shipped experience is distilled from.

CONSERVATOR_DATA=../shared/data python training/searches.py 480      (after every network; resumable; about 4 s a case)

Each case is a training photograph, damaged all over or differently in different regions. Greedily, as the policy
`oracle` does, every tool is tried on the frame as one thing, the one nearest to the truth is taken, and its strength
is looked for too. A case ends as NUMBER.npz: the diagnosis before every step, and the steps.

Half of the cases see what the shipped perceivers see, half are told the truth: so what is learned from them holds for
better perceivers as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.agents.expert import every_step
from conservator.benchmarks.controls import true_diagnosis
from conservator.benchmarks.photos import to_bytes
from conservator.degradations import INDEX
from conservator.diagnosis import Diagnosis
from conservator.perception import observe
from conservator.photo import open_photo
from conservator.pixels.types import Samples
from conservator.plan import Step
from conservator.policies.oracle import LEAST
from conservator.quality.critic import severity_left
from conservator.regions import EVERYWHERE
from conservator.session import Perceiver, Session
from conservator.synthesis import COMBINATIONS, Sample, degrade, draw_preset, draw_spatial
from conservator.tools import engine
from data import Photographs
from loop import CHECKPOINTS

FOLDER = CHECKPOINTS / "searches"
SEED = 47
LONGEST = 288
"""Long side of the photographs in pixels; the searches cost what their pixels cost."""

HELD_OUT = 8
"""Every eighth case is of a photograph that validates."""

STRENGTHS = (0.5, 0.75, 1.35)
"""Tried besides 1, on the best step only; each has to leave a hundredth less error than full strength."""

KINDS = ("noise", "jpeg", "rain", "haze", "low_light", "over_exposure", "defocus_blur")
"""What the tools can treat, for the damage drawn beside AgenticIR's combinations."""


@dataclass(frozen=True, eq=False)
class State:
    """What is known before a step, float32 on the cell grid: maps (D, h, w), guide (h, w, 3)."""

    maps: NDArray[np.float32]
    guide: NDArray[np.float32]

    @property
    def diagnosis(self) -> Diagnosis:
        """The same as a diagnosis without doubt."""
        size = self.guide.shape[0] * 8, self.guide.shape[1] * 8
        present = (self.maps > 0).astype(np.float32)
        return Diagnosis(size, self.maps, self.maps, self.maps * 0, present, self.guide)


@dataclass(frozen=True, eq=False)
class Search:
    """One case: a state before each step and one after the last.

    facts   held_out, told, kinds (inflicted), gain_db, gain (share of the perceived damage gone), objections
    """

    states: tuple[State, ...]
    steps: tuple[Step, ...]
    facts: dict[str, Any]


def sample(photographs: Photographs, rng: np.random.Generator) -> Sample:
    """A third AgenticIR's combinations, a third one to three kinds all over, a third different in regions."""
    clean = photographs.frame(rng, LONGEST)
    style = rng.integers(3)
    if style == 0:
        every = [kinds for group in COMBINATIONS.values() for kinds in group]
        return degrade(clean, draw_preset(rng, every[rng.integers(len(every))]))
    if style == 1:
        chosen = [str(k) for k in rng.permutation(KINDS)[: rng.integers(1, 4)]]
        chosen = [k for k in chosen if k != "over_exposure" or "low_light" not in chosen]
        return degrade(clean, draw_preset(rng, sorted(chosen, key=_light_first)))
    damages, masks = draw_spatial(clean, rng, KINDS, (2, 4), 2, preset=True)
    return degrade(clean, damages, masks)


def _light_first(kind: str) -> int:
    order = ("low_light", "over_exposure", "haze", "rain", "defocus_blur", "noise", "jpeg")
    return order.index(kind)


def search(one: Sample, told: bool) -> tuple[list[State], list[Step], dict[str, Any]]:
    """The greedy search; each kind is treated once at most, since a plan made in advance cannot look again."""
    truth = open_photo(to_bytes(one.clean)).samples.astype(np.float32)
    treated: set[str] = set()
    session = Session(open_photo(to_bytes(one.degraded)), perceiver=_knowing(one, treated) if told else observe)
    first = _error(session.samples, truth)
    states, steps, objections = [_state(session.diagnosis)], list[Step](), list[str | None]()
    refused: set[tuple[str, tuple[str, ...]]] = set()
    while wanted := [kind for kind in session.wanted() if kind not in treated]:
        possible = [s for s in every_step(session, wanted, EVERYWHERE) if (s.tool, s.treats) not in refused]
        step = _best(session, possible, truth)
        if step is None:
            break
        treated.update(step.treats)
        outcome = session.apply(step)
        if outcome.verdict is None or not outcome.verdict.ok:
            treated.difference_update(step.treats)
            refused.add((step.tool, step.treats))
            session.take_back(outcome, "the guard refuses")
            continue
        session.keep(outcome)
        steps.append(step)
        objections.append(outcome.objection)
        states.append(_state(session.diagnosis))
    then, now = (severity_left(seen, session.first.maps) for seen in (session.first, session.diagnosis))
    facts = {
        "told": told,
        "gain_db": 10 * float(np.log10(max(first, 1e-9) / max(_error(session.samples, truth), 1e-9))),
        "gain": 1 - now / then if then > 0 else 0.0,
        "objections": objections,
        "kinds": [damage.kind for damage in one.damages],
    }
    return states, steps, facts


def _best(session: Session, steps: list[Step], truth: NDArray[np.float32]) -> Step | None:
    """The step that leads nearest to the truth, at its best strength; None when none leads nearer."""
    errors = [(_tried(session, step, truth), step) for step in steps]
    least, best = min(errors, key=lambda pair: pair[0], default=(np.inf, None))
    if best is None:
        return None
    for strength in STRENGTHS:
        other = replace(best, strength=strength)
        if (error := _tried(session, other, truth)) < 0.99 * least:
            least, best = error, other
    return best if least < LEAST * _error(session.samples, truth) else None


def _tried(session: Session, step: Step, truth: NDArray[np.float32]) -> float:
    tool = session.tools.get(step.tool)
    return _error(engine.apply(tool, session.samples, session.plan_maps(step), session.diagnosis.guide), truth)


def _error(samples: Samples, truth: NDArray[np.float32]) -> float:
    return float(np.square(samples - truth).mean(dtype=np.float64))


def _knowing(one: Sample, treated: set[str]) -> Perceiver:
    """Told the truth about what was not treated yet."""

    def look(samples: Samples) -> Diagnosis:
        truth = one.truth.copy()
        truth[[INDEX[kind] for kind in treated]] = 0
        return true_diagnosis(truth, samples)

    return look


def _state(diagnosis: Diagnosis) -> State:
    return State(diagnosis.maps, diagnosis.guide)


def save(number: int, found: tuple[list[State], list[Step], dict[str, Any]]) -> None:
    """NUMBER.npz, whole or not at all."""
    states, steps, facts = found
    text = json.dumps({"steps": [step.to_dict() for step in steps], **facts})
    arrays = {f"maps{i}": state.maps.astype(np.float16) for i, state in enumerate(states)}
    arrays |= {f"guide{i}": state.guide.astype(np.float16) for i, state in enumerate(states)}
    temporary = FOLDER / f"{number:05}.tmp.npz"
    np.savez_compressed(temporary, text=np.array(text), **arrays)
    temporary.replace(FOLDER / f"{number:05}.npz")


def load(path: Path) -> Search:
    """What `save` wrote."""
    with np.load(path) as file:
        facts = json.loads(str(file["text"]))
        steps = tuple(Step.from_dict(step) for step in facts.pop("steps"))
        pairs = ((file[f"maps{i}"], file[f"guide{i}"]) for i in range(len(steps) + 1))
        return Search(tuple(State(*(a.astype(np.float32) for a in pair)) for pair in pairs), steps, facts)


def searches() -> Iterator[Search]:
    """All searches so far, in order."""
    for path in sorted(FOLDER.glob("[0-9]*.npz")):
        if path.stem.isdigit():
            yield load(path)


def main(count: int) -> None:
    """Make those of the first `count` searches that are missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = [Photographs(held_out) for held_out in (False, True)]
    for number in range(count):
        if (FOLDER / f"{number:05}.npz").exists():
            continue
        rng, held_out = np.random.default_rng((SEED, number)), number % HELD_OUT == 0
        states, steps, facts = search(sample(parts[held_out], rng), told=bool(rng.random() < 0.5))
        save(number, (states, steps, {"held_out": held_out, **facts}))
        plan = [(step.tool, step.strength) for step in steps]
        print(number, facts["kinds"], plan, f"{facts['gain_db']:.2f} dB", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 480)
