"""Pictures to look at on a screen, as files: before, after, regions, and a map of each kind of damage."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conservator.report.canvas import Bytes, bounded
from conservator.report.encode import preview_profile
from conservator.report.overlay import overlay
from conservator.report.pictures import heatmap

if TYPE_CHECKING:
    from conservator.diagnosis import Diagnosis
    from conservator.photo import Photo
    from conservator.treatment import Treatment

_MAP = 640
"""Pixels of the long side of a map."""


def of_look(photo: Photo, diagnosis: Diagnosis) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of before.png, regions.png, region-ID.png for each region, found-KIND.png for each kind found.

    Those of single regions are masks as they are: a value per cell, 255 is inside.
    """
    icc = preview_profile(photo)
    preview = bounded(photo.samples)
    yield "before.png", _png(preview, icc)
    yield "regions.png", _png(overlay(preview, diagnosis.regions), icc)
    for region in diagnosis.regions:
        yield f"region-{region.id}.png", _png(np.rint(region.mask * np.float32(255)).astype(np.uint8), None)
    yield from _maps("found", diagnosis, preview, icc)


def of_treatment(treatment: Treatment) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of after.png and left-KIND.png for each kind that is left."""
    icc = preview_profile(treatment.photo)
    preview = bounded(treatment.photo.samples)
    yield "after.png", _png(preview, icc)
    yield from _maps("left", treatment.after, preview, icc)


def _maps(stem: str, diagnosis: Diagnosis, preview: Bytes, icc: bytes | None) -> Iterator[tuple[str, bytes]]:
    for kind in diagnosis.degradations:
        yield f"{stem}-{kind}.png", _png(heatmap(diagnosis.cells(kind), preview, _MAP), icc)


def _png(picture: NDArray[np.uint8], icc: bytes | None) -> bytes:
    coded = BytesIO()
    Image.fromarray(picture).save(coded, "PNG", compress_level=3, icc_profile=icc)
    return coded.getvalue()
