"""One photo under treatment: look, apply, look again, keep or take back; within a budget, all of it in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from conservator.cache import Cache, key_of
from conservator.degradations import BY_NAME, INDEX, NAMES, Sight
from conservator.diagnosis import Diagnosis
from conservator.errors import ConservatorError, ToolFailed, UsageError
from conservator.perception import observe
from conservator.photo import Photo
from conservator.pixels.reduce import mask_cells
from conservator.pixels.types import Maps, Mask, Samples
from conservator.plan import CannotTreat, Plan, Step
from conservator.quality.guard import Verdict, examine_samples
from conservator.record import Ledger
from conservator.regions import WHOLE
from conservator.selection import Selector
from conservator.tools import engine
from conservator.tools.card import Tool
from conservator.tools.registry import TOOLS, Registry
from conservator.wishes import Wishes

Perceiver = Callable[[Samples], Diagnosis]


@dataclass
class Budget:
    """What a run may spend.

    max_calls    most tool calls; None is no limit
    max_seconds  no step starts after this many seconds; None is no limit
    calls        tool calls so far
    """

    max_calls: int | None = None
    max_seconds: float | None = None
    calls: int = 0

    def spent(self, elapsed: float) -> str | None:
        """Why no further step may start, or None."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"max_calls={self.max_calls} used up"
        if self.max_seconds is not None and elapsed >= self.max_seconds:
            return f"max_seconds={self.max_seconds:g} used up"
        return None


