"""Who can enter a benchmark: the policies, and controls that differ from ours in one thing each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from conservator.benchmarks.photos import to_bytes
from conservator.degradations import FRAME, LOCAL, NAMES
from conservator.errors import UsageError
from conservator.synthesis import Sample

if TYPE_CHECKING:
    from conservator.memory import Memory
    from conservator.perception import Perceiver
    from conservator.policies import Policy
    from conservator.treatment import Treatment

Contestant: TypeAlias = "Callable[[Sample, int], Treatment]"
"""Treats a damaged photograph and enlarges it so many times."""

CONTROLS = ("spatial", "one_pass", "true_maps", "true_frame", "true_local")
"""Whom SpatialBench compares when nobody is named."""

STRATEGIES = (
    "spatial", "joint", "agenticir", "mair", "qagent", "restoreagent", "best_single", "oracle", "oracle_true_maps",
    "true_maps",
)  # fmt: skip
"""Whom MixBench compares when nobody is named: every policy, and what binds them."""


ABLATIONS = (
    "spatial", "without_critic", "without_guard", "without_hysteresis", "without_regions", "with_look_ahead",
    "one_call", "one_call_first_come", "with_memory", "one_pass", "true_maps",
)  # fmt: skip
"""`spatial`, without one of its parts at a time, with what it goes without, and told the truth."""


def entrants(perceiver: Perceiver | None = None) -> dict[str, Contestant]:
    """Everybody, by name. Policies by the name that `restore` knows them by, and

    oracle            chooses every step with the truth at hand, but sees only what the perceiver sees
    oracle_true_maps  is told the true maps as well
    learned_critic    `spatial` with the learned critic instead of a second look
    without_critic, without_guard, without_hysteresis, without_regions   `spatial` that lacks one thing, see `controls`
    with_look_ahead   `spatial`, an agent for each region trying other ways on crops first
    one_call, one_call_first_come   `spatial` that may call one tool, spent where most is promised or on the first stage
    with_memory       `spatial` with a memory of the photographs it was given before
    one_pass          the maps and tools of `spatial`, each tool once, nothing weighed or taken back
    true_maps         one pass, told the true maps: what the tools could do
    true_frame        one pass, told the truth about haze and exposure only
    true_local        one pass, told the truth about the rest only

    perceiver   looks for what is not told; the shipped one when omitted
    """
    from conservator.agents.coordinator import by_region
    from conservator.agents.experienced import experienced
    from conservator.benchmarks import controls
    from conservator.memory import Memory
    from conservator.policies import POLICIES
    from conservator.policies.spatial import spatial

    frame, local = (tuple(d.name for d in half) for half in (FRAME, LOCAL))
    named = {name: _runs(partial(_same, policy), (), perceiver) for name, policy in POLICIES.items()}
    lacking = ("without_critic", "without_guard", "without_hysteresis", "without_regions")
    named |= {name: _runs(partial(_same, getattr(controls, name)), (), perceiver) for name in lacking}
    return named | {
        "oracle": _runs(_oracle, (), perceiver),
        "oracle_true_maps": _runs(_oracle, NAMES, perceiver),
        "learned_critic": _runs(partial(_same, controls.by_learned_critic), (), perceiver),
        "with_look_ahead": _runs(partial(_same, partial(spatial, coordinator=by_region)), (), perceiver),
        "one_call": _runs(partial(_same, spatial), (), perceiver, max_calls=1),
        "one_call_first_come": _runs(partial(_same, controls.first_come), (), perceiver, max_calls=1),
        "with_memory": _runs(partial(_same, experienced(spatial)), (), perceiver, Memory()),
        "one_pass": _runs(partial(_same, controls.one_pass), (), perceiver),
        "true_maps": _runs(partial(_same, controls.one_pass), NAMES, perceiver),
        "true_frame": _runs(partial(_same, controls.one_pass), frame, perceiver),
        "true_local": _runs(partial(_same, controls.one_pass), local, perceiver),
    }


def chosen(names: Sequence[str], perceiver: Perceiver | None = None) -> dict[str, Contestant]:
    """Those named, for "all" everybody who asks no server; UsageError with everybody's names for an unknown one."""
    every = entrants(perceiver)
    if "all" in names:
        return {name: contestant for name, contestant in every.items() if name != "llm"}
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no policy {', '.join(unknown)}", f"all, or some of {', '.join(every)}")
    return {name: every[name] for name in names}


def _runs(
    policy: Callable[[Sample], Policy],
    told_about: Sequence[str],
    perceiver: Perceiver | None,
    memory: Memory | None = None,
    max_calls: int | None = None,
) -> Contestant:
    """Restores with the policy made for a sample, told the truth about some kinds."""

    def treat(sample: Sample, scale: int) -> Treatment:
        """The sample restored, `scale` times as large. Raises what `restore` raises."""
        from conservator.benchmarks.controls import told
        from conservator.perception import observe
        from conservator.treatment import restore

        look = perceiver or observe
        if told_about:
            look = told(sample.truth, told_about, None if told_about is NAMES else look)
        return restore(
            to_bytes(sample.degraded),
            policy=policy(sample),
            scale=scale,
            perceiver=look,
            memory=memory,
            max_calls=max_calls,
        )

    return treat


def _same(policy: Policy, sample: Sample) -> Policy:
    return policy


def _oracle(sample: Sample) -> Policy:
    from conservator.photo import open_photo
    from conservator.policies.oracle import knowing

    return knowing(open_photo(to_bytes(sample.clean)).samples)
