"""What a photograph's file says about its compression, which the picture may hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conservator.degradations import INDEX, JPEG
from conservator.diagnosis import Diagnosis


def by_file(diagnosis: Diagnosis, quality: int | None) -> Diagnosis:
    """The diagnosis of a picture as decoded from a JPEG file of that quality: nowhere is it compressed less.

    An earlier, stronger compression stays as perceived, and so does everything where the file's is not worth treating.
    """
    least = float(JPEG.severity(quality)) if quality is not None else 0.0
    if least < JPEG.threshold:
        return diagnosis
    channel = INDEX[JPEG.name]
    maps, raw, presence = (layers.copy() for layers in (diagnosis.maps, diagnosis.raw, diagnosis.presence))
    for layer, floor in ((maps, least), (raw, least), (presence, 1.0)):
        layer[channel] = np.maximum(layer[channel], floor)
    regions = tuple(
        replace(one, severities={**one.severities, JPEG.name: max(least, one.severities.get(JPEG.name, 0.0))})
        for one in diagnosis.regions
    )
    return replace(diagnosis, maps=maps, raw=raw, presence=presence, regions=regions)
