"""Make the picture at the top of the README: a computed landscape, damaged in places, and what restore makes of it.

python examples/readme_picture.py docs/pictures/before-after.jpg
"""

import sys

import cv2
import numpy as np
from landscape import landscape

import conservator
from conservator.quality.reference import psnr
from conservator.report import compare
from conservator.synthesis import Damage, degrade

RAIN = {"length": 28, "angle": 0.2, "width": 1.2, "density": 0.005, "model": "add", "brightness": 0.45}


def main(path: str) -> None:
    """Rain on the left, noise and heavy compression in the middle, the right edge left clean."""
    clean = landscape()
    height, width = clean.shape[:2]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :].repeat(height, axis=0)
    left, middle = np.clip((0.38 - x) * 20, 0, 1), np.clip((x - 0.38) * 20, 0, 1) * np.clip((0.8 - x) * 20, 0, 1)
    damages = [
        Damage("rain", RAIN, 3, left),
        Damage("noise", {"sigma": 28.0}, 1, middle),
        Damage("jpeg", {"quality": 25}, 2, middle),
    ]
    sample = degrade(clean, damages)
    treatment = conservator.restore(sample.degraded)
    print(f"{psnr(sample.degraded, sample.clean):.1f} dB before, {psnr(treatment.pixels, sample.clean):.1f} dB after")
    cv2.imwrite(path, compare(treatment)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main(sys.argv[1])
