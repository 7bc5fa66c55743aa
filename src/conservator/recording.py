"""From a finished session to its record: what was done, by what, on which file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from conservator import __version__
from conservator.models.catalogue import MODELS
from conservator.models.devices import device
from conservator.perception import glimpse
from conservator.photo import Photo
from conservator.pixels.types import Samples
from conservator.record import SCHEMA, Event, Record
from conservator.selection import Outlined
from conservator.session import Session


def record_of(session: Session, photo: Photo, call: dict[str, Any], seed: int) -> Record:
    """The record of a session whose result is `photo`; `call` holds the arguments it was made with."""
    original, ledger = session.photo, session.ledger
    tools = [session.tool(step) for step in session.steps]
    eyes = {"perceiver_local"} if session.perceiver is glimpse else {"perceiver_local", "perceiver_frame"}
    shipped = eyes.union(session.networks, *(tool.card.models for tool in tools))
    models = {name: MODELS[name].sha256 for name in shipped}
    for tool in tools:
        models |= tool.weights
    if isinstance(session.perceiver, Outlined):
        models |= session.perceiver.source.weights
    plan = session.plan.to_dict()
    return Record(
        {
            "schema": SCHEMA,
            "versions": _versions(),
            "input": {
                **_origin(original),
                "size": list(original.size),
                "container": original.container,
                "depth": original.depth,
            },
            "output": {"sha256": _digest(photo.samples), "size": list(photo.size), "unchanged": photo is original},
            "call": call,
            "seed": seed,
            "models": dict(sorted(models.items())),
            "diagnosis": session.first.to_dict(),
            "after": session.diagnosis.to_dict(),
            "memory": _experience(ledger.events),
            "events": ledger.events,
            "plan": plan["steps"],
            "cannot_treat": plan["cannot_treat"],
            "timings": {stage: round(seconds, 4) for stage, seconds in ledger.seconds.items()},
            "budget": {
                "calls": session.budget.calls,
                "looks_ahead": session.budget.looks_ahead,
                "seconds": round(ledger.elapsed, 4),
                "work_seconds": round(session.work.seconds, 4),
                "critical_path_seconds": round(session.work.critical_path, 4),
                "max_calls": session.budget.max_calls,
                "max_seconds": session.budget.max_seconds,
            },
        }
    )


def _origin(photo: Photo) -> dict[str, Any]:
    return {"path": str(photo.source.resolve()) if photo.source else None, "sha256": photo.sha256}


def _experience(events: Sequence[Event]) -> dict[str, Any] | None:
    """Which experience was used and what was learned; None without a memory."""
    told = {e["type"]: {k: v for k, v in e.items() if k not in ("seq", "at", "type")} for e in events}
    if "recalled" not in told:
        return None
    return {"recalled": told["recalled"], "learned": told["learned"]["decisions"]}


def _digest(samples: Samples) -> str:
    return hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()


def _versions() -> dict[str, str]:
    packages = ("numpy", "opencv-python-headless", "onnxruntime")
    known = {"conservator": __version__, "python": platform.python_version(), "device": device()}
    return known | {p: metadata.version(p) for p in packages}
