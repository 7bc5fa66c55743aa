"""What our deconvolution makes of blurred training photographs, for the network that finishes its work to learn from.

    CONSERVATOR_DATA=../shared/data python training/blurred.py [SHELVES]

Made once and kept in CHECKPOINTS/blurred as shelves of 50 windows. Shelf and place are the seed; a run that was stopped
goes on with the shelf that is missing. Two fifths of the windows are deconvolved by the tools with what they read from
the picture, two fifths with a kernel that is nearly right, and of one fifth no kernel was found.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks.deblurring import point_spread
from conservator.degradations import INDEX, NAMES
from conservator.pixels.deconvolution import response_of, sharpened
from conservator.pixels.reduce import cell_means
from conservator.pixels.types import Maps, Pixels, to_pixels, to_samples
from conservator.synthesis import Damage, degrade, draw_global, draw_preset
from conservator.tools import defocus_deblur, engine, motion_deblur
from data import Photographs
from loop import CHECKPOINTS

FOLDER = CHECKPOINTS / "blurred"
SHELF, SIZE = 50, (256, 320)
SHELVES, HELD_OUT = 30, 2
MARGIN = 96
BLURS = ("motion_blur", "defocus_blur")


def _stilled(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    return motion_deblur.stilled(pixels, severity[INDEX["motion_blur"]])[0]


PHYSICS = {
    "motion_blur": replace(motion_deblur.motion_deblur, treat=_stilled),
    "defocus_blur": defocus_deblur.defocus_deblur,
}
"""The tools without the network that is trained here."""

Bytes = NDArray[np.uint8]


def main(shelves: int) -> None:
    """Fill what is missing, the held-out shelves first."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for held_out, count in ((True, HELD_OUT), (False, shelves)):
        photographs = Photographs(held_out, smallest=SIZE[0])
        photographs.images = [image for image in map(_lying, photographs.images) if image.shape[1] >= SIZE[1]]
        for number in range(count):
            path = FOLDER / f"{'held_out' if held_out else 'shelf'}_{number:03d}.npz"
            if path.exists():
                continue
            seeds = ((43 + held_out, number, place) for place in range(SHELF))
            windows, severities = zip(*(window(photographs, np.random.default_rng(s)) for s in seeds), strict=True)
            np.savez(path.with_suffix(".tmp.npz"), windows=np.stack(windows), severities=np.stack(severities))
            path.with_suffix(".tmp.npz").replace(path)
            print(path, flush=True)


def window(photographs: Photographs, rng: np.random.Generator) -> tuple[Bytes, NDArray[np.float32]]:
    """Truth, blurred and deconvolved, uint8 (3, *SIZE, 3), and the severities (2,) of BLURS that were found.

    One in ten is sharp, and was taken for blurred.
    """
    kind = str(rng.choice(BLURS, p=(0.6, 0.4)))
    blur = (draw_preset if rng.random() < 0.5 else draw_global)(rng, [kind])
    sample = degrade(_crop(photographs, rng), [*([] if rng.random() < 0.1 else blur), *_faint(rng)])
    truth = sample.truth[INDEX[kind]].max() or rng.uniform(0.1, 0.7)
    severities = np.where([kind == one for one in BLURS], truth * rng.normal(1, 0.1), 0).clip(0, 1)
    way = rng.random()
    if way < 0.4:
        sharp = _treated(sample.degraded, kind, float(severities.max()))
    elif way < 0.8:
        sharp = _deconvolved(sample.degraded, _misjudged(point_spread(blur), rng), float(np.exp(rng.uniform(-5, -1))))
    else:
        sharp = sample.degraded
    shown = np.stack([sample.clean, sample.degraded, np.clip(sharp, 0, 1)])
    return np.rint(shown * 255).astype(np.uint8), severities.astype(np.float32)


def _lying(image: Bytes) -> Bytes:
    return image if image.shape[1] >= image.shape[0] else np.ascontiguousarray(np.rot90(image))


def _crop(photographs: Photographs, rng: np.random.Generator) -> Pixels:
    image = photographs.images[rng.integers(len(photographs.images))]
    (height, width), (rows, columns) = SIZE, image.shape[:2]
    y, x = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    return image[y : y + height, x : x + width].astype(np.float32) / np.float32(255)


def _faint(rng: np.random.Generator) -> list[Damage]:
    """What earlier steps leave: a little noise, the file's own compression."""
    noise = {"sigma": float(rng.uniform(0.5, 4))}
    return [
        *([Damage("noise", noise, int(rng.integers(2**31)))] if rng.random() < 0.4 else []),
        *([Damage("jpeg", {"quality": int(rng.integers(75, 97))})] if rng.random() < 0.2 else []),
    ]


def _treated(pixels: Pixels, kind: str, severity: float) -> Pixels:
    samples = to_samples(pixels, 8)
    guide = cell_means(samples)
    maps: Maps = np.zeros((len(NAMES), *guide.shape[:2]), np.float32)
    maps[INDEX[kind]] = severity
    return to_pixels(engine.apply(PHYSICS[kind], samples, maps, guide))


def _misjudged(kernel: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A kernel as estimates are: a little too long or too short, turned, blurred, or nearly right."""
    wide = np.pad(kernel.astype(np.float32), 3)
    middle = (len(wide) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 4), float(np.exp(rng.normal(0, 0.08))))
    wide = cv2.GaussianBlur(cv2.warpAffine(wide, turn, wide.shape), (0, 0), rng.uniform(0.2, 0.9))
    wide *= 1 + rng.normal(0, 0.3, wide.shape)
    wide = np.where(wide > 0.05 * wide.max(), wide, 0)
    return np.asarray(wide / wide.sum(), np.float32)


def _deconvolved(pixels: Pixels, kernel: NDArray[np.float32], doubt: float) -> Pixels:
    padded = np.pad(pixels, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    response = response_of(kernel, (padded.shape[0], padded.shape[1]))
    return sharpened(padded, response, doubt, MARGIN)[MARGIN:-MARGIN, MARGIN:-MARGIN]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SHELVES)
