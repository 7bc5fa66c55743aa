"""What a job is to do, as plain data that is checked before the job is accepted."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from conservator.plan import Step

Call: TypeAlias = Literal["restore", "treat", "diagnose"]
Settings: TypeAlias = dict[str, bool | int | float | str]
Container: TypeAlias = Literal["auto", "png", "jpeg", "webp", "tiff", "avif", "bmp"]

MEDIA_TYPES = MappingProxyType({name: f"image/{name}" for name in ("png", "jpeg", "webp", "tiff", "avif", "bmp")})
"""Media type of each container that can be written."""


class Result(BaseModel):
    """How the result is written."""

    model_config = ConfigDict(extra="forbid")

    container: Container = Field("auto", description="Format of the result; auto is the photograph's own.")
    quality: int = Field(95, ge=1, le=100, description="Of JPEG, WebP and AVIF.")
    report: bool = Field(False, description="Also make an HTML page about the treatment.")


class RestoreOptions(Result):
    """The whole treatment; see `conservator.restore`."""

    policy: str = Field("spatial", max_length=40, description="Who decides what is done.")
    scale: int = Field(1, ge=1, le=8, description="Enlarge so many times, last of all.")
    strength: float = Field(1.0, ge=0, le=2, description="Multiplies what the diagnosis asks for; 0 changes nothing.")
    instruction: str = Field("", max_length=500, description='Plain words: "remove the rain, keep the grain".')
    prefer: list[str] = Field(
        default_factory=list, max_length=16, description="Tools that get what they treat to themselves."
    )
    max_calls: int | None = Field(None, ge=0, le=10_000, description="Most tool calls.")
    max_seconds: float | None = Field(None, gt=0, le=86_400, description="No step starts later than this.")
    tile: int | None = Field(None, ge=64, le=8192, description="Side of the tiles in pixels.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of everything random.")


class TreatOptions(Result):
    """One tool; see `conservator.treat`."""

    strength: float = Field(1.0, ge=0, le=2, description="Multiplies the severity found.")
    tile: int | None = Field(None, ge=64, le=8192, description="Side of the tiles in pixels.")
    settings: Settings = Field(default_factory=dict, max_length=32, description="Options of the tool, by name.")


class Order(BaseModel):
    """A call with its options, ready for a worker.

    call      which public call
    tool      of `treat`; empty otherwise
    options   of the call and of how the result is written; JSON values
    preview   whether a small picture is made as well: of the result, or of the regions found
    scale     how many times larger the result is than the photograph, along a side
    plan      of `restore`: steps to carry out instead of a policy's, as `Step.to_dict` gives them
    cache     name of the folder of intermediate results that this job shares with others, "" for none; with one,
              pictures to look at are made as well, see `views.py`
    """

    model_config = ConfigDict(frozen=True)

    call: Call
    tool: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    preview: bool = False
    scale: int = 1
    plan: list[dict[str, Any]] | None = None
    cache: str = ""

    @classmethod
    def restore(
        cls, options: RestoreOptions, *, preview: bool = False, plan: Iterable[Step] | None = None, cache: str = ""
    ) -> Order:
        """The whole treatment; UsageError where an option names something unknown."""
        from conservator.policies import policy_named
        from conservator.tools.added import preferring
        from conservator.wishes import parse

        policy_named(options.policy)
        parse(options.instruction)
        tools = preferring(options.prefer, options.scale)
        if options.scale > 1:
            tools.enlarging(options.scale)
        given = options.model_dump() | {"instruction": options.instruction or None}
        steps = None if plan is None else [step.to_dict() for step in plan]
        return cls(call="restore", options=given, preview=preview, plan=steps, cache=cache, scale=options.scale)

    @classmethod
    def treat(cls, tool: str, options: TreatOptions, *, preview: bool = False) -> Order:
        """One tool; UsageError where there is no such tool or it does not take a setting."""
        from conservator.tools.added import find

        chosen = find(tool)
        scale = chosen.scale(chosen.checked(options.settings))
        return cls(call="treat", tool=tool, options=options.model_dump(), preview=preview, scale=scale)

    @classmethod
    def diagnose(cls, *, preview: bool = False, cache: str = "") -> Order:
        """Only a look."""
        return cls(call="diagnose", preview=preview, cache=cache)
