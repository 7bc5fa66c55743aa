"""What a tool is: a pure function, a card that states its limits, and the `tool` decorator that checks both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from conservator.degradations import BY_NAME, CELL, NAMES, Stage
from conservator.errors import ToolDefinitionError
from conservator.pixels.types import Maps, Pixels
from conservator.tools.signature import Option, check_survey, options_of

Treat: TypeAlias = Callable[..., Pixels]
Survey: TypeAlias = Callable[[Pixels, Maps], Maps]


class Tiles(StrEnum):
    """Whether a tool may see the frame in pieces."""

    FREE = "free"  # its receptive field fits the halo: tiles of any size give the same picture
    DISCOURAGED = "discouraged"  # better with large tiles
    FORBIDDEN = "forbidden"  # whole frame only


class Kind(StrEnum):
    """Where the pixels of the result come from."""

    PHYSICAL = "physical"  # a model of the light or the sensor, inverted
    REGRESSIVE = "regressive"  # a network's expected value: may smooth, does not invent
    GENERATIVE = "generative"  # a network's guess: may invent


@dataclass(frozen=True)
class Card:
    """Limits and provenance of a tool; ToolDefinitionError when they contradict each other.

    name         identifier: lower-case letters, digits and underscores
    treats       names of the degradations it removes
    stage        where that damage enters a photograph
    source       paper, equation or file the method comes from
    summary      one line for people and language models
    halo         pixels it must see around a pixel: half its receptive field, rounded up
    beyond       whether it must see a halo beyond the frame's border too, where the frame is reflected; a network that
                 pads by itself need not
    multiple_of  height and width of what it is given are multiples of this
    scale        output pixels per input pixel along a side; a tool that can make several has an option `scale` with
                 these as choices and this as default
    side         the only height and width it can be given, halo included; None when it takes others
    tiles        whether it may see the frame in pieces
    kind         where the pixels of the result come from
    models       names of the networks it runs, in the model catalogue
    licence      SPDX identifier of code and weights together
    """

    name: str
    treats: tuple[str, ...]
    stage: Stage
    source: str
    summary: str
    halo: int = 0
    beyond: bool = True
    multiple_of: int = 1
    scale: int = 1
    tiles: Tiles = Tiles.FREE
    kind: Kind = Kind.REGRESSIVE
    models: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    side: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            self._refuse(f"name {self.name!r}", "lower-case letters, digits and underscores")
        unknown = [kind for kind in self.treats if kind not in BY_NAME]
        if unknown or not self.treats or len(set(self.treats)) < len(self.treats):
            self._refuse(f"treats {self.treats!r}", f"one or more of {', '.join(NAMES)}, each once")
        for limit, least in (("halo", 0), ("multiple_of", 1), ("scale", 1)):
            if not isinstance(getattr(self, limit), int) or getattr(self, limit) < least:
                self._refuse(f"{limit}={getattr(self, limit)!r}", f"a whole number ≥ {least}")
        least = 2 * -(-self.halo // CELL) * CELL + CELL
        if self.side is not None and self.side < least:
            self._refuse(f"side={self.side}", f"at least {least}: a core of {CELL} px and the halo on both sides")
        for text in ("source", "summary", "licence"):
            if not getattr(self, text).strip():
                self._refuse(f"{text} is empty", "a few words")

    def _refuse(self, got: str, wanted: str) -> None:
        raise ToolDefinitionError(f"{self.name}: {got}", wanted, "change the card")


@dataclass(frozen=True, eq=False)
class Tool:
    """A specialist the engine can apply.

    card     its limits and provenance
    treat    (pixels, severity, survey, **options) -> pixels, see `tool`
    survey   (thumbnail, severity) -> maps, or None
    options  what `treat` takes besides the arrays, by name
    weights  SHA-256 of the networks it runs that are not in the model catalogue, by name
    """

    card: Card
    treat: Treat
    survey: Survey | None = None
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    weights: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        """Name on the card."""
        return self.card.name

    @property
    def scales(self) -> tuple[int, ...]:
        """Output pixels per input pixel along a side that it can make; (1,) for a tool that keeps the size."""
        option = self.options.get("scale") if self.card.scale > 1 else None
        return option.choices if option else (self.card.scale,)

    def scale(self, options: Mapping[str, Any]) -> int:
        """Which of `scales` it makes with these options: the card's unless its option `scale` says otherwise."""
        return int(options.get("scale", self.card.scale)) if len(self.scales) > 1 else self.card.scale

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options, converted where that loses nothing; UsageError when the tool does not take one of them."""
        return {name: Option.find(self.name, self.options, name).checked(value) for name, value in options.items()}

    def to_dict(self) -> dict[str, Any]:
        """The card, the weights and the options; JSON-ready."""
        card = self.card
        return {
            "name": card.name,
            "treats": list(card.treats),
            "stage": str(card.stage),
            "kind": str(card.kind),
            "tiles": str(card.tiles),
            "halo": card.halo,
            "beyond": card.beyond,
            "multiple_of": card.multiple_of,
            "side": card.side,
            "scale": card.scale,
            "scales": list(self.scales),
            "models": [*card.models, *self.weights],
            "weights": dict(self.weights),
            "licence": card.licence,
            "source": card.source,
            "summary": card.summary,
            "options": {
                name: {"type": option.type.__name__, "default": option.default, "choices": list(option.choices)}
                for name, option in self.options.items()
            },
        }


def tool(
    *,
    treats: Iterable[str],
    source: str,
    name: str | None = None,
    stage: Stage | None = None,
    summary: str | None = None,
    survey: Survey | None = None,
    halo: int = 0,
    beyond: bool = True,
    multiple_of: int = 1,
    scale: int = 1,
    tiles: Tiles = Tiles.FREE,
    kind: Kind = Kind.REGRESSIVE,
    models: Iterable[str] = (),
    licence: str = "Apache-2.0",
    side: int | None = None,
) -> Callable[[Treat], Tool]:
    """Make a tool of a pure function

        def denoise(pixels: Pixels, severity: Maps, survey: Maps, *, keep_grain: float = 0.0) -> Pixels

    pixels    float32 (H, W, 3) in [0, 1]: a padded tile, or the whole frame
    severity  float32 (D, H, W) in [0, 1], channels in the order of `degradations.NAMES`; 0 for what is not treated
    survey    float32 (K, H, W): what the survey function found, per pixel; K is 0 without one
    options   keyword only, of type bool, int, float, str or a Literal of these, with a default
    returns   float32 (H, W, 3), finite; values outside [0, 1] are clipped. A tool that enlarges returns
              (scale·H, scale·W, 3) and may leave `severity` alone: the engine blends its result with interpolation

    A survey function sees the whole frame shrunk to at most `engine.THUMBNAIL` px, float32 (h, w, 3), with its severity
    (D, h, w), and returns maps float32 (K, gh, gw) on any grid that spans the frame.

    Name and summary default to the function's own name and the first line of its docstring, the stage to that of what
    it treats. See `Card` for the rest. Raises ToolDefinitionError when function and card contradict this contract.
    """

    def register(function: Treat) -> Tool:
        """The tool made of the function; ToolDefinitionError when signature, survey or card contradict each other."""
        called = name or function.__name__
        kinds = tuple(treats) if not isinstance(treats, str) else (treats,)
        card = Card(
            name=called,
            treats=kinds,
            stage=stage or _stage(called, kinds),
            source=source,
            summary=summary or (function.__doc__ or "").strip().partition("\n")[0],
            halo=halo,
            beyond=beyond,
            multiple_of=multiple_of,
            scale=scale,
            tiles=tiles,
            kind=kind,
            models=tuple(models),
            licence=licence,
            side=side,
        )
        if survey is not None:
            check_survey(called, survey)
        return Tool(card, function, survey, options_of(called, function))

    return register


def _stage(name: str, kinds: tuple[str, ...]) -> Stage:
    stages = {BY_NAME[kind].stage for kind in kinds if kind in BY_NAME}
    if len(stages) > 1:
        spanned = " and ".join(sorted(stages))
        raise ToolDefinitionError(f"{name}: treats damage of {spanned}", "one stage", "pass stage=")
    return next(iter(stages), Stage.IMAGING)
