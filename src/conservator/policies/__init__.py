"""Published strategies and ours: one file each, all over the same Session."""

from __future__ import annotations

from collections.abc import Callable

from conservator.errors import UsageError
from conservator.policies.spatial import spatial
from conservator.session import Session

Policy = Callable[[Session], None]

POLICIES: dict[str, Policy] = {"spatial": spatial}


def policy_named(name: str) -> Policy:
    """A policy by name; UsageError lists the names."""
    try:
        return POLICIES[name]
    except KeyError:
        raise UsageError(f"policy {name!r}", f"one of {', '.join(sorted(POLICIES))}") from None
