"""Looks that are kept: the same samples are never perceived twice, whichever process saw them first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from conservator.cache import key_of, stored
from conservator.diagnosis import Diagnosis
from conservator.perception.perceiver import observe
from conservator.pixels.types import Samples
from conservator.regions import Region

_ARRAYS = ("maps", "raw", "deviation", "presence", "guide")


class Remembering:
    """A perceiver that keeps its diagnoses as files in a folder; a damaged file counts as absent."""

    def __init__(self, folder: str | Path, perceiver: Callable[[Samples], Diagnosis] = observe) -> None:
        self._folder, self._perceiver = Path(folder), perceiver
        self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, samples: Samples) -> Diagnosis:
        """What ails the samples, seen now or before."""
        path = self._folder / f"{key_of(samples)}.npz"
        try:
            with np.load(path, allow_pickle=False) as kept:
                found = _diagnosis(kept)
            path.touch()
            return found
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            seen = self._perceiver(samples)
            stored(path, lambda file: np.savez(file, **_arrays(seen)))
            return seen


def _arrays(diagnosis: Diagnosis) -> dict[str, Any]:
    regions = {f"region_{i}": region.mask for i, region in enumerate(diagnosis.regions)}
    facts = {
        "size": diagnosis.size,
        "regions": [[region.id, region.source, dict(region.severities)] for region in diagnosis.regions],
    }
    return {name: getattr(diagnosis, name) for name in _ARRAYS} | regions | {"facts": np.array(json.dumps(facts))}


def _diagnosis(kept: Any) -> Diagnosis:
    facts = json.loads(str(kept["facts"]))
    regions = tuple(
        Region(id, kept[f"region_{i}"], source, severities)
        for i, (id, source, severities) in enumerate(facts["regions"])
    )
    height, width = facts["size"]
    arrays = {name: kept[name] for name in _ARRAYS}
    return Diagnosis((height, width), **arrays, regions=regions)
