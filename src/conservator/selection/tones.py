"""Parts by their tone: shadows, highlights, dark and bright places, skin."""

from __future__ import annotations

import numpy as np

from conservator.pixels.types import Mask
from conservator.selection.scene import Scene, guided, ramp

SHADOWS = (38.0, 22.0)  # L*, none and all of it
HIGHLIGHTS = (72.0, 88.0)


def shadows(scene: Scene) -> tuple[Mask, float]:
    """What is dark in the picture, whether light is missing or the thing is dark."""
    return _toned(scene, *SHADOWS)


def highlights(scene: Scene) -> tuple[Mask, float]:
    """What is bright in the picture."""
    return _toned(scene, *HIGHLIGHTS)


def darker(scene: Scene, within: Mask, *, brighter: bool = False) -> tuple[Mask, float]:
    """The darker, or brighter, part of a place: its tones are parted in two where they differ most (Otsu, 1979).

    within   float32 (h, w)
    The confidence falls with the distance between the two.
    """
    from skimage.filters import threshold_otsu

    here = scene.lightness[within >= 0.5]
    if here.size < 16 or np.ptp(here) < 1.0:
        return np.zeros(scene.size, np.float32), 0.0
    cut = float(threshold_otsu(here))  # type: ignore[no-untyped-call]
    apart = float(here[here > cut].mean() - here[here <= cut].mean())
    soft = max(apart / 6, 1.0)
    smooth = guided(scene.lightness / np.float32(100), scene.lightness / np.float32(100)) * np.float32(100)
    low, high = (cut - soft, cut + soft) if brighter else (cut + soft, cut - soft)
    return ramp(smooth, low, high) * within, float(np.clip(apart / 25, 0, 1))


def skin(scene: Scene) -> tuple[Mask, float]:
    """Colours of skin, light to dark, in chroma (Chai and Ngan, IEEE TCSVT 1999); wood and sand have them, too."""
    import cv2

    ycc = np.asarray(cv2.cvtColor(scene.small, cv2.COLOR_RGB2YCrCb), np.float32) * np.float32(255)
    light, red, blue = np.moveaxis(ycc, -1, 0)
    like = ramp(red, 133, 138) * ramp(red, 176, 170) * ramp(blue, 76, 80) * ramp(blue, 128, 122) * ramp(light, 40, 60)
    mask = guided(np.asarray(cv2.medianBlur(like, 5), np.float32), scene.lightness / np.float32(100), 3)
    return mask, 0.5 if mask.max() > 0.5 else 0.0


def _toned(scene: Scene, none: float, full: float) -> tuple[Mask, float]:
    light = scene.lightness / np.float32(100)
    mask = ramp(guided(light, light) * np.float32(100), none, full)
    return mask, float(min(1.0, mask.mean() / 0.01))
