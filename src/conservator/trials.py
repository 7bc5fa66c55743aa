"""Looking ahead: ways to treat a photograph, each tried on small stand-ins of it, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from conservator.cache import key_of
from conservator.degradations import NAMES
from conservator.diagnosis import Diagnosis
from conservator.errors import ToolFailed
from conservator.models.parallel import side_by_side
from conservator.outcome import Judgement, Outcome
from conservator.perception import Perceiver
from conservator.pixels.types import Maps, Samples
from conservator.plan import Step
from conservator.proxies import Proxy, proxies
from conservator.quality.critic import Critic, View
from conservator.tools import engine
from conservator.tools.card import Tool


class Way(NamedTuple):
    """Steps in a row, and what the first of them is to find: float32 (D, h, w), of the kinds of all of them."""

    moves: tuple[tuple[Tool, Step], ...]
    asked: Maps


class Trial(NamedTuple):
    """What came of a way, and the seconds it took by itself."""

    outcome: Outcome
    seconds: float


class Trials:
    """Tries ways on proxies and changes nothing. Looks at untreated proxies are kept: many ways begin on the same.

    perceiver  looks at shrunk frames
    near       looks at native crops, where only local damage is judged
    """

    def __init__(self, perceiver: Perceiver, near: Perceiver) -> None:
        self._perceiver, self._near = perceiver, near
        self._glimpses: dict[str, Diagnosis] = {}

    def of(self, ways: Sequence[Way], samples: Samples, expected: Maps, critic: Critic) -> list[Trial]:
        """What comes of each way, in order; see `proxies` for `expected`."""
        return side_by_side([partial(self._trial, way, samples, expected, critic) for way in ways])

    def _trial(self, way: Way, samples: Samples, expected: Maps, critic: Critic) -> Trial:
        begun, first = time.perf_counter(), way.moves[0][1]
        try:
            seen = [self._on(proxy, way, critic) for proxy in proxies(samples, way.asked, expected)]
            outcome = Outcome.of(first, way.asked, seen)
        except ToolFailed as error:
            outcome = Outcome(first, failed=error)
        return Trial(outcome, time.perf_counter() - begun)

    def _on(self, proxy: Proxy, way: Way, critic: Critic) -> Judgement:
        key, look = key_of(proxy.samples, proxy.native), self._near if proxy.native else self._perceiver
        before = self._glimpses[key] = self._glimpses.get(key) or look(proxy.samples)
        treated, now, asked = proxy.samples, before, proxy.maps
        for tool, step in way.moves:
            treated = engine.apply(tool, treated, _only(step, asked), now.guide, options=step.options)
            now = look(treated)
            asked = np.where(proxy.maps > 0, now.maps, 0)  # what follows is given what this step left
        return Judgement.of(View(proxy.samples, before), View(treated, now), proxy.maps, critic)


def _only(step: Step, maps: Maps) -> Maps:
    treated = np.array([name in step.treats for name in NAMES])[:, None, None]
    return np.asarray(maps * treated, np.float32)
