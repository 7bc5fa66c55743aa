"""Whether to believe a kernel that was found blindly: questions that a wrong one seldom passes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from conservator.pixels.deconvolution import blurred_along, response_of, sharpened
from conservator.pixels.motion import Floats, faded

FLAT = 0.15
"""Share of a region that counts as flat: where the blurred picture varies least, so did the sharp one."""

LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""White noise keeps its deviation, and blurred pictures have nothing else so fine (Immerkær, CVIU 1996)."""


def agreement(one: Floats, other: Floats) -> float:
    """Correlation in [0, 1] of two kernels, both at most a pixel blurred and placed where they agree most.

    Asked of kernels from two parts of a region: what the scene put into them differs, what the movement did does not.
    """
    side = 2 * max(len(one), len(other))
    spectra = []
    for kernel in (one, other):
        smooth = cv2.GaussianBlur(cv2.copyMakeBorder(kernel, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0), (0, 0), 1)
        spectra.append(fft.rfft2(smooth / np.linalg.norm(smooth), (side + 6, side + 6)))
    return float(fft.irfft2(spectra[0] * spectra[1].conj(), (side + 6, side + 6)).max())


def spilled(kernel: Floats) -> float:
    """Share of a kernel that lies on its rim."""
    return float(1 - kernel[1:-1, 1:-1].sum())


def smoothness(plane: Floats, weight: Floats, kernel: Floats, noise: float) -> float:
    """How much more a picture varies over two pixels than over one, in power, along the kernel's longest axis.

    A smooth picture has 4, a step 2, sharp photographs 1.3 to 2.8 in any direction; smeared over 4 px and more, 3 to 4.

    plane, weight   (H, W), see `find_kernel`
    noise           deviation of the white noise on the plane, which is left out
    """
    across, down = _axis(kernel)
    phase = 2 * np.pi * (down * fft.fftfreq(plane.shape[0])[:, None] + across * fft.fftfreq(plane.shape[1]))
    power = np.square(np.abs(fft.fft2(faded(plane, weight)))) - noise**2 * float(np.square(weight).sum())
    one, two = (float((power * (1 - np.cos(steps * phase))).sum()) for steps in (1, 2))
    return two / one if one > 0 else 0.0


def rippling(plane: Floats, share: Floats, kernel: Floats, doubt: float, margin: int) -> float:
    """How much deconvolution changes what is flat, as a share of what it changes anywhere: ringing and noise, ≥ 0.

    plane   (H, W), sides at least 2 · margin
    share   (H, W) in [0, 1], how far a pixel is blurred
    """
    inside = np.s_[margin:-margin, margin:-margin]
    blurred = blurred_along(plane[..., None], share, kernel)
    sharp = sharpened(blurred, response_of(kernel, plane.shape), doubt, margin)[..., 0]
    change, window = np.square(sharp - plane)[inside], (len(kernel), len(kernel))
    varies = (cv2.blur(plane * plane, window) - np.square(cv2.blur(plane, window)))[inside]
    counts = share[inside] > 0.5
    if not counts.any():
        return math.inf
    flat = counts & (varies <= np.quantile(varies[counts], FLAT))
    return math.sqrt(float(change[flat].mean()) / max(float(change[counts].mean()), 1e-12))


def noise_of(plane: Floats, share: Floats) -> float:
    """Deviation of the white noise on a blurred plane (H, W), where `share` (H, W) is large."""
    fine = np.abs(cv2.filter2D(plane, -1, LAPLACIAN))[share > 0.5]
    return float(np.median(fine)) / 0.6745 if fine.size else 0.0


def _axis(kernel: Floats) -> NDArray[np.float64]:
    """Unit vector (x, y) along which the kernel is longest."""
    y, x = np.nonzero(kernel)
    if y.size < 2:
        return np.array([1.0, 0.0])
    return np.linalg.eigh(np.cov(np.stack([x, y]), aweights=kernel[y, x], ddof=0))[1][:, 1]
