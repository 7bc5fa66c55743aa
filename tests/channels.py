"""A world in which every policy's every move can be foretold: each kind of damage darkens one colour channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from conservator.degradations import BY_NAME, INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.perception.segment import segment
from conservator.photo import Photo, open_photo
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Pixels, Samples
from conservator.plan import Step
from conservator.session import Session
from conservator.tools.card import Card, Tool
from conservator.tools.registry import Registry

CHANNELS = {"jpeg": 0, "noise": 1, "haze": 2}
"""Of three stages, in the order in which they are treated."""

HEALTHY, DAMAGED = 158, 76

Works = Callable[[Pixels], bool]


def photo(*kinds: str) -> Photo:
    """48 × 48 px, two thirds of it damaged; too small for the guard to judge colours."""
    image = np.full((48, 48, 3), HEALTHY, np.uint8)
    for kind in kinds:
        image[:, 16:, CHANNELS[kind]] = DAMAGED
    return open_photo(image)


def look(samples: Samples, looks: list[int] | None = None) -> Diagnosis:
    """Finds in each cell what its channel lacks to being healthy."""
    if looks is not None:
        looks.append(1)
    guide = cell_means(samples)
    maps = np.zeros((len(NAMES), *guide.shape[:2]), np.float32)
    for kind, channel in CHANNELS.items():
        lack = np.clip(0.6 - guide[..., channel], 0, 1)
        maps[INDEX[kind]] = np.where(lack > 0.05, lack, 0)
    present = (maps > 0).astype(np.float32)
    return Diagnosis(samples.shape[:2], maps, maps, maps * 0, present, guide, segment(maps, guide))


def healer(name: str, kinds: Iterable[str], share: float = 1.0, works: Works = lambda pixels: True) -> Tool:
    """Gives a share of what lacks back, in pictures on which it works."""
    treats = tuple(kinds)

    def treat(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        result = pixels.copy()
        for kind in treats if works(pixels) else ():
            result[..., CHANNELS[kind]] += np.float32(share) * severity[INDEX[kind]]
        return np.clip(result, 0, 1)

    card = Card(name, treats, BY_NAME[treats[0]].stage, "tests", "adds what lacks")
    return Tool(card, treat)


def broken(name: str, kinds: Iterable[str]) -> Tool:
    """Always fails."""

    def treat(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
        raise ValueError("told to break")

    treats = tuple(kinds)
    return Tool(Card(name, treats, BY_NAME[treats[0]].stage, "tests", "breaks"), treat)


def session(picture: Photo, *tools: Tool, **options: Any) -> Session:
    return Session(picture, tools=Registry(tools), **{"perceiver": look} | options)


def moves(run: Session, *types: str) -> list[str]:
    """Names of the tools, or steps returned to, of the events of some types, in order."""
    return [
        "+".join(step["tool"] for step in event["steps"]) if event["type"] == "returned" else event["tool"]
        for event in run.ledger.events
        if event["type"] in types
    ]


def plan(run: Session) -> list[str]:
    return [step.tool for step in run.steps]


def step(tool: str, *kinds: str, region: str = "whole") -> Step:
    return Step(tool, kinds, (region,))
