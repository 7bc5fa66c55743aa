"""The vocabulary of damage: what can be wrong, in which unit, and how severe that is.

Every other module reads this one; the order of `DEGRADATIONS` is the channel order of severity maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Stage(StrEnum):
    """Where damage enters a photograph; treated in this order, last damage first (MAIR, 2503.09403)."""

    COMPRESSION = "compression"
    SURFACE = "surface"  # of the print or negative, before it is scanned
    IMAGING = "imaging"
    SCENE = "scene"


class Sight(StrEnum):
    """What one must look at to see the damage."""

    LOCAL = "local"  # a few native pixels: vanishes when the frame is shrunk
    FRAME = "frame"  # the whole frame: a crop cannot tell a veil or a shadow from the scene
    TOLD = "told"  # nothing perceives it: treated only where somebody asks for it


class Scale(StrEnum):
    """How a physical value maps to severity, so that equal steps look about equally bad."""

    LINEAR = "linear"  # value / worst
    ROOT = "root"  # sqrt(value / worst)
    LOG = "log"  # log(value / none) / log(worst / none)


@dataclass(frozen=True)
class Degradation:
    """One kind of damage.

    name     identifier used in maps, plans, records and on the command line
    stage    where it enters the photograph
    sight    what it takes to see it
    unit     physical unit of its value
    none     value that means "absent" (severity 0)
    worst    value at severity 1; worse values saturate
    scale    curve between the two
    notice   smallest value worth treating: below it nobody sees the damage
    """

    name: str
    stage: Stage
    sight: Sight
    unit: str
    none: float
    worst: float
    scale: Scale
    notice: float

    def severity(self, value: ArrayLike) -> NDArray[np.float32]:
        """Severity in [0, 1] of a value in the physical unit; any shape."""
        x = np.asarray(value, np.float32)
        share = (x - self.none) / (self.worst - self.none)
        if self.scale is Scale.ROOT:
            share = np.sqrt(np.maximum(share, 0.0))
        elif self.scale is Scale.LOG:
            share = np.log(np.maximum(x, 1e-6) / self.none) / math.log(self.worst / self.none)
        return np.asarray(np.clip(share, 0.0, 1.0), np.float32)

    def value(self, severity: ArrayLike) -> NDArray[np.float32]:
        """Physical value of a severity in [0, 1]; the inverse of `severity` inside the range."""
        s = np.clip(np.asarray(severity, np.float32), 0.0, 1.0)
        if self.scale is Scale.LOG:
            return np.asarray(self.none * (self.worst / self.none) ** s, np.float32)
        if self.scale is Scale.ROOT:
            s = s * s
        return np.asarray(self.none + s * (self.worst - self.none), np.float32)

    @property
    def threshold(self) -> float:
        """Severity of `notice`."""
        return float(self.severity(self.notice))


NOISE = Degradation("noise", Stage.IMAGING, Sight.LOCAL, "σ in 8-bit levels", 0.0, 75.0, Scale.ROOT, 6.0)
JPEG = Degradation("jpeg", Stage.COMPRESSION, Sight.LOCAL, "JPEG quality", 100.0, 5.0, Scale.LOG, 60.0)
MOTION_BLUR = Degradation("motion_blur", Stage.IMAGING, Sight.LOCAL, "extent in px", 0.0, 32.0, Scale.ROOT, 2.5)
DEFOCUS_BLUR = Degradation("defocus_blur", Stage.IMAGING, Sight.LOCAL, "radius in px", 0.0, 8.0, Scale.ROOT, 1.0)
LOW_RESOLUTION = Degradation("low_resolution", Stage.IMAGING, Sight.LOCAL, "shrink factor", 1.0, 4.0, Scale.LOG, 1.5)
RAIN = Degradation("rain", Stage.SCENE, Sight.LOCAL, "mean added 8-bit levels", 0.0, 48.0, Scale.ROOT, 2.0)
HAZE = Degradation("haze", Stage.SCENE, Sight.FRAME, "1 − transmission", 0.0, 1.0, Scale.LINEAR, 0.12)
LOW_LIGHT = Degradation("low_light", Stage.SCENE, Sight.FRAME, "EV lost", 0.0, 5.0, Scale.ROOT, 0.4)
OVER_EXPOSURE = Degradation("over_exposure", Stage.SCENE, Sight.FRAME, "EV gained", 0.0, 3.0, Scale.ROOT, 0.4)
UNDERWATER = Degradation("underwater", Stage.SCENE, Sight.TOLD, "metres of water", 0.0, 12.0, Scale.LINEAR, 1.0)
COLOUR_CAST = Degradation(
    "colour_cast", Stage.SCENE, Sight.TOLD, "degrees between the light and grey", 0.0, 30.0, Scale.LINEAR, 3.0
)
SCRATCHES = Degradation(
    "scratches", Stage.SURFACE, Sight.TOLD, "share of the surface hidden", 0.0, 1.0, Scale.LINEAR, 0.02
)

DEGRADATIONS: tuple[Degradation, ...] = (
    NOISE,
    JPEG,
    MOTION_BLUR,
    DEFOCUS_BLUR,
    LOW_RESOLUTION,
    RAIN,
    HAZE,
    LOW_LIGHT,
    OVER_EXPOSURE,
    UNDERWATER,
    COLOUR_CAST,
    SCRATCHES,
)
NAMES: tuple[str, ...] = tuple(d.name for d in DEGRADATIONS)
BY_NAME = MappingProxyType({d.name: d for d in DEGRADATIONS})
INDEX = MappingProxyType({name: i for i, name in enumerate(NAMES)})
LOCAL: tuple[Degradation, ...] = tuple(d for d in DEGRADATIONS if d.sight is Sight.LOCAL)
FRAME: tuple[Degradation, ...] = tuple(d for d in DEGRADATIONS if d.sight is Sight.FRAME)
TOLD: tuple[Degradation, ...] = tuple(d for d in DEGRADATIONS if d.sight is Sight.TOLD)
PERCEIVED: tuple[str, ...] = tuple(d.name for d in DEGRADATIONS if d.sight is not Sight.TOLD)
"""Names of what the perceivers look for and what mixtures are drawn from, in channel order."""

EXPOSURE: tuple[str, ...] = (LOW_LIGHT.name, OVER_EXPOSURE.name)
"""Too little light and too much, of which a place suffers from one at most."""

CELL = 8
"""Side of a severity-map cell in pixels: the JPEG block, so blockiness is a per-cell fact."""
