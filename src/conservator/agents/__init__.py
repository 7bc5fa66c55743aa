"""The roles that policies are made of, each a protocol with an embedded default.

    role         asked                                        embedded
    Perceiver    what is wrong, and where?                    `perception.observe`
    Scheduler    in which order?                              `scheduler.last_damage_first`
    Expert       with which steps?                            `expert.whole_frame`
    Critic       was it worth it, and how sure is that?       `quality.critic.severity_fall`
    Coordinator  in which region how?                         `coordinator.as_one`

Perceiver and critic are given to a session, for it asks them after every step; the others are given to a policy. A
planner gives all steps at once: a language model plays it; a predictor does so in one pass of a small network; and
experience says what helped before.
"""

from conservator.agents.coordinator import Coordinator
from conservator.agents.expert import Expert
from conservator.agents.scheduler import Scheduler
from conservator.perception import Perceiver
from conservator.quality.critic import Critic

__all__ = ["Coordinator", "Critic", "Expert", "Perceiver", "Scheduler"]