@dataclass(frozen=True, eq=False)
class Limits:
    """What the caller asked for.

    strength  multiplies every severity
    wishes    the instruction, parsed
    mask      float32 (H, W): 1 treat, 0 protect; None is everywhere
    tile      side of the engine's tiles in px
    """

    strength: float = 1.0
    wishes: Wishes = field(default_factory=Wishes)
    mask: Mask | None = None
    tile: int = 512


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step did.

    step     as asked for
    before   severity left of what it treats, mean over the cells it was to treat
    after    the same, seen again afterwards
    verdict  of the fidelity guard
    failed   the tool's error, or None
    """

    step: Step
    before: float
    after: float
    verdict: Verdict | None = None
    failed: ConservatorError | None = None

    @property
    def gain(self) -> float:
        """Share of the severity that is gone, ≤ 1; negative when it grew."""
        return 1.0 - self.after / self.before if self.before > 0 else 0.0


class Session:
    """State of one treatment. At most three versions of the photo are held: original, previous, current."""

    def __init__(
        self,
        photo: Photo,
        *,
        tools: Registry = TOOLS,
        limits: Limits | None = None,
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        cache: Cache | None = None,
        perceiver: Perceiver = observe,
    ) -> None:
        self.photo, self.tools, self.perceiver = photo, tools, perceiver
        self.limits, self.budget = limits or Limits(), budget or Budget()
        self.ledger, self.cache = ledger or Ledger(), cache or Cache()
        self.samples: Samples = photo.samples
        self.steps: list[Step] = []
        self.cannot: list[CannotTreat] = []
        self.ledger.add("opened", size=list(photo.size), sha256=photo.sha256)
        self._previous: tuple[Samples, str, Diagnosis] | None = None
        self.diagnosis = self.first = self._look()
        self.ledger.add("diagnosed", **self.diagnosis.to_dict())
        self._weights = self._understand()
        # Steps are judged by the cells that masks and wishes leave something of.
        opened = {id(mask): mask_cells(mask) > 0 for mask in self._weights.values()}
        self._open = {kind: opened[id(mask)] for kind, mask in self._weights.items()}
        mask, wishes = self.limits.mask, self.limits.wishes.to_dict()
        everywhere = mask if mask is not None else "everywhere"
        self._key = key_of(photo.sha256, list(photo.size), self.limits.tile, everywhere, wishes)

    def apply(self, step: Step) -> Outcome:
        """Run a step, look again and compare; the result is current until `take_back`.

        A tool that fails costs only its step: the photo is unchanged and the outcome says so.
        Raises UsageError when the step names an unknown tool, region or kind.
        """
        tool = self.tools.get(step.tool)
        maps = self.plan_maps(step)
        self.budget.calls += 1
        self.ledger.add("step_started", **step.to_dict())
        try:
            with self.ledger.timed("tools"):
                treated, key = self._treated(step, maps)
        except ToolFailed as error:
            self.ledger.add("step_failed", tool=tool.name, error=str(error))
            return Outcome(step, 0.0, 0.0, failed=error)
        judged = self._judged(maps)
        before = self._severity(self.diagnosis, judged)
        self._previous = (self.samples, self._key, self.diagnosis)
        with self.ledger.timed("guard"):
            verdict = examine_samples(self.samples, treated, np.asarray(judged.any(axis=0)))
        self.samples, self._key = treated, key
        self.diagnosis = self._look()
        outcome = Outcome(step, before, self._severity(self.diagnosis, judged), verdict)
        self._report(outcome)
        return outcome

    def keep(self, outcome: Outcome) -> None:
        """Make the step part of the plan."""
        self.steps.append(outcome.step)
        self._previous = None
        self.ledger.add("kept", tool=outcome.step.tool, gain=round(outcome.gain, 4))

    def take_back(self, outcome: Outcome, reason: str) -> None:
        """Return to the state before the last step."""
        if self._previous is None:
            raise UsageError("nothing to take back", "a step applied and not yet kept")
        self.samples, self._key, self.diagnosis = self._previous
        self._previous = None
        self.ledger.add("taken_back", tool=outcome.step.tool, reason=reason)

    def cannot_treat(self, degradation: str, reason: str) -> None:
        """Say that damage was found and is left alone."""
        regions = tuple(r.id for r in self.diagnosis.regions if degradation in r.severities)
        self.cannot.append(CannotTreat(degradation, regions, reason))
        self.ledger.add("cannot_treat", degradation=degradation, regions=list(regions), reason=reason)

    def stop(self, reason: str) -> None:
        """Say why the treatment ends."""
        self.ledger.add("stopped", reason=reason, calls=self.budget.calls)

    @property
    def exhausted(self) -> str | None:
        """Why the budget allows no further step, or None."""
        return self.budget.spent(self.ledger.elapsed)

    @property
    def plan(self) -> Plan:
        """What was kept so far and what cannot be treated."""
        return Plan(tuple(self.steps), tuple(self.cannot))

    def wanted(self) -> tuple[str, ...]:
        """Kinds that ail the photo and that the caller wants treated, in channel order."""
        wish = self.limits.wishes.strength
        wanted = (k for k in self.diagnosis.degradations if wish(k) > 0 and self.limits.strength > 0)
        return tuple(k for k in wanted if k not in self._open or (self.diagnosis.cells(k)[self._open[k]] > 0).any())

    def specialist(self, kind: str) -> Tool | None:
        """The tool for a kind of damage; among several the one that takes most of what else is wanted along."""
        wanted = set(self.wanted())
        return max(self.tools.treating(kind), key=lambda t: len(wanted & set(t.card.treats)), default=None)

    def plan_maps(self, step: Step) -> Maps:
        """Severity that a step is to treat, float32 (D, h, w); zero for other kinds and outside its regions.

        Masks, and the places that wishes name, are not in it: the engine keeps to them by the pixel.

        A kind that nothing perceives is treated in full: whoever asks for its tool has seen it.
        """
        maps = np.zeros_like(self.diagnosis.maps)
        where = self._where(step.regions)
        for kind in step.treats:
            if kind not in INDEX:
                raise UsageError(f"degradation {kind!r}", f"one of {', '.join(NAMES)}")
            factor = step.strength * self.limits.strength * self.limits.wishes.strength(kind)
            found = 1.0 if BY_NAME[kind].sight is Sight.TOLD else self.diagnosis.cells(kind)
            maps[INDEX[kind]] = np.clip(found * factor, 0.0, 1.0) * where
        return maps

    def _understand(self) -> dict[str, Mask]:
        """The share of its severity that each kind is treated with per pixel, by masks and by the places in wishes."""
        wishes, mask = self.limits.wishes, self.limits.mask
        selector = Selector(self.samples, self.diagnosis)
        with self.ledger.timed("perceive"):
            found = {phrase: selector.select(phrase) for phrase in wishes.places()}
        for wish in wishes.wishes:
            where = found[wish.where].to_dict() if wish.where is not None else None
            self.ledger.add("understood", **wish.to_dict() | {"where": where, "reading": str(wish)})
        shares = wishes.shares(lambda phrase: found[phrase].mask)
        if mask is None:
            return shares
        both = {id(share): share * mask for share in shares.values()}
        return {kind: both[id(shares[kind])] if kind in shares else mask for kind in NAMES}

    def _where(self, regions: Iterable[str]) -> Mask | float:
        chosen = tuple(regions)
        if chosen == (WHOLE,):
            return 1.0
        masks = {r.id: r.mask for r in self.diagnosis.regions}
        unknown = [r for r in chosen if r not in masks]
        if unknown:
            raise UsageError(f"regions {unknown}", f"some of {sorted(masks)} or {WHOLE!r}", "see the diagnosis")
        return np.asarray(np.clip(sum(masks[r] for r in chosen), 0.0, 1.0), np.float32)

    def _judged(self, maps: Maps) -> Maps:
        """Maps without the cells that masks and wishes leave nothing of."""
        judged = maps.copy()
        for kind, cells in self._open.items():
            judged[INDEX[kind]] *= cells
        return judged

    def _treated(self, step: Step, maps: Maps) -> tuple[Samples, str]:
        key = key_of(self._key, step.to_dict(), maps)
        found = self.cache.get(key)
        if found is not None:
            self.ledger.add("reused", tool=step.tool, key=key[:16])
            return found, key
        treated = engine.apply(
            self.tools.get(step.tool),
            self.samples,
            maps,
            self.diagnosis.guide,
            strength_mask={kind: mask for kind, mask in self._weights.items() if kind in step.treats},
            options=step.options,
            tile=self.limits.tile,
            on_tile=lambda done, total: self.ledger.progress("tile", tool=step.tool, done=done, total=total),
        )
        self.cache.put(key, treated)
        return treated, key

    def _look(self) -> Diagnosis:
        with self.ledger.timed("perceive"):
            return self.perceiver(self.samples)

    @staticmethod
    def _severity(diagnosis: Diagnosis, asked: Maps) -> float:
        """Mean expected severity (presence × severity) over the cells and kinds that were to be treated."""
        expected = diagnosis.presence * diagnosis.raw
        return float(expected[asked > 0].mean()) if (asked > 0).any() else 0.0

    def _report(self, outcome: Outcome) -> None:
        verdict = outcome.verdict
        self.ledger.add(
            "step_done",
            tool=outcome.step.tool,
            before=round(outcome.before, 5),
            after=round(outcome.after, 5),
            gain=round(outcome.gain, 4),
            guard_ok=verdict.ok if verdict else None,
            guard_reasons=list(verdict.reasons) if verdict else [],
        )
