"""Tools as language models know them: functions with a JSON schema, as OpenAI's protocol has them."""

from __future__ import annotations

from typing import Any

from conservator.tools.card import Tool
from conservator.tools.signature import Option

MOST_STRENGTH = 2.0

Json = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def function(tool: Tool) -> Json:
    """A tool as an entry of a request's `tools`: what it treats is an enumeration, strength and options are bounded.

    Its arguments are those of a step in a plan, and of `conservator.treat` but for `treats`.
    """
    properties: Json = {
        "treats": {
            "type": "array", "minItems": 1, "uniqueItems": True,
            "items": {"type": "string", "enum": list(tool.card.treats)},
            "description": "Kinds of damage; all that it can treat when omitted.",
        },
        "strength": {
            "type": "number", "exclusiveMinimum": 0, "maximum": MOST_STRENGTH, "default": 1.0,
            "description": "Multiplies what the diagnosis asks for.",
        },
        **{name: _option(option) for name, option in tool.options.items()},
    }  # fmt: skip
    parameters = {"type": "object", "properties": properties, "required": [], "additionalProperties": False}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.card.summary, "parameters": parameters},
    }


def _option(option: Option) -> Json:
    choices = {"enum": list(option.choices)} if option.choices else {}
    return {"type": _TYPES[option.type], "default": option.default, **choices}
