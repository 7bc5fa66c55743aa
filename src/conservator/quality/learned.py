"""The learned critic: a network that sees a photograph before and after a step and says what the step was worth.

Degraded-reference quality (CKDN, Zheng et al., ICCV 2021): the damaged picture is no truth, but what was done to it
tells much. Per cell the network gives a distribution over gains (NIMA, Talebi & Milanfar, TIP 2018), so that it can say
that it does not know. It was trained on outcomes of our own tools and on cheap mishaps, on training photographs only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL
from conservator.models.catalogue import MODELS
from conservator.models.runtime import run
from conservator.pixels.types import Maps, Pixels, to_pixels
from conservator.proxies import proxies
from conservator.quality.critic import Opinion, View
from conservator.quality.reference import check_alike

MODEL = "critic"
CROPS = 6
"""Most native crops of 192 px that are looked at: 0.2 megapixels, whatever the size of the photograph."""

Flags = NDArray[np.bool_]


class Gain(NamedTuple):
    """What a picture gained against the truth that nobody has: PSNR in dB, expected, and its standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Judged:
    """What the critic thinks of two states, per cell of CELL px.

    gain       float32 (h, w), expected gain in dB
    deviation  float32 (h, w), its standard deviation in dB
    error      float32 (h, w), logarithm to base 10 of the mean squared error there was before
    changed    bool (h, w), where the two states differ
    """

    gain: Maps
    deviation: Maps
    error: Maps
    changed: Flags

    @classmethod
    def of(cls, chances: Maps, error: Maps, changed: Flags, gains: Sequence[float], scale: float = 1.0) -> Judged:
        """From the network's answers: probabilities (bins, h, w) of `gains` in dB, and the error before."""
        values = np.asarray(gains, np.float32)[:, None, None]
        mean = (chances * values).sum(axis=0)
        deviation = np.sqrt((chances * np.square(values - mean)).sum(axis=0))
        return cls(mean, np.asarray(scale * deviation, np.float32), error, changed)

    def pooled(self, where: Flags | None = None) -> Gain:
        """Gain of all changed cells together, of those among them that `where`, bool (h, w), names."""
        chosen = self.changed if where is None else self.changed & where
        if not chosen.any():
            return Gain(0.0, 0.0)
        before = 10.0 ** np.clip(self.error[chosen].astype(np.float64), -6, 1)
        after = before * 10.0 ** (-self.gain[chosen] / 10)
        # Neighbours err together: the deviation of the whole is that of its cells, not divided by their number.
        variance = (before * np.square(self.deviation[chosen])).sum() / before.sum()
        return Gain(float(10 * np.log10(before.sum() / after.sum())), float(np.sqrt(variance)))


def judge(before: Pixels, after: Pixels) -> Judged:
    """Compare two states of a picture.

    before, after  float32 (H, W, 3) in [0, 1]
    Raises UsageError when the shapes differ, ModelMissing when the shipped network is absent.
    """
    check_alike(before, after)
    pair = {"before": _whole_cells(before), "after": _whole_cells(after)}
    height, width = (n // CELL for n in pair["before"].shape[:2])
    differs = np.any(pair["before"] != pair["after"], axis=2)
    changed = differs.reshape(height, CELL, width, CELL).any(axis=(1, 3))
    inputs = {name: np.ascontiguousarray(picture.transpose(2, 0, 1))[None] for name, picture in pair.items()}
    chances, error = run(MODEL, inputs)
    card = MODELS[MODEL].calibration
    cells = np.s_[: -(-before.shape[0] // CELL), : -(-before.shape[1] // CELL)]
    found = Judged.of(chances[0], error[0, 0], changed, card["gains_db"], card["deviation_scale"])
    return Judged(found.gain[cells], found.deviation[cells], found.error[cells], changed[cells])


def learned(before: View, after: View, asked: Maps) -> Opinion:
    """A critic for a session: the predicted gain where something was asked for, in dB.

    Local damage is judged on native crops where most of it is, haze and exposure on the shrunk frame: as `proxies` are.
    """
    expected = before.diagnosis.presence * before.diagnosis.raw
    pairs = zip(*(proxies(view.samples, asked, expected, CROPS) for view in (before, after)), strict=True)
    seen: list[Gain] = []
    touched, kinds = [], 0
    for then, now in pairs:
        where = np.asarray(then.maps.any(axis=0))
        seen.append(judge(to_pixels(then.samples), to_pixels(now.samples)).pooled(where))
        touched.append(int(np.count_nonzero(where)))
        kinds += int(np.count_nonzero(then.maps))
    if not kinds:
        return Opinion(0.0, 0.0, "nothing was treated")
    gain, deviation = np.average(seen, axis=0, weights=touched).tolist()
    share = sum(touched) / kinds  # an opinion is per cell and kind, so that many kinds in one step do not count twice
    return Opinion(share * gain, share * deviation, f"the critic expects {gain:+.1f} ± {deviation:.1f} dB of it")


def _whole_cells(picture: Pixels) -> Pixels:
    """Mirrored out to whole cells, two at least."""
    height, width = picture.shape[:2]
    down, right = max(-height % CELL, 2 * CELL - height), max(-width % CELL, 2 * CELL - width)
    if not down and not right:
        return picture
    mirror = max(down, right) < min(height, width)
    border = cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(picture, 0, down, 0, right, border), np.float32)
