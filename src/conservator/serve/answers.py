"""What the server answers, as models: OpenAPI and the output of MCP tools are made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from conservator.serve.orders import Call
from conservator.serve.store import Job, State
from conservator.tools.card import Tool
from conservator.tools.functions import function
from conservator.tools.registry import TOOLS

Json = dict[str, Any]


class Finding(BaseModel):
    """One kind of damage in a photograph."""

    mean_severity: float
    worst_severity: float
    share_of_frame: float = Field(description="In [0, 1].")
    typical_value: float = Field(description="In the kind's own unit.")
    unit: str


class RegionFound(BaseModel):
    """A part of the frame and what ails it."""

    id: str
    source: str
    area: float = Field(description="Share of the frame, in [0, 1].")
    severities: dict[str, float]


class DiagnosisFound(BaseModel):
    """What is wrong with a photograph and where."""

    size: tuple[int, int] = Field(description="Height and width in pixels.")
    damage: float = Field(description="Mean over the frame of the sum of severities; 0 is clean.")
    degradations: dict[str, Finding]
    regions: list[RegionFound]


class StepTaken(BaseModel):
    """A step that was kept."""

    tool: str
    treats: list[str]
    regions: list[str]
    strength: float
    options: Json
    reason: str


class LeftAlone(BaseModel):
    """Damage that was found and not treated."""

    degradation: str
    regions: list[str]
    reason: str


class Facts(BaseModel):
    """What a finished treatment made."""

    container: str
    size: tuple[int, int] = Field(description="Height and width of the result in pixels.")
    bytes: int = Field(description="Length of the result.")
    unchanged: bool = Field(description="Whether not a single sample differs from the photograph.")
    report: bool = Field(description="Whether there is a report.")
    found: dict[str, Finding] = Field(description="Damage before.")
    left: dict[str, Finding] = Field(description="Damage afterwards.")
    steps: list[StepTaken]
    cannot_treat: list[LeftAlone]


class Fault(BaseModel):
    """Why a job failed."""

    type: str
    got: str
    wanted: str
    fix: str


class Progress(BaseModel):
    """Of the step at work."""

    tool: str
    done: int = Field(description="Tiles treated.")
    total: int = Field(description="Tiles to treat.")


class JobState(BaseModel):
    """A job as it is now."""

    id: str
    state: State
    call: Call
    tool: str = Field(description="Of `treat`; otherwise empty.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    attempt: int = Field(description="How many times it was begun.")
    progress: Progress | None
    facts: Facts | None = Field(description="Once it is done.")
    error: Fault | None = Field(description="Once it has failed.")

    @classmethod
    def of(cls, job: Job, progress: Json | None = None) -> JobState:
        """From the book, and what the worker last said."""
        return cls.model_validate(
            {
                "id": job.id, "state": job.state, "call": job.order.call, "tool": job.order.tool,
                "created": _time(job.created), "started": _time(job.started), "ended": _time(job.ended),
                "attempt": job.attempt, "progress": progress, "facts": job.facts or None, "error": job.error,
            }
        )  # fmt: skip


class ToolOption(BaseModel):
    """What a tool takes besides the photograph."""

    type: str
    default: bool | int | float | str
    choices: list[bool | int | float | str]


class ToolCard(BaseModel):
    """A tool: what it is for, where its pixels come from, and its licence."""

    name: str
    treats: list[str]
    stage: str
    kind: str
    tiles: str
    halo: int
    multiple_of: int
    side: int | None
    scale: int
    scales: list[int]
    models: list[str]
    weights: dict[str, str]
    licence: str
    source: str
    summary: str
    options: dict[str, ToolOption]
    function: Json = Field(description="The tool as language models take it: name, description, parameters as schema.")

    @classmethod
    def of(cls, tool: Tool) -> ToolCard:
        """From a tool; where on the server the file of an added one lies is nobody's business."""
        added = {"source": "added by who runs this server"} if tool.name not in TOOLS else {}
        return cls.model_validate(tool.to_dict() | added | {"function": function(tool)["function"]})


class Health(BaseModel):
    """Whether the server takes jobs."""

    status: str
    version: str


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
