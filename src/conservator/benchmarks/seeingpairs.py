"""Pairs of versions of a photograph whose order nobody disputes: the one that looks better has no smaller an error.

Equal errors that are seen unequally: shifts, light and contrast against blur and blocks (Wang & Bovik, "Mean squared
error: love it or leave it?", 2009), noise hidden by texture (Legge & Foley, JOSA 1980), textures of the same kind
(Ding et al., TPAMI 2020). The answers are not votes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.pixels.types import Mask, Pixels
from conservator.synthesis import degrade, draw_preset
from conservator.synthesis.sensor import jpeg

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
GRAIN = 8 / 255
"""Deviation of the grain that is drawn anew."""

Draw: TypeAlias = np.random.Generator
Trio: TypeAlias = tuple[Pixels, Pixels, Pixels]
"""A truth, a version of it that looks better, and one that looks worse."""
Rule: TypeAlias = "Callable[[Pixels, Draw], Trio | None]"
Change: TypeAlias = "Callable[[Pixels, Draw], Pixels]"


def rather(near: Change, far: Change) -> Rule:
    """The first change, and as much of the second as has the same error; None where all of it has less."""

    def rule(truth: Pixels, rng: Draw) -> Trio | None:
        one, change = near(truth, rng), far(truth, rng) - truth
        share = error(one - truth) / max(error(change), 1e-6)
        return (truth, one, truth + share * change) if share <= 1 else None

    return rule


def blotches(truth: Pixels, rng: Draw) -> Trio:
    return truth, truth + field(truth, rng) * np.float32(8 / 255), truth + field(truth, rng, 2.0) * np.float32(8 / 255)


def brightness(truth: Pixels, rng: Draw) -> Trio:
    fields: Pixels = np.concatenate([field(truth, rng) for _ in range(3)], axis=2)
    colours: Pixels = fields - (fields @ LUMA)[..., None]
    grey = field(truth, rng)
    return truth, truth + colours * np.float32(8 / 255 / error(colours)), truth + grey * np.float32(8 / 255)


def hidden(truth: Pixels, rng: Draw) -> Trio | None:
    plane = truth @ LUMA
    mean = cv2.blur(plane, (9, 9))
    deviation = np.sqrt(np.maximum(cv2.blur(plane * plane, (9, 9)) - np.square(mean), 0))
    quiet, busy = (_soft(deviation <= np.quantile(deviation, 0.3)), _soft(deviation >= np.quantile(deviation, 0.7)))
    if np.quantile(deviation, 0.7) < 3 * np.quantile(deviation, 0.3):
        return None
    noise: Pixels = field(truth, rng) * np.float32(10 / 255)
    on_flat, on_busy = noise * quiet, noise * busy
    return truth, truth + on_busy * np.float32(error(on_flat) / error(on_busy)), truth + on_flat


def other_grain(far: Change) -> Rule:
    """The same photograph with its grain drawn anew, and the grainy one changed by no larger an error."""

    def rule(clean: Pixels, rng: Draw) -> Trio:
        truth, near = (clean + field(clean, rng, 0.7) * np.float32(GRAIN) for _ in range(2))
        change = far(truth, rng) - truth
        return truth, near, truth + change * np.float32(min(1.0, error(near - truth) / error(change)))

    return rule


def other_texture(clean: Pixels, rng: Draw) -> Trio:
    """The photograph's large forms under a texture with the spectrum of its detail, the texture drawn anew, and wiped
    away (random phases: Galerne et al., TIP 2011)."""
    base = np.asarray(cv2.GaussianBlur(clean, (0, 0), 6))
    spectrum = np.fft.fft2(clean - cv2.GaussianBlur(clean, (0, 0), 3), axes=(0, 1))
    phases = (np.fft.fft2(rng.standard_normal(clean.shape[:2])) for _ in range(2))
    one, other = (np.real(np.fft.ifft2(spectrum * (p / np.abs(p))[..., None], axes=(0, 1))) for p in phases)
    truth = np.asarray(base + one, np.float32)
    return truth, np.asarray(base + other, np.float32), np.asarray(cv2.GaussianBlur(truth, (0, 0), 2))


def shifted(truth: Pixels, rng: Draw) -> Pixels:
    angle = float(rng.uniform(0, 2 * np.pi))
    move = np.array([[1, 0, 0.5 * np.cos(angle)], [0, 1, 0.5 * np.sin(angle)]])
    size = truth.shape[1], truth.shape[0]
    return np.asarray(cv2.warpAffine(truth, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))


def wavy(truth: Pixels, rng: Draw) -> Pixels:
    """Each place moved by half a pixel or so, its neighbours alike."""
    height, width = truth.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    down, right = (0.5 * field(truth, rng, 16.0)[..., 0] for _ in range(2))
    return np.asarray(cv2.remap(truth, x + right, y + down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))


def brighter(truth: Pixels, rng: Draw) -> Pixels:
    return truth * np.float32(rng.choice([0.96, 1.04]))


def warmer(truth: Pixels, rng: Draw) -> Pixels:
    return truth * np.array([1.03, 1.0, 0.97], np.float32)


def flatter(truth: Pixels, rng: Draw) -> Pixels:
    """A twelfth of the contrast less."""
    mean = truth.mean(axis=(0, 1))
    return np.asarray(mean + np.float32(0.92) * (truth - mean), np.float32)


def vignetted(truth: Pixels, rng: Draw) -> Pixels:
    """A tenth darker in the corners."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in truth.shape[:2])
    return np.asarray(truth * (1 - 0.05 * (np.square(y)[:, None] + np.square(x)[None]))[..., None], np.float32)


