"""Q-Agent (Zhou et al., arXiv 2504.07148): greedy restoration by predicted quality, without going back.

Deviations: the session's critic, on proxies, replaces the ensemble of no-reference scores on full results; the embedded
perceiver replaces the language model that is asked about one degradation after the other. A step that the guard or the
critic refuses at full size is taken back; the paper has no such check, and no memory either.
"""

from __future__ import annotations

from conservator.agents.experienced import experienced
from conservator.agents.expert import Expert, agenda, whole_frame
from conservator.session import Session


@experienced
def qagent(session: Session, expert: Expert = whole_frame) -> None:
    """Of all that could be done, do what promises most, as long as it promises anything.

    With K kinds found and T tools for each: at most K tool calls and T · K (K + 1) / 2 looks ahead.
    """
    remaining = agenda(session, expert)
    while remaining and not session.exhausted:
        trials = session.forecasts([[step] for kind in remaining for step in expert(session, kind)])
        best = max(trials, key=lambda trial: trial.worth)
        if best.objection:
            break
        session.decide(session.apply(best.step))
        remaining = [kind for kind in remaining if kind not in best.step.treats]
    session.stop()
