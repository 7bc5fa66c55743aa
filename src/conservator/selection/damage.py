"""Parts by what ails them, as the diagnosis has it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conservator.degradations import INDEX
from conservator.diagnosis import Diagnosis
from conservator.perception.segment import MATTERS
from conservator.pixels.types import Mask
from conservator.selection.scene import Scene
from conservator.selection.tones import shadows

KINDS: Mapping[str, tuple[str, ...]] = {
    "noisy": ("noise",),
    "compressed": ("jpeg",),
    "rainy": ("rain",),
    "hazy": ("haze",),
    "blurry": ("motion_blur", "defocus_blur", "low_resolution"),
    "dark": ("low_light",),
    "overexposed": ("over_exposure",),
}


def damaged(scene: Scene, word: str) -> tuple[Mask, float]:
    """Where the diagnosis would have a kind of damage treated, and how sure it is of it there."""
    kinds = KINDS[word]
    mask = np.max([scene.cells(kind) for kind in kinds], axis=0)
    chosen = [scene.diagnosis.presence[INDEX[kind]][scene.diagnosis.cells(kind) > 0] for kind in kinds]
    sure = np.concatenate(chosen)
    return mask.astype(np.float32), float(sure.mean()) if sure.size else 0.0


def ailments(cells: Mask, diagnosis: Diagnosis) -> dict[str, float]:
    """Mean severity of each kind of damage that ails a part, float32 (h, w) on the cell grid."""
    weight = max(float(cells.sum()), 1e-6)
    means = {kind: float((diagnosis.cells(kind) * cells).sum()) / weight for kind in diagnosis.degradations}
    return {kind: mean for kind, mean in means.items() if mean >= MATTERS}


def dark(scene: Scene) -> tuple[Mask, float]:
    """What lacks light by the diagnosis, and what is simply dark."""
    lacking, sure = damaged(scene, "dark")
    toned, seen = shadows(scene)
    return np.maximum(lacking, toned), max(sure, seen)