def speckled(truth: Pixels, rng: Draw) -> Pixels:
    return truth + field(truth, rng) * np.float32(6 / 255)


def blurred(truth: Pixels, rng: Draw) -> Pixels:
    return np.asarray(cv2.GaussianBlur(truth, (0, 0), 3.0))


def blocky(truth: Pixels, rng: Draw) -> Pixels:
    return jpeg(truth, 6)


def streaked(truth: Pixels, rng: Draw) -> Pixels:
    return degrade(truth, draw_preset(rng, ["rain"])).degraded


def blotched(truth: Pixels, rng: Draw) -> Pixels:
    return truth + field(truth, rng, 2.5) * np.float32(25 / 255)


def mosaic(truth: Pixels, rng: Draw) -> Pixels:
    """Squares of 4 pixels, each of one colour."""
    size = truth.shape[1], truth.shape[0]
    small = cv2.resize(truth, (max(1, size[0] // 4), max(1, size[1] // 4)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_NEAREST))


def banded(truth: Pixels, rng: Draw) -> Pixels:
    """Six levels a channel."""
    return np.asarray(np.rint(truth * 5) / 5, np.float32)


def meshed(truth: Pixels, rng: Draw) -> Pixels:
    """Under a mesh of 8 px."""
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]].astype(np.float32) * np.float32(2 * np.pi / 8)
    return np.asarray(truth + (np.float32(20 / 255) * (np.sin(x) + np.sin(y)))[..., None], np.float32)


def field(truth: Pixels, rng: Draw, radius: float = 0.0) -> Pixels:
    """Grey noise of deviation one (H, W, 1), smooth over `radius` px."""
    noise = rng.standard_normal(truth.shape[:2]).astype(np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), radius)) if radius else noise
    return np.asarray(noise / noise.std(), np.float32)[..., None]


def error(change: Pixels) -> float:
    """Root of the mean square, over three channels."""
    return float(np.sqrt(np.square(np.broadcast_to(change, (*change.shape[:2], 3))).mean()))


def _soft(where: NDArray[np.bool_]) -> Mask:
    return np.asarray(cv2.blur(where.astype(np.float32), (9, 9)), np.float32)[..., None]


TAUGHT: Mapping[str, Rule] = {
    "half a pixel to the side, rather than blurred": rather(shifted, blurred),
    "half a pixel to the side, rather than blocks": rather(shifted, blocky),
    "4 % brighter or darker, rather than blurred": rather(brighter, blurred),
    "4 % brighter or darker, rather than blocks": rather(brighter, blocky),
    "a touch warmer, rather than streaks": rather(warmer, streaked),
    "fine noise, rather than blotches": blotches,
    "noise in colours, rather than in brightness": brightness,
    "noise on texture, rather than on what is flat": hidden,
}
"""Rules of the kinds that `training/perceptual.py` draws its lessons from."""

UNTAUGHT: Mapping[str, Rule] = {
    "other grain, rather than blurred": other_grain(blurred),
    "other grain, rather than blotches": other_grain(blotched),
    "the texture drawn anew, rather than wiped away": other_texture,
    "a little wavy, rather than a mosaic": rather(wavy, mosaic),
    "a little flatter, rather than in bands": rather(flatter, banded),
    "darker in the corners, rather than under a mesh": rather(vignetted, meshed),
    "fine noise, rather than a mesh": rather(speckled, meshed),
}
"""Rules whose better or worse version, or both, no lesson had."""
