"""One photo under treatment: look, apply, look again, keep or take back; within a budget, all of it in the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from conservator.cache import Cache, key_of
from conservator.diagnosis import Diagnosis
from conservator.errors import ToolFailed, UsageError
from conservator.mandate import Mandate
from conservator.memory import Memory
from conservator.outcome import Judgement, Outcome, State
from conservator.perception import Perceiver, glimpse, observe
from conservator.perception.file import by_file
from conservator.perception.steady import steadied
from conservator.photo import Photo
from conservator.pixels.reduce import shrunk
from conservator.pixels.types import Maps, Samples
from conservator.plan import CannotTreat, Plan, Step
from conservator.quality.critic import Critic, View, severity_fall
from conservator.quality.guard import Guard, examine_samples
from conservator.record import Event, Ledger
from conservator.selection import Selector
from conservator.terms import Budget, Limits
from conservator.tools import engine
from conservator.tools.card import Tool
from conservator.tools.registry import TOOLS, Registry
from conservator.trials import Trials, Way
from conservator.work import Work


class Session:
    """One treatment. Held are the original, the previous and the current version, and what states somebody keeps.

    tools      keep the photo's size: policies choose among them
    enlargers  do not; a step of theirs is the last one, and the diagnosis stays that of the photo before it
    steady     whether looks may not flip, see `perception.steady`
    networks   shipped ones that a policy asks by itself, for the record
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
        guard: Guard = examine_samples,
        memory: Memory | None = None,
        steady: bool = True,
    ) -> None:
        self.photo, self.perceiver, self.critic, self.guard = photo, perceiver, critic, guard
        self.enlargers, self.tools = tools.enlargers, tools.without(*tools.enlargers.names)
        self.steady = steady
        self.limits, self.budget = limits or Limits(), budget or Budget()
        self.ledger, self.cache, self.memory = ledger or Ledger(), cache or Cache(), memory
        self.samples: Samples = photo.samples
        self.steps: list[Step] = []
        self.cannot: list[CannotTreat] = []
        self.networks: set[str] = set()
        self.ledger.add("opened", size=list(photo.size), sha256=photo.sha256)
        self._previous: State | None = None
        self._trials = Trials(perceiver, glimpse if perceiver is observe else perceiver)
        begun = time.perf_counter()
        self.diagnosis = self.first = by_file(self._look(self.samples), photo.jpeg_quality)
        self.work = Work((self.diagnosis.maps.shape[1], self.diagnosis.maps.shape[2]))
        self.work.done(time.perf_counter() - begun)
        self.ledger.add("diagnosed", **self.diagnosis.to_dict())
        self._mandate = self._understand()
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
        judged = self._mandate.judged(maps, step)
        self._previous = self.state
        with self.ledger.timed("guard"):
            alike, touched = shrunk(treated, self.photo.size), np.asarray(judged.any(axis=0))
            verdict = self.guard(self.samples, alike, touched if alike is treated else None)
        before = View(self.samples, self.diagnosis)
        self.samples, self._key = treated, key
        if self.scale > 1:
            outcome = Outcome(step, verdict=verdict)
        else:
            seen = self._look(treated)
            self.diagnosis = steadied(seen, self.diagnosis, step.treats) if self.steady else seen
            after = View(treated, self.diagnosis)
            outcome = Outcome.of(step, judged, [Judgement.of(before, after, judged, self.critic)], verdict)
        self.work.done(time.perf_counter() - begun, maps)
        self._report(outcome)
        return outcome

    def forecast(self, *steps: Step) -> Outcome:
        """What a step, or several in a row, would do, tried on proxies; see `forecasts`."""
        return self.forecasts([steps])[0]

    def forecasts(self, ways: Sequence[Sequence[Step]]) -> list[Outcome]:
        """What each way, steps in a row, would do: tried on native crops or the shrunk frame, see `proxies`.

        Ways are tried side by side, and told to the ledger in the order given, whichever ends first. The photo stays as
        it is. Costs no tool call; the budget counts each way as a look ahead. The guard is not asked, for proxies are
        too small for its limits. Raises what `apply` raises.
        """
        chosen = [self._way(steps) for steps in ways]
        expected = self.diagnosis.presence * self.diagnosis.raw
        with self.ledger.timed("look ahead"):
            trials = self._trials.of(chosen, self.samples, expected, self.critic)
        for steps, (outcome, seconds) in zip(ways, trials, strict=True):
            self.budget.looks_ahead += 1
            self.work.tried(seconds)
            told: Event = {"error": str(outcome.failed)} if outcome.failed else {"gain": round(outcome.gain, 4)}
            if len(steps) > 1:
                told["then"] = [step.tool for step in steps[1:]]
            self.ledger.add("looked_ahead", tool=steps[0].tool, treats=list(steps[0].treats), **told)
        return [trial.outcome for trial in trials]

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
        return self._mandate.wanted(self.diagnosis, {kind for step in self.steps for kind in step.treats})

    def specialist(self, kind: str) -> Tool | None:
        """The tool for a kind of damage; among several the one that takes most of what else is wanted along."""
        wanted = set(self.wanted())
        return max(self.tools.treating(kind), key=lambda t: len(wanted & set(t.card.treats)), default=None)

    def plan_maps(self, step: Step) -> Maps:
        """Severity that a step is to treat, float32 (D, h, w); see `Mandate.maps`."""
        return self._mandate.maps(step, self.diagnosis, enlarging=step.tool in self.enlargers)

    def _understand(self) -> Mandate:
        """The caller's terms, read against the photo."""
        limits, selector = self.limits, Selector(self.samples, self.diagnosis)
        with self.ledger.timed("perceive"):
            found = {phrase: selector.select(phrase) for phrase in limits.wishes.places()}
        for wish in limits.wishes.wishes:
            where = found[wish.where].to_dict() if wish.where is not None else None
            self.ledger.add("understood", **wish.to_dict() | {"where": where, "reading": str(wish)})
        return Mandate(limits, lambda phrase: found[phrase].mask)

    def _treated(self, step: Step, maps: Maps) -> tuple[Samples, str]:
        places = [self.limits.places[name] for name in step.regions if name in self.limits.places]
        key = key_of(self._key, step.to_dict(), maps, *places)
        found = self.cache.get(key)
        if found is not None:
            self.ledger.add("reused", tool=step.tool, key=key[:16])
            return found, key
        treated = engine.apply(
            self.tool(step),
            self.samples,
            maps,
            self.diagnosis.guide,
            strength_mask=self._mandate.masks(step, enlarging=step.tool in self.enlargers),
            options=step.options,
            tile=self.limits.tile,
            on_tile=lambda done, total: self.ledger.progress("tile", tool=step.tool, done=done, total=total),
        )
        self.cache.put(key, treated)
        return treated, key

    def _look(self, samples: Samples) -> Diagnosis:
        with self.ledger.timed("perceive"):
            return self.perceiver(samples)

    def _way(self, steps: Sequence[Step]) -> Way:
        """Steps with their tools; a kind that several of them treat is asked for as by the first."""
        maps = np.zeros_like(self.diagnosis.maps)
        for step in steps:
            maps = np.where(maps > 0, maps, self._mandate.judged(self.plan_maps(step), step))
        return Way(tuple((self.tools.get(step.tool), step) for step in steps), maps)

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
