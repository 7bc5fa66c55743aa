"""Photographs made on the fly: no picture is stored in the repository."""

import numpy as np

from conservator.synthesis.weather import smooth_field


def scene(height=160, width=224, seed=0):
    """A natural-looking picture, float32 (H, W, 3): soft shades, hard-edged shapes and fine texture, 8-bit exact."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([0.15 + 0.7 * smooth_field((height, width), rng, 4) for _ in range(3)], axis=2)
    for _ in range(9):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(0.06, 0.22) * width
        inside = ((y - cy) ** 2 + ((x - cx) * rng.uniform(0.6, 1.6)) ** 2 < radius**2)[..., None]
        stripes = 0.08 * np.sin(x * rng.uniform(0.2, 1.5) + y * rng.uniform(0.2, 1.5))[..., None]
        image = np.where(inside, rng.random(3, dtype=np.float32) * 0.8 + 0.1 + stripes, image)
    return (np.rint(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)
