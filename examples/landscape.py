"""A landscape nobody photographed: the picture in the README is ours to show, so it is computed, not taken.

python examples/landscape.py landscape.png
"""

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def clouds(height: int, width: int, rng: np.random.Generator, stretch: float = 1.0) -> Image:
    """Fractal noise in [0, 1]: each octave half as strong and twice as fine."""
    total = np.zeros((height, width), np.float32)
    for octave in range(8):
        cells = 3 * 2**octave
        grid = rng.random((max(2, int(cells * height / width * stretch)) + 1, cells + 1), dtype=np.float32)
        total += 0.55**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total - total.min()) / (total.max() - total.min())


def ridge(width: int, rng: np.random.Generator, roughness: float) -> Image:
    """Height of a mountain ridge per column, about 0 ± 1."""
    x = np.arange(width) / width
    waves = [roughness**k * np.sin(2 * np.pi * (2**k * x * 1.3 + rng.random())) for k in range(9)]
    return np.sum(waves, axis=0).astype(np.float32)


def landscape(height: int = 512, width: int = 768, seed: int = 11) -> Image:
    """Sky, clouds, four ranges of mountains, a meadow with flowers; float32 (H, W, 3) in [0, 1]."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = np.array([0.24, 0.45, 0.80]) * (1 - y) + np.array([0.93, 0.80, 0.66]) * y * 1.4
    cover = np.clip(clouds(height, width, rng, 2.0) * 2.4 - 1.15, 0, 1)[..., None]
    image = sky * (1 - 0.85 * cover) + 0.97 * 0.85 * cover
    for depth, (level, colour) in enumerate(
        ((0.48, (0.55, 0.60, 0.72)), (0.56, (0.38, 0.45, 0.52)), (0.64, (0.24, 0.33, 0.30)), (0.76, (0.25, 0.42, 0.14)))
    ):
        outline = level + 0.055 * ridge(width, rng, 0.52 + 0.03 * depth)
        inside = (y[..., 0] > outline[None, :])[..., None]
        texture = clouds(height, width, rng, 1.0)[..., None]
        relief = np.gradient(texture[..., 0], axis=1)[..., None] * 9
        image = np.where(inside, np.array(colour) * (0.55 + 0.8 * texture) + relief * 0.5, image)
    return flowers(np.clip(image, 0, 1).astype(np.float32), rng)


def flowers(image: Image, rng: np.random.Generator) -> Image:
    """Grass blades and blossoms in the foreground, larger towards the bottom."""
    height, width = image.shape[:2]
    canvas = np.rint(image * 255).astype(np.uint8)  # OpenCV smooths lines in 8 bits only
    for bottom in np.sort(rng.uniform(0.80, 1.08, 2600)):
        x, y = int(rng.uniform(0, width)), int(bottom * height)
        size = 2 + 14 * (bottom - 0.78)
        tip = (x + int(rng.normal(0, size)), y - int(4 * size * rng.uniform(0.6, 1.2)))
        green = (0.10 + 0.25 * rng.random(), 0.30 + 0.35 * rng.random(), 0.05 + 0.08 * rng.random())
        cv2.line(canvas, (x, y), tip, [255 * c for c in green], max(1, round(size / 4)), cv2.LINE_AA)
        if rng.random() < 0.08:
            blossom = [(0.95, 0.83, 0.15), (0.85, 0.20, 0.25), (0.93, 0.90, 0.95)][int(rng.integers(3))]
            cv2.circle(canvas, tip, max(1, round(size / 1.6)), [255 * c for c in blossom], -1, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], np.rint(landscape()[..., ::-1] * 255).astype(np.uint8))
