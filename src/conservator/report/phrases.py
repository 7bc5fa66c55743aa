"""Events of a treatment in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from conservator.regions import EVERYWHERE, WHOLE

Event = Mapping[str, Any]


def phrase(event: Event) -> str | None:
    """One line for an event, or None for those that only move a progress bar."""
    say = _PHRASES.get(event["type"])
    return say(event) if say else None


def found(degradations: Mapping[str, Mapping[str, Any]]) -> str:
    """What a diagnosis found, from the "degradations" of `Diagnosis.to_dict`."""
    parts = [f"{name.replace('_', ' ')} ({_extent(facts)})" for name, facts in degradations.items()]
    return ", ".join(parts) if parts else "nothing to treat"


def _extent(facts: Mapping[str, Any]) -> str:
    return f"{facts['typical_value']:g} {facts['unit']}, {facts['share_of_frame']:.0%} of the frame"


def selected(selection: Mapping[str, Any]) -> str:
    """What became of a phrase, from `Selection.to_dict`."""
    missing = f"; not found: {', '.join(selection['missing'])}" if selection["missing"] else ""
    share = f"{selection['area']:.0%} of the frame, confidence {selection['confidence']:.2f}"
    return f"{selection['phrase']}: {share}{missing}"


def _understood(event: Event) -> str:
    where = f" ({selected(event['where'])})" if event["where"] is not None else ""
    return f"understood “{event['said']}”: {event['reading']}{where}"


def _opened(event: Event) -> str:
    height, width = event["size"]
    return f"opened: {width}×{height} px"


def _started(event: Event) -> str:
    where = _WHERE.get(tuple(event["regions"]), f" in {', '.join(event['regions'])}")
    return f"{event['tool']}: treats {_kinds(event)}{where}"


def _kept(event: Event) -> str:
    done = f"enlarged ×{event['scale']}" if "scale" in event else f"kept, {event['gain']:.0%} of the damage gone"
    return f"{event['tool']}: {done}"


def _looked_ahead(event: Event) -> str:
    found = f"failed: {event['error']}" if "error" in event else f"promises {event['gain']:.0%}"
    way = ", then ".join([event["tool"], *event.get("then", ())])
    return f"{way} against {_kinds(event)}: {found}"


def _kinds(event: Event) -> str:
    return ", ".join(kind.replace("_", " ") for kind in event["treats"])


def _returned(event: Event) -> str:
    steps = ", ".join(step["tool"] for step in event["steps"])
    return f"back to {f'the photo after {steps}' if steps else 'the photo as it came'}: {event['reason']}"


def _recalled(event: Event) -> str:
    if event["match"] == "none":
        return "experience: nothing similar is known"
    steps = ", ".join(step["tool"] for step in event["steps"]) or "nothing"
    return f"experience {event['experience']} ({event['match']}): {steps} helped, {event['gain']:.0%} of it gone"


def _learned(event: Event) -> str:
    return "; ".join(f"experience {one['experience']}: {one['change']}, {one['reason']}" for one in event["decisions"])


def _asked(event: Event) -> str:
    if event["error"]:
        said = f"no answer: {event['error']}"
    elif event["role"] == "planner":
        said = f"plans {', '.join(step['tool'] for step in event['plan']) or 'nothing'}"
    elif event["role"] == "perceiver":
        said = f"sees {', '.join(dict.fromkeys(f['kind'] for f in event['findings'])) or 'nothing'}"
    elif event["role"] == "reader":
        said = "reads the instruction"
    else:
        said = f"calls {event['answer']} better"
    return f"{event['model']} ({event['tokens_in']} + {event['tokens_out']} tokens, {event['seconds']:.1f} s): {said}"


def _fell_back(event: Event) -> str:
    goes_on = "the grammar reads the instruction" if event["to"] == "grammar" else f"goes on with policy {event['to']}"
    return f"{event['reason']}: {goes_on}"


def _weighed(event: Event) -> str:
    right = "never measured" if event["model"] is None else f"{event['model']:.0%} right"
    follows = "outweighs the critic" if event["outweighs"] else "does not outweigh the critic"
    return f"the language model, {right}, prefers {event['better']}, which {follows}"


_WHERE = {(WHOLE,): "", (EVERYWHERE,): " all over the frame"}

_PHRASES: dict[str, Callable[[Event], str]] = {
    "opened": _opened,
    "diagnosed": lambda event: f"found: {found(event['degradations'])}",
    "understood": _understood,
    "step_started": _started,
    "step_failed": lambda event: f"{event['tool']}: failed, the photo is unchanged: {event['error']}",
    "kept": _kept,
    "taken_back": lambda event: f"{event['tool']}: taken back, {event['reason']}",
    "cannot_treat": lambda event: f"{event['degradation'].replace('_', ' ')}: left alone, {event['reason']}",
    "looked_ahead": _looked_ahead,
    "asked": _asked,
    "weighed": _weighed,
    "fell_back": _fell_back,
    "returned": _returned,
    "planned": lambda event: f"planned: {', '.join(move['tool'] for move in event['moves'])}",
    "recalled": _recalled,
    "learned": _learned,
    "stopped": lambda event: f"done: {event['reason']}",
}
