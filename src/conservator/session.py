"""One photo under treatment: look, apply, look again, keep or take back; within a budget, all of it in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from conservator.cache import Cache, key_of
from conservator.degradations import BY_NAME, INDEX, NAMES, TOLD, Sight
from conservator.diagnosis import Diagnosis
from conservator.errors import ToolFailed, UsageError
from conservator.memory import Memory
from conservator.outcome import Judgement, Outcome, State
from conservator.perception import observe
from conservator.photo import Photo
from conservator.pixels.reduce import mask_cells, shrunk
from conservator.pixels.types import Maps, Mask, Samples
from conservator.plan import CannotTreat, Plan, Step
from conservator.proxies import Proxy, proxies
from conservator.quality.critic import Critic, View, severity_fall, severity_left
from conservator.quality.guard import examine_samples
from conservator.record import Ledger
from conservator.regions import EVERYWHERE, area
from conservator.selection import Selector
from conservator.terms import Budget, Limits
from conservator.tools import engine
from conservator.tools.card import Tool
from conservator.tools.registry import TOOLS, Registry
from conservator.work import Work

Perceiver = Callable[[Samples], Diagnosis]


class Session:
    """One treatment. Held are the original, the previous and the current version, and what states somebody keeps.

    tools      keep the photo's size: policies choose among them
    enlargers  do not; a step of theirs is the last one, and the diagnosis stays that of the photo before it
    """

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
        critic: Critic = severity_fall,
        memory: Memory | None = None,
    ) -> None:
        self.photo, self.perceiver, self.critic = photo, perceiver, critic
        self.enlargers, self.tools = tools.enlargers, tools.without(*tools.enlargers.names)
        self.limits, self.budget = limits or Limits(), budget or Budget()
        self.ledger, self.cache, self.memory = ledger or Ledger(), cache or Cache(), memory
        self.samples: Samples = photo.samples
        self.steps: list[Step] = []
        self.cannot: list[CannotTreat] = []
        self.ledger.add("opened", size=list(photo.size), sha256=photo.sha256)
        self._previous: State | None = None
        self._glimpses: dict[str, Diagnosis] = {}
        begun = time.perf_counter()
        self.diagnosis = self.first = self._look(self.samples)
        self.work = Work((self.diagnosis.maps.shape[1], self.diagnosis.maps.shape[2]))
        self.work.done(time.perf_counter() - begun)
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
        Raises UsageError when the step names an unknown tool, region or kind, or follows one that enlarged.
        """
        tool = self.tool(step)
        if self.scale > 1:
            raise UsageError(f"{tool.name} after enlarging", "enlarging as the last step", "change the order")
        maps = self.plan_maps(step)
        self.budget.calls += 1
        self.ledger.add("step_started", **step.to_dict())
        begun = time.perf_counter()
        try:
            with self.ledger.timed("tools"):
                treated, key = self._treated(step, maps)
        except ToolFailed as error:
            self.work.done(time.perf_counter() - begun, maps)
            self.ledger.add("step_failed", tool=tool.name, error=str(error))
            return Outcome(step, failed=error)
        judged = self._judged(maps)
        self._previous = self.state
        with self.ledger.timed("guard"):
            alike, touched = shrunk(treated, self.photo.size), np.asarray(judged.any(axis=0))
            verdict = examine_samples(self.samples, alike, touched if alike is treated else None)
        before = View(self.samples, self.diagnosis)
        self.samples, self._key = treated, key
        if self.scale > 1:
            outcome = Outcome(step, verdict=verdict)
        else:
            self.diagnosis = self._look(treated)
            outcome = Outcome.of(step, judged, [self._judge(before, View(treated, self.diagnosis), judged)], verdict)
        self.work.done(time.perf_counter() - begun, maps)
        self._report(outcome)
        return outcome

    def forecast(self, step: Step) -> Outcome:
        """What a step would do, tried on proxies: native crops or the shrunk frame, see `proxies`.

        The photo stays as it is. Costs no tool call; the budget counts it as a look ahead. The guard is not asked, for
        proxies are too small for its limits. Raises what `apply` raises.
        """
        tool, judged = self.tools.get(step.tool), self._judged(self.plan_maps(step))
        self.budget.looks_ahead += 1
        begun = time.perf_counter()
        try:
            with self.ledger.timed("look ahead"):
                expected = self.diagnosis.presence * self.diagnosis.raw
                trials = [self._try(tool, step, proxy) for proxy in proxies(self.samples, judged, expected)]
            outcome = Outcome.of(step, judged, trials)
        except ToolFailed as error:
            outcome = Outcome(step, failed=error)
        self.work.tried(time.perf_counter() - begun)
        seen = {"error": str(outcome.failed)} if outcome.failed else {"gain": round(outcome.gain, 4)}
        self.ledger.add("looked_ahead", tool=tool.name, treats=list(step.treats), **seen)
        return outcome

    @property
    def scale(self) -> int:
        """How many times larger than it came the photo is by now, along a side."""
        return int(self.samples.shape[0] // self.photo.size[0])

    def tool(self, step: Step) -> Tool:
        """The tool of a step; UsageError when there is none of that name."""
        return (self.enlargers if step.tool in self.enlargers else self.tools).get(step.tool)

    @property
    def state(self) -> State:
        """The photo as it is now, to come back to with `return_to`."""
        return State(self.samples, self._key, self.diagnosis, tuple(self.steps))

    def return_to(self, state: State, reason: str) -> None:
        """Roll back, over any number of kept steps, or forward again to a state left before."""
        self.samples, self._key, self.diagnosis = state.samples, state.key, state.diagnosis
        self.steps, self._previous = list(state.steps), None
        self.ledger.add("returned", steps=[step.to_dict() for step in state.steps], reason=reason)

    def decide(self, outcome: Outcome) -> bool:
        """Keep the last step when nothing speaks against it, else take it back; whether it was kept."""
        if outcome.failed is not None:
            return False
        if outcome.objection is None:
            self.keep(outcome)
            return True
        self.take_back(outcome, outcome.objection)
        return False

    def keep(self, outcome: Outcome) -> None:
        """Make the step part of the plan."""
        self.steps.append(outcome.step)
        self._previous = None
        larger = {"scale": self.scale} if self.scale > 1 else {}
        self.ledger.add("kept", tool=outcome.step.tool, gain=round(outcome.gain, 4), **larger)

    def take_back(self, outcome: Outcome, reason: str) -> None:
        """Return to the state before the last step."""
        if self._previous is None:
            raise UsageError("nothing to take back", "a step applied and not yet kept")
        self.samples, self._key = self._previous.samples, self._previous.key
        self.diagnosis, self._previous = self._previous.diagnosis, None
        self.ledger.add("taken_back", tool=outcome.step.tool, reason=reason)

    def cannot_treat(self, degradation: str, reason: str) -> None:
        """Say that damage was found and is left alone."""
        regions = tuple(r.id for r in self.diagnosis.regions if degradation in r.severities)
        self.cannot.append(CannotTreat(degradation, regions, reason))
        self.ledger.add("cannot_treat", degradation=degradation, regions=list(regions), reason=reason)

    def stop(self, reason: str | None = None) -> None:
        """Say why the treatment ends; by itself it knows a clean photo, a spent budget, and that nothing is left."""
        if reason is None:
            reason = "clean" if not self.first.degradations else self.exhausted or "nothing left to treat"
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
        """Kinds that ail the photo and that the caller wants treated, in channel order.

        A kind that nothing perceives ails it when the caller names it, until a step against it is kept.
        """
        wishes, done = self.limits.wishes, {kind for step in self.steps for kind in step.treats}
        named = tuple(d.name for d in TOLD if wishes.names(d.name) and d.name not in done)
        wanted = (k for k in self.diagnosis.degradations + named if wishes.strength(k) * self.limits.strength > 0)
        return tuple(k for k in wanted if k not in self._open or np.any((self._found(k) > 0) & self._open[k]))

    def specialist(self, kind: str) -> Tool | None:
        """The tool for a kind of damage; among several the one that takes most of what else is wanted along."""
        wanted = set(self.wanted())
        return max(self.tools.treating(kind), key=lambda t: len(wanted & set(t.card.treats)), default=None)

    def plan_maps(self, step: Step) -> Maps:
        """Severity that a step is to treat, float32 (D, h, w); zero for other kinds and outside its regions.

        Masks, and the places that wishes name, are not in it: the engine keeps to them by the pixel.

        A kind that nothing perceives is treated in full: whoever asks for its tool has seen it. So is a photo that is
        enlarged, whatever damage the wishes are about.
        """
        maps = np.zeros_like(self.diagnosis.maps)
        where, uniform = area(step.regions, self.diagnosis.regions), step.regions == (EVERYWHERE,)
        for kind in step.treats:
            if kind not in INDEX:
                raise UsageError(f"degradation {kind!r}", f"one of {', '.join(NAMES)}")
            asked = self._found(kind, uniform) * self.limits.wishes.strength(kind)
            severity = (1.0 if step.tool in self.enlargers else asked) * step.strength * self.limits.strength
            maps[INDEX[kind]] = np.clip(severity, 0.0, 1.0) * where
        return maps

    def _found(self, kind: str, uniform: bool = False) -> Mask | float:
        """Severity per cell, or for the frame as one thing its mean where there is any."""
        if BY_NAME[kind].sight is Sight.TOLD:
            return 1.0
        cells = self.diagnosis.cells(kind)
        return float(cells[cells > 0].mean()) if uniform and cells.any() else cells

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
        mask = self.limits.mask
        weights = self._weights if step.tool in self.tools else {} if mask is None else dict.fromkeys(NAMES, mask)
        treated = engine.apply(
            self.tool(step),
            self.samples,
            maps,
            self.diagnosis.guide,
            strength_mask={kind: mask for kind, mask in weights.items() if kind in step.treats},
            options=step.options,
            tile=self.limits.tile,
            on_tile=lambda done, total: self.ledger.progress("tile", tool=step.tool, done=done, total=total),
        )
        self.cache.put(key, treated)
        return treated, key

    def _look(self, samples: Samples) -> Diagnosis:
        with self.ledger.timed("perceive"):
            return self.perceiver(samples)

    def _try(self, tool: Tool, step: Step, proxy: Proxy) -> Judgement:
        key = key_of(proxy.samples)
        before = self._glimpses[key] = self._glimpses.get(key) or self.perceiver(proxy.samples)
        treated = engine.apply(tool, proxy.samples, proxy.maps, before.guide, options=step.options)
        return self._judge(View(proxy.samples, before), View(treated, self.perceiver(treated)), proxy.maps)

    def _judge(self, before: View, after: View, asked: Maps) -> Judgement:
        left = severity_left(before.diagnosis, asked), severity_left(after.diagnosis, asked)
        return Judgement(int(np.count_nonzero(asked)), *left, self.critic(before, after, asked))

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
