"""The set of tools as a value: choosing, leaving out and adding give a new set."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from types import ModuleType

import conservator.tools as package
from conservator.degradations import BY_NAME, NAMES
from conservator.errors import ToolDefinitionError, UsageError
from conservator.tools.card import Tool

_HOUSE = {"added", "card", "engine", "foreign", "prompted", "registry", "signature", "testing"}


class Registry:
    """Tools by name, in the order they were added. Never changes."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ToolDefinitionError(f"two tools named {tool.name!r}", "one", "rename one of them")
            self._tools[tool.name] = tool

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __repr__(self) -> str:
        return f"Registry({', '.join(self._tools)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tools, in order."""
        return tuple(self._tools)

    def get(self, name: str) -> Tool:
        """Tool by name; UsageError with the nearest name when there is none."""
        if name in self._tools:
            return self._tools[name]
        near = difflib.get_close_matches(name, self._tools, 1)
        fix = f"did you mean {near[0]}?" if near else ""
        raise UsageError(f"no tool {name!r}", f"one of: {', '.join(self._tools) or 'none'}", fix)

    def without(self, *patterns: str) -> Registry:
        """The tools whose names match none of the patterns ("sr_*"); UsageError for a plain name that is no tool's."""
        for pattern in patterns:
            if not set(pattern) & set("*?["):
                self.get(pattern)
        return Registry(tool for tool in self if not any(fnmatchcase(tool.name, pattern) for pattern in patterns))

    def treating(self, kinds: str | Iterable[str]) -> Registry:
        """The tools that treat at least one of the degradations; UsageError for an unknown degradation."""
        wanted = {kinds} if isinstance(kinds, str) else set(kinds)
        unknown = sorted(wanted - BY_NAME.keys())
        if unknown:
            raise UsageError(f"no degradation {', '.join(unknown)}", f"of: {', '.join(NAMES)}")
        return Registry(tool for tool in self if wanted & set(tool.card.treats))

    def add(self, *tools: Tool) -> Registry:
        """These tools and more; all of them or, when a name is taken, ToolDefinitionError and none."""
        return Registry([*self, *tools])

    @property
    def enlargers(self) -> Registry:
        """The tools that return more pixels than they are given."""
        return Registry(tool for tool in self if tool.card.scale > 1)

    def enlarging(self, scale: int) -> Tool:
        """The first tool that enlarges so many times; UsageError when there is none."""
        found = next((tool for tool in self.enlargers if scale in tool.scales), None)
        if found is None:
            able = sorted({1, *(one for tool in self.enlargers for one in tool.scales)})
            fix = "add a network that does, with `conservator tools add`, or pass another scale"
            raise UsageError(f"scale={scale}", f"one of {', '.join(map(str, able))}", fix)
        return found

    def led_by(self, tools: Iterable[Tool]) -> Registry:
        """The given tools first, then these for what is left: a kind of damage that a given one treats is its own.

        Tools that enlarge take nothing from others, which may know other scales.
        """
        first = tuple(tools)
        taken = {kind for tool in first if tool.card.scale == 1 for kind in tool.card.treats}
        rest = (_narrowed(tool, taken) for tool in self if tool.name not in {tool.name for tool in first})
        return Registry([*first, *(tool for tool in rest if tool is not None)])


def _narrowed(tool: Tool, taken: set[str]) -> Tool | None:
    """The tool for what is not taken, or None."""
    left = tuple(kind for kind in tool.card.treats if kind not in taken)
    if left == tool.card.treats or tool.card.scale > 1:
        return tool
    if not left:
        return None
    return Tool(replace(tool.card, treats=left), tool.treat, tool.survey, tool.options, tool.weights)


def tools_in(module: ModuleType) -> list[Tool]:
    """Tools defined in a module, in the order they are written."""
    return [
        entry
        for entry in vars(module).values()
        if isinstance(entry, Tool) and getattr(entry.treat, "__module__", None) == module.__name__
    ]


def _shipped() -> Iterator[Tool]:
    for found in pkgutil.iter_modules(package.__path__):
        if found.name not in _HOUSE:
            yield from tools_in(importlib.import_module(f"{package.__name__}.{found.name}"))


TOOLS = Registry(_shipped())
"""Every tool in this package; a file put here is found without a second edit."""
