"""Checks the signature of a tool's functions when they are defined, so that a mistake shows at import."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from conservator.errors import ToolDefinitionError, UsageError
from conservator.pixels.types import Maps, Pixels

TREAT = (("pixels", Pixels), ("severity", Maps), ("survey", Maps))
SURVEY = (("thumbnail", Pixels), ("severity", Maps))
SCALARS = (bool, int, float, str)

_HINT = "def name(pixels: Pixels, severity: Maps, survey: Maps, *, option: float = 0.0) -> Pixels"
_SURVEY_HINT = "def survey(thumbnail: Pixels, severity: Maps) -> Maps"


@dataclass(frozen=True)
class Option:
    """A keyword argument of a tool.

    name     as in the call
    type     bool, int, float or str
    default  value when it is not given
    choices  the only values allowed; empty when any value of the type is
    """

    name: str
    type: type
    default: Any
    choices: tuple[Any, ...] = ()

    @staticmethod
    def find(tool: str, options: Mapping[str, Option], name: str) -> Option:
        """Option of a tool by name; UsageError with the nearest name when there is none."""
        if name in options:
            return options[name]
        near = difflib.get_close_matches(name, options, 1)
        fix = f"did you mean {near[0]}?" if near else "leave it out"
        raise UsageError(f"{tool} has no option {name!r}", f"one of: {', '.join(options) or 'none'}", fix)

    def checked(self, value: Any) -> Any:
        """The value in the option's type; UsageError when it does not fit."""
        if self.type is float and type(value) is int:
            value = float(value)
        fits = type(value) is self.type and (not self.choices or value in self.choices)
        if not fits or (self.type is float and not math.isfinite(value)):
            raise UsageError(f"option {self.name}={value!r}", self._wanted(), "change the value")
        return value

    def _wanted(self) -> str:
        return f"one of {', '.join(map(repr, self.choices))}" if self.choices else f"a finite {self.type.__name__}"


def options_of(name: str, function: Callable[..., Any]) -> Mapping[str, Option]:
    """Options of a tool's function; ToolDefinitionError when its signature breaks the contract."""
    parameters, hints = _read(name, function, _HINT)
    _check_arrays(name, parameters, hints, TREAT, _HINT)
    _check_type(name, "return", hints, Pixels, _HINT)
    options = {p.name: _option(name, p, hints) for p in parameters[len(TREAT) :]}
    return MappingProxyType(options)


def check_survey(name: str, function: Callable[..., Any]) -> None:
    """ToolDefinitionError when a survey function's signature breaks the contract."""
    name = f"{name}: survey"
    parameters, hints = _read(name, function, _SURVEY_HINT)
    _check_arrays(name, parameters, hints, SURVEY, _SURVEY_HINT)
    _check_type(name, "return", hints, Maps, _SURVEY_HINT)
    if len(parameters) > len(SURVEY):
        raise ToolDefinitionError(f"{name}: {parameters[-1].name!r} is one too many", _SURVEY_HINT)


def _read(name: str, function: Callable[..., Any], wanted: str) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    try:
        return list(inspect.signature(function).parameters.values()), get_type_hints(function)
    except (NameError, TypeError, ValueError) as error:
        raise ToolDefinitionError(f"{name}: {error}", wanted, "annotate with names the module has") from error


def _check_arrays(
    name: str, parameters: list[inspect.Parameter], hints: Mapping[str, Any], arrays: Any, wanted: str
) -> None:
    for index, (array, kind) in enumerate(arrays):
        found = parameters[index] if index < len(parameters) else None
        if found is None or found.name != array or found.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise ToolDefinitionError(f"{name}: parameter {index + 1} is not {array!r}", wanted)
        _check_type(name, array, hints, kind, wanted)


def _check_type(name: str, entry: str, hints: Mapping[str, Any], kind: Any, wanted: str) -> None:
    if entry not in hints:
        raise ToolDefinitionError(f"{name}: {entry!r} has no type", wanted)
    if hints[entry] != kind:
        raise ToolDefinitionError(f"{name}: {entry!r} is a {hints[entry]}", wanted)


def _option(name: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Option:
    label = f"{name}: {parameter.name!r}"
    if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
        raise ToolDefinitionError(f"{label} is not keyword-only", _HINT, "put it after *")
    if parameter.name not in hints:
        raise ToolDefinitionError(f"{label} has no type", _HINT)
    choices = get_args(hints[parameter.name]) if get_origin(hints[parameter.name]) is Literal else ()
    types = {type(choice) for choice in choices} or {hints[parameter.name]}
    if len(types) != 1 or not types <= set(SCALARS):
        raise ToolDefinitionError(f"{label} is a {hints[parameter.name]}", "bool, int, float, str or a Literal of one")
    option = Option(parameter.name, types.pop(), parameter.default, choices)
    if type(parameter.default) is not option.type or (choices and parameter.default not in choices):
        raise ToolDefinitionError(f"{label} has no default of its own type", _HINT)
    return option
