"""Published strategies and ours: one file each, all over the same Session."""

from __future__ import annotations

from collections.abc import Callable

from conservator.errors import UsageError
from conservator.policies.agenticir import agenticir
from conservator.policies.best_single import best_single
from conservator.policies.joint import joint
from conservator.policies.llm import llm
from conservator.policies.mair import mair
from conservator.policies.oracle import oracle
from conservator.policies.qagent import qagent
from conservator.policies.restoreagent import restoreagent
from conservator.policies.spatial import spatial
from conservator.session import Session

Policy = Callable[[Session], None]

POLICIES: dict[str, Policy] = {
    "spatial": spatial,
    "joint": joint,
    "agenticir": agenticir,
    "mair": mair,
    "qagent": qagent,
    "restoreagent": restoreagent,
    "best_single": best_single,
    "llm": llm,
    "oracle": oracle,
}

LEARNING = ("agenticir", "qagent")
"""Policies that search, and so can make use of a memory."""


def policy_named(name: str) -> Policy:
    """A policy by name; UsageError lists the names."""
    try:
        return POLICIES[name]
    except KeyError:
        raise UsageError(f"policy {name!r}", f"one of {', '.join(sorted(POLICIES))}") from None
