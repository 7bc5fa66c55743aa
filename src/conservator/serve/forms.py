"""What clients send: multipart forms, or a photograph alone with the rest in the query."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Annotated, BinaryIO, cast

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, Json

from conservator.errors import UsageError
from conservator.serve.orders import Order, RestoreOptions, Settings, TreatOptions

_SMALL = 2**20  # bytes, as for files in forms


class PhotoForm(BaseModel):
    """A photograph alone."""

    model_config = ConfigDict(extra="forbid")

    photo: Annotated[UploadFile, Field(description="JPEG, PNG, WebP, TIFF, AVIF, BMP, HEIC or camera RAW.")]


class Wanted(RestoreOptions):
    """What to do with a photograph: the whole treatment, or with `tool` only that tool."""

    tool: str = Field("", max_length=100, description="One tool instead of the whole treatment; see /v1/tools.")
    settings: Annotated[Json[Settings], Field(description="Options of that tool: a JSON object.")] = Field(
        default_factory=dict
    )

    def order(self) -> Order:
        """The call that is meant; UsageError where fields contradict each other or name something unknown."""
        fields = set(RestoreOptions.model_fields)
        if not self.tool:
            if self.settings:
                raise UsageError("settings without a tool", "the tool they belong to", "pass tool, or no settings")
            return Order.restore(RestoreOptions(**self.model_dump(include=fields)))
        alone = sorted(self.model_fields_set & fields - set(TreatOptions.model_fields))
        if alone:
            raise UsageError(f"{', '.join(alone)} with a tool", "options of a tool", "leave out the one or the other")
        return Order.treat(self.tool, TreatOptions(**self.model_dump(include=set(TreatOptions.model_fields))))


class JobForm(Wanted):
    """A photograph and what to do with it."""

    photo: Annotated[UploadFile, Field(description="JPEG, PNG, WebP, TIFF, AVIF, BMP, HEIC or camera RAW.")]
    mask: Annotated[
        UploadFile | None,
        Field(description="Picture of the photograph's size: white is treated, black is left alone to the byte."),
    ] = None


@asynccontextmanager
async def arrived(pieces: AsyncIterable[bytes]) -> AsyncIterator[UploadFile]:
    """A body as a file, on the disk unless it is small: many may arrive at a time."""
    with SpooledTemporaryFile(_SMALL) as room:
        file = UploadFile(cast(BinaryIO, room), filename="photo")
        async for piece in pieces:
            await file.write(piece)
        await file.seek(0)
        yield file


def read(file: UploadFile | None) -> bytes | None:
    """The bytes of an uploaded file; an absent one, and a nameless empty one as browsers send them, is None."""
    data = file.file.read() if file is not None else b""
    return data if data or (file is not None and file.filename) else None
