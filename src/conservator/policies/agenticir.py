"""AgenticIR (Zhu et al., ICLR 2025, arXiv 2410.17809): perceive, schedule, execute, reflect, reschedule.

The kinds of damage found are subtasks. A subtask tries its tools until one leaves very little of its damage; the best
of them stands. When what is left is still severe, the agent rolls back and reschedules: another subtask goes first,
depth first through the orders. When no order treats everything, it settles for the best state it has seen.

Deviations: perception, scheduling, reflection and comparison are the embedded perceiver, scheduler and critic instead
of DepictQA and GPT-4; the five levels of severity are fifths of the mean expected severity; a subtask fails also when
the critic or the guard objects; the agenda is what the gate lets through instead of "medium" and above; tools come in
a fixed order instead of a random one; the order is that of the stages, and where the session has a memory, a plan that
helped on similar photographs goes first (`agents.experienced`) instead of rules a language model distilled; after
`PATIENCE` tool calls the search ends; from the best state no further subtask is forced; damage that left with other
damage is no subtask any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conservator.agents.experienced import experienced
from conservator.agents.expert import Expert, agenda, whole_frame
from conservator.agents.scheduler import Scheduler, last_damage_first
from conservator.outcome import Outcome, State
from conservator.session import Session

VERY_LOW, LOW = 0.2, 0.4
"""Mean expected severity up to which a result counts as very low, where no other tool is tried, and as low."""

PATIENCE = 24
"""Tool calls after which the best state so far has to do; all orders of three kinds need at most 15."""


@experienced
def agenticir(session: Session, scheduler: Scheduler = last_damage_first, expert: Expert = whole_frame) -> None:
    """Depth-first search for an order of subtasks that all succeed."""
    search = _Search(session, scheduler, expert, session.state)
    if not search.solve(agenda(session, expert)) and session.samples is not search.best.samples:
        session.return_to(search.best, "compromise: no order treats everything, this was the best state")
    session.stop()


@dataclass
class _Search:
    """The state of the search; `best` is the state with the largest worth of the steps that led there."""

    session: Session
    scheduler: Scheduler
    expert: Expert
    best: State
    worth: float = 0.0

    def solve(self, kinds: Sequence[str], worth: float = 0.0) -> bool:
        """Whether all of these kinds were treated, in some order, from the state at hand; some leave with others."""
        start, wanted = self.session.state, self.session.wanted()
        kinds = [kind for kind in kinds if kind in wanted]
        for kind in self.scheduler(self.session, kinds):
            outcome = self._subtask(kind)
            if outcome is None:
                continue
            gained, rest = worth + outcome.worth, [other for other in kinds if other != kind]
            if gained > self.worth:
                self.worth, self.best = gained, self.session.state
            if outcome.after <= LOW and self.solve(rest, gained):
                return True
            if self._spent:
                return False
            self.session.return_to(start, f"rolled back: {kind} first does not lead to the end")
        return not kinds

    def _subtask(self, kind: str) -> Outcome | None:
        """Try the tools for a kind; the one that stands, or None when every one failed."""
        start, done = self.session.state, list[tuple[Outcome, State]]()
        for step in self.expert(self.session, kind):
            if self._spent:
                break
            if done:
                self.session.return_to(start, f"another tool may leave less {kind}")
            outcome = self.session.apply(step)
            if self.session.decide(outcome):
                done.append((outcome, self.session.state))
                if outcome.after <= VERY_LOW:
                    return outcome
        if not done:
            return None
        outcome, state = max(done, key=lambda trial: trial[0].worth)
        if self.session.samples is not state.samples:
            self.session.return_to(state, f"the best tool against {kind}")
        return outcome

    @property
    def _spent(self) -> bool:
        return self.session.exhausted is not None or self.session.budget.calls >= PATIENCE
