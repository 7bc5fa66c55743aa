"""Planners: which steps to take, as data that anybody may fill in and nobody is believed without a check.

What a planner gets to know are numbers and names of ours: no text that came with the photograph or its file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from conservator.errors import UsageError
from conservator.plan import Step
from conservator.regions import EVERYWHERE, WHOLE
from conservator.session import Session
from conservator.tools.functions import MOST_STRENGTH

MOST_STEPS = 12
LONGEST = 50_000  # characters of an answer that are read
FIELDS = ("tool", "treats", "regions", "strength", "reason")
_REASON = 200  # characters of it that are kept
_OPENS = re.compile(r"[\[{]")

Data = dict[str, Any]


class Planner(Protocol):
    """Chooses steps; it may look at the session, but must not treat anything."""

    def __call__(self, session: Session) -> list[Step] | None:
        """Steps in order, none when nothing should be done; None when it has no plan that holds."""
        ...


def facts(session: Session) -> Data:
    """What there is to plan with: damage, regions, tools, wishes, and what the tools have done so far."""
    wanted = session.wanted()
    known = session.diagnosis.to_dict()
    wishes = [{key: value for key, value in wish.to_dict().items() if key != "said"}
              for wish in session.limits.wishes.wishes]  # fmt: skip
    done = [{key: event.get(key) for key in ("type", "tool", "gain") if key in event}
            for event in session.ledger.events if event["type"] in ("kept", "taken_back", "step_failed")]  # fmt: skip
    return {
        "damage": {kind: found for kind, found in known["degradations"].items() if kind in wanted},
        "regions": [{key: region[key] for key in ("id", "area", "severities")} for region in known["regions"]],
        "tools": [{"tool": name, "treats": treats} for name, treats in _able(session).items()],
        "wishes": wishes,
        "done": done,
    }


def schema(session: Session) -> Data:
    """JSON schema of a plan for this photograph: tools, kinds and regions are its own, strengths in range."""
    known = facts(session)
    places = [WHOLE, EVERYWHERE, *(region["id"] for region in known["regions"])]
    step = {
        "tool": {"type": "string", "enum": [tool["tool"] for tool in known["tools"]]},
        "treats": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(known["damage"])}},
        "regions": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": places}},
        "strength": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_STRENGTH},
        "reason": {"type": "string"},
    }
    steps = {"type": "object", "properties": step, "required": list(FIELDS[:4]), "additionalProperties": False}
    listed = {"type": "array", "maxItems": MOST_STEPS, "items": steps}
    return {"type": "object", "properties": {"steps": listed}, "required": ["steps"], "additionalProperties": False}


def read(text: str) -> Data:
    """A plan in what somebody wrote: JSON, with prose around it or not, or blocks of `key: value`; UsageError for none.

    A block begins with its tool; lists have commas.
    """
    said = _spoken(text)
    for found in map(_called, objects(text)):
        if isinstance(found, list) and found and all(isinstance(entry, dict) and "tool" in entry for entry in found):
            return {"steps": found}
        if isinstance(found, dict) and ("steps" in found or "tool" in found):
            return found if "steps" in found else {"steps": [found]}
    lines = re.findall(rf"^[\s>*-]*({'|'.join(FIELDS)}|steps)\s*[:=]\s*(.*?)\s*$", said, re.MULTILINE | re.IGNORECASE)
    if not lines:
        raise UsageError(f"no plan in {said[:80]!r}", 'JSON {"steps": […]}, or lines such as "tool: …"')
    return {"steps": list(_blocks((key.lower(), value) for key, value in lines))}


def checked(data: Any, session: Session) -> list[Step]:
    """The steps of a plan; UsageError naming every part that this photograph, its tools or the caller do not allow."""
    if not isinstance(data, Mapping) or set(data) != {"steps"} or not isinstance(data["steps"], list):
        raise UsageError(f"a plan {str(data)[:80]!r}", 'an object {"steps": […]}')
    if len(data["steps"]) > MOST_STEPS:
        raise UsageError(f"{len(data['steps'])} steps", f"at most {MOST_STEPS}")
    steps, refused = list[Step](), list[str]()
    for number, entry in enumerate(data["steps"], 1):
        try:
            steps.append(_step(entry, session))
        except UsageError as error:
            refused.append(f"step {number}: {error}")
    if refused:
        raise UsageError("; ".join(refused), fix="correct these and give the whole plan again")
    return steps


def _step(entry: Any, session: Session) -> Step:
    if not isinstance(entry, Mapping) or not set(entry) <= set(FIELDS) or not {"tool", "treats"} <= set(entry):
        raise UsageError(f"{str(entry)[:80]!r}", f"an object of {', '.join(FIELDS)}")
    treats, regions = _names(entry["treats"]), _names(entry.get("regions") or [WHOLE])
    tool, able = str(entry["tool"]), _able(session)
    if tool not in able:
        raise UsageError(f"tool {tool[:40]!r}", f"one of {', '.join(able)}")
    if not treats or not set(treats) <= set(able[tool]):
        raise UsageError(f"treats {list(treats)} by {tool}", f"some of {able[tool]}")
    places = {region.id for region in session.diagnosis.regions}
    if regions not in ((WHOLE,), (EVERYWHERE,)) and not set(regions) <= places:
        raise UsageError(f"regions {list(regions)}", f"some of {sorted(places)}, or {WHOLE} or {EVERYWHERE} alone")
    return Step(tool, treats, regions, _strength(entry.get("strength", 1.0)), reason=_said(entry.get("reason")))


def _able(session: Session) -> dict[str, list[str]]:
    """What each tool treats of what ails the photo and is wanted treated."""
    wanted = session.wanted()
    able = {tool.name: [kind for kind in wanted if kind in tool.card.treats] for tool in session.tools}
    return {name: kinds for name, kinds in able.items() if kinds}


def _strength(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (ArithmeticError, TypeError, ValueError):
        number = math.nan
    if not 0 < number <= MOST_STRENGTH:
        raise UsageError(f"strength {str(value)[:20]!r}", f"a number above 0, at most {MOST_STRENGTH:g}")
    return number


def _names(value: Any) -> tuple[str, ...]:
    """Each name once, of a list or of a text with commas."""
    listed = re.split(r"[,\s]+", value.strip("[] ")) if isinstance(value, str) else value
    if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
        raise UsageError(f"{str(value)[:40]!r}", "a list of names")
    return tuple(dict.fromkeys(name.strip("'\"` ") for name in listed if name))


def _said(reason: Any) -> str:
    return "".join(c for c in str(reason or "")[:_REASON] if c.isprintable())


def objects(text: str) -> Iterator[Any]:
    """Everything in a text that is a JSON object or list, outermost first; what reasoning models think is left out."""
    text, decoder, at = _spoken(text), json.JSONDecoder(), 0
    while (found := _OPENS.search(text, at)) is not None:
        try:
            value, at = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            at = found.end()
        else:
            yield value


def _called(found: Any) -> Any:
    """A call written out, {"name": …, "arguments": {…}}, as what it means: of the tool "answer", or of ours by name."""
    if isinstance(found, list):
        return [_called(entry) for entry in found]
    if not isinstance(found, dict) or not isinstance(arguments := found.get("arguments"), dict):
        return found
    return arguments if found.get("name") == "answer" else {"tool": found.get("name"), **arguments}


def _spoken(text: str) -> str:
    return re.sub(r"<think>.*?(</think>|\Z)", "", text[:LONGEST], flags=re.DOTALL)


def _blocks(lines: Iterator[tuple[str, str]]) -> Iterator[Data]:
    block: Data = {}
    for key, value in lines:
        if key == "tool" and block:
            yield block
            block = {}
        if key != "steps":
            block[key] = value.strip("'\"`")
    if block:
        yield block
