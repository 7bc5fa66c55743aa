"""What can happen to a picture besides our tools: smoothing, sharpening, shifts of colour and light, invention.

None of it is one of the classical tools in `conservator.benchmarks.peers`: on those the critic is examined.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from conservator.synthesis.sensor import jpeg

Array = NDArray[np.float32]
Mishap = Callable[[Array, np.random.Generator], Array]


def befallen(picture: Array, rng: np.random.Generator) -> Array:
    """A picture, float32 (H, W, 3) in [0, 1], after one mishap, everywhere or in a soft spot."""
    after = MISHAPS[int(rng.integers(len(MISHAPS)))](picture, rng)
    if rng.random() < 0.3:
        after = picture + spot(picture.shape[:2], rng)[..., None] * (after - picture)
    return np.clip(after, 0, 1).astype(np.float32)


def spot(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A soft ellipse, float32 (H, W) in [0, 1]."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    (cy, cx), (ry, rx) = rng.random(2) * size, rng.uniform(0.15, 0.6, 2) * size
    distance = np.hypot((y - cy) / ry, (x - cx) / rx)
    return np.clip((1.1 - distance) * 5, 0, 1).astype(np.float32)


def smoothed(picture: Array, rng: np.random.Generator) -> Array:
    """A Gaussian, from barely to grossly."""
    return cv2.GaussianBlur(picture, (0, 0), float(np.exp(rng.uniform(np.log(0.4), np.log(4)))))


def smoothed_between_edges(picture: Array, rng: np.random.Generator) -> Array:
    """A Gaussian that spares what stands out of a wider one: plain, but it can denoise."""
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 3))
    wide = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 2)).mean(axis=2)
    edge = np.hypot(cv2.Sobel(wide, cv2.CV_32F, 1, 0), cv2.Sobel(wide, cv2.CV_32F, 0, 1))
    spared = np.clip(edge / rng.uniform(0.1, 0.5), 0, 1)[..., None]
    return soft + spared * (picture - soft)


def shrunk_and_enlarged(picture: Array, rng: np.random.Generator) -> Array:
    """Fewer pixels and back."""
    small = cv2.resize(picture, None, fx=(f := rng.uniform(0.3, 0.85)), fy=f, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[1::-1], interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])))


def sharpened(picture: Array, rng: np.random.Generator) -> Array:
    """High frequencies raised, from helpful for a soft picture to garish; at times over and over."""
    amount, sigma = np.exp(rng.uniform(np.log(0.2), np.log(4))), rng.uniform(0.5, 2.5)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        picture = np.clip(picture + np.float32(amount) * (picture - cv2.GaussianBlur(picture, (0, 0), sigma)), 0, 1)
    return picture


def ringing(picture: Array, rng: np.random.Generator) -> Array:
    """Frequencies cut off sharply, which leaves waves beside edges."""
    height, width = picture.shape[:2]
    far = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    keep = np.where(far > rng.uniform(0.08, 0.35), rng.uniform(0, 0.6), 1)[..., None]
    return np.fft.irfft2(np.fft.rfft2(picture, axes=(0, 1)) * keep, s=(height, width), axes=(0, 1)).astype(np.float32)


def recoloured(picture: Array, rng: np.random.Generator) -> Array:
    """A cast, or more or less colour."""
    if rng.random() < 0.5:
        return picture * np.exp(rng.normal(0, rng.uniform(0.02, 0.2), 3)).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    return grey + np.float32(rng.uniform(0, 2)) * (picture - grey)


def relit(picture: Array, rng: np.random.Generator) -> Array:
    """Brighter, darker, flatter or harder."""
    way = rng.integers(4)
    if way == 0:
        return picture ** np.float32(np.exp(rng.normal(0, 0.4)))
    if way == 1:
        return picture * np.float32(np.exp(rng.normal(0, 0.4)))
    if way == 2:
        return picture + np.float32(rng.normal(0, 0.1))
    return np.float32(picture.mean()) + np.float32(np.exp(rng.normal(0, 0.35))) * (picture - picture.mean())


def textured(picture: Array, rng: np.random.Generator) -> Array:
    """Texture from nowhere, its grain from pixels to blotches."""
    field = rng.standard_normal((*picture.shape[:2], int(rng.choice([1, 3])))).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), rng.uniform(0.3, 3)).reshape(*picture.shape[:2], -1)
    return picture + field / field.std() * np.float32(np.exp(rng.uniform(np.log(2), np.log(40))) / 255)


def borrowed(picture: Array, rng: np.random.Generator) -> Array:
    """Fine detail of another place of the picture on top: a spectrum as it should be, and all invented."""
    detail = picture - cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 4))
    turned = np.rot90(detail, int(rng.integers(1, 4)))
    return picture + np.float32(rng.uniform(0.2, 1.5)) * turned


def compressed(picture: Array, rng: np.random.Generator) -> Array:
    """Compressed anew."""
    return jpeg(np.clip(picture, 0, 1), int(rng.integers(8, 80)))


def moved(picture: Array, rng: np.random.Generator) -> Array:
    """Shifted by a fraction of a pixel up to two."""
    shift = np.array([[1, 0, rng.normal(0, 0.8)], [0, 1, rng.normal(0, 0.8)]])
    return cv2.warpAffine(picture, shift, picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


MISHAPS: tuple[Mishap, ...] = (
    smoothed, smoothed, smoothed_between_edges, smoothed_between_edges, shrunk_and_enlarged, sharpened, sharpened,
    ringing, recoloured, relit, relit, textured, borrowed, compressed, moved,
)  # fmt: skip
