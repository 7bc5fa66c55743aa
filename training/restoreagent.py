"""Recipe: the planner of policy `restoreagent`. A whole plan from a diagnosis, learned from searches.

CONSERVATOR_DATA=../shared/data python training/restoreagent.py            (after searches.py)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conservator.agents.predictor import features
from conservator.degradations import PERCEIVED
from conservator.tools.registry import TOOLS
from loop import Recipe, main
from searches import Search, searches

FEATURES = (
    *(f"{kind}.{what}" for kind in PERCEIVED for what in ("severity", "share")),
    "clean", "variety", "light", "contrast", "darkest", "colour",
)  # fmt: skip
PLACES = 4
"""Longest plan."""

Example = dict[str, Any]


class PlanNetwork(nn.Module):
    """A plan from a few numbers: which tool at each place, or none any more, and how strong each tool would be there.

    (N, features) → logits (N, places, tools + 1), the last one for stopping; strengths (N, places, tools) in [0.4, 1.6]
    """

    def __init__(self, features: int, tools: int, places: int, width: int = 96) -> None:
        super().__init__()
        self.places, self.tools = places, tools
        self.body = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Dropout(0.1)
        )
        self.choice = nn.Linear(width, places * (tools + 1))
        self.amount = nn.Linear(width, places * tools)
        nn.init.zeros_(self.amount.weight)
        nn.init.zeros_(self.amount.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.body(features)
        choice = self.choice(seen).reshape(-1, self.places, self.tools + 1)
        amount = self.amount(seen).reshape(-1, self.places, self.tools)
        return choice, 1 + 0.6 * torch.tanh(amount)


class Plans:
    """Every state of every search with the steps that followed it.

    A plan that is right from the start is right from its middle on, too: a search of three steps gives four examples.
    """

    def __init__(self, held_out: bool = False) -> None:
        self.searches = [one for one in searches() if one.facts["held_out"] == held_out and one.states[0].maps.any()]
        if not self.searches:
            raise SystemExit("no searches: run training/searches.py first")
        self.examples = [_example(one, start) for one in self.searches for start in range(len(one.steps) + 1)]


def tools() -> dict[str, tuple[str, ...]]:
    """What can be chosen: every shipped tool for a kind that somebody perceives."""
    return {tool.name: tool.card.treats for tool in TOOLS if set(tool.card.treats) & set(PERCEIVED)}


NAMES = list(tools())


def _example(one: Search, start: int) -> Example:
    seen = one.states[start].diagnosis
    treated = {kind for step in one.steps[:start] for kind in step.treats}
    known = features(seen, [kind for kind in seen.degradations if kind not in treated])
    choice, strength = np.full(PLACES, -1, np.int64), np.ones(PLACES, np.float32)
    for place, step in enumerate(one.steps[start : start + PLACES]):
        choice[place], strength[place] = NAMES.index(step.tool), step.strength
    length = len(one.steps) - start
    if length < PLACES:
        choice[length] = len(NAMES)
    return {
        "features": np.array([known.get(name, 0.0) for name in FEATURES], np.float32),
        "choice": choice,
        "strength": strength,
    }


def draw(plans: Plans, rng: np.random.Generator) -> Example:
    """An example whose numbers are a little off, as another perceiver's would be."""
    one = dict(plans.examples[rng.integers(len(plans.examples))])
    numbers = one["features"]
    one["features"] = np.clip(numbers * rng.normal(1, 0.06, numbers.shape), 0, 1).astype(np.float32)
    return one


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy over the places up to the end of the plan; ratio of strengths where there is a tool."""
    choice, strength = network(batch["features"])
    wanted = batch["choice"]
    cross = F.cross_entropy(choice.flatten(0, 1), wanted.flatten(), ignore_index=-1, label_smoothing=0.05)
    there = (wanted >= 0) & (wanted < len(NAMES))
    given = strength.gather(2, wanted.clamp(0, len(NAMES) - 1)[..., None])[..., 0]
    ratio = ((given / batch["strength"]).log().abs() * there).sum() / there.sum().clamp_min(1)
    right = (choice.argmax(2) == wanted)[wanted >= 0].float().mean()
    return cross + 0.5 * ratio, {"ratio": float(ratio.detach()), "right": float(right)}


def agreement(found: list[list[str]], wanted: list[list[str]]) -> dict[str, float]:
    """Shares of plans that begin alike and that are all alike, and the mean share of a plan, end included, that is."""
    ends = [([*a, ""], [*b, ""]) for a, b in zip(found, wanted, strict=True)]
    prefix = [_prefix(a, b) / max(len(a), len(b)) for a, b in ends]
    return {
        "first": round(float(np.mean([a[0] == b[0] for a, b in ends])), 3),
        "prefix": round(float(np.mean(prefix)), 3),
        "whole": round(float(np.mean([a == b for a, b in ends])), 3),
    }


def _prefix(one: list[str], other: list[str]) -> int:
    alike = [a == b for a, b in zip(one, other, strict=False)]
    return alike.index(False) if False in alike else len(alike)


def _plans(network: nn.Module, examples: list[Example]) -> list[list[str]]:
    with torch.no_grad():
        choices = network(torch.as_tensor(np.stack([e["features"] for e in examples])))[0].argmax(2).tolist()
    named = [[*NAMES, ""][c] for plan in choices for c in plan]
    plans = [named[i : i + PLACES] for i in range(0, len(named), PLACES)]
    return [plan[: plan.index("")] if "" in plan else plan for plan in plans]


def recipe() -> Recipe:
    held_out = Plans(held_out=True)
    firsts = [_example(one, 0) for one in held_out.searches]
    wanted = [[step.tool for step in one.steps] for one in held_out.searches]
    taught = Plans()

    def validate(network: nn.Module) -> dict[str, Any]:
        choices = {"features": list(FEATURES), "tools": {name: list(treats) for name, treats in tools().items()}}
        first = max({tuple(plan) for plan in wanted}, key=[tuple(plan) for plan in wanted].count)
        return {
            "calibration": choices,
            "agreement": agreement(_plans(network, firsts), wanted),
            "agreement_of_the_commonest_plan": agreement([list(first)] * len(wanted), wanted),
            "searches": len(taught.searches),
            "held_out": len(wanted),
        }

    return Recipe(
        name="restoreagent",
        network=PlanNetwork(len(FEATURES), len(NAMES), PLACES),
        draw=draw,  # type: ignore[arg-type]
        loss=loss,
        example={"features": torch.rand(2, len(FEATURES))},
        outputs=("tools", "strengths"),
        describe={
            "summary": "a whole plan from a diagnosis: tools in order and their strengths",
            "data": "greedy searches with the truth at hand on train/*, see training/searches.py",
            "inputs": {"features": f"float32 (N, {len(FEATURES)}) in [0, 1], named in the calibration"},
            "outputs": {
                "tools": f"float32 (N, {PLACES}, {len(NAMES) + 1}), logits of the tools named in the calibration "
                "at each place of the plan; the last one is to stop",
                "strengths": f"float32 (N, {PLACES}, {len(NAMES)}) in [0.4, 1.6], multiplies the severity found",
            },
        },
        validate=validate,
        batch=64,
        steps=1500,
        rate=2e-3,
        decay=1e-2,
        source=Plans,  # type: ignore[arg-type]
    )


if __name__ == "__main__":
    main(recipe())
