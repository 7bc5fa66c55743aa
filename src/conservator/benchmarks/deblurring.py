"""Classical deconvolution as scikit-image has it, told the true kernel: it cannot find one, a user has to guess it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.benchmarks.photos import Bytes, to_bytes, to_unit
from conservator.synthesis import Damage

Kernel: TypeAlias = NDArray[np.float64]
Deblurrer: TypeAlias = Callable[[Bytes, Kernel], Bytes]

BALANCE = 0.01
"""Wiener's regularisation: of 0.003 to 0.3 on three training photographs less rings, more blurs."""

ITERATIONS = 10
FAINT = 1e-3
SIDE = 65
"""Of a picture that shows the longest kernel of the preset and of the tools' benchmark whole."""


def point_spread(damages: Sequence[Damage]) -> Kernel:
    """Kernel (n, n) of blurring damages: what they make of one white point, without its black rim."""
    image = np.zeros((SIDE, SIDE, 3), np.float32)
    image[SIDE // 2, SIDE // 2] = 1
    for damage in damages:
        image = damage.inflict(image)[0]
    kernel = np.maximum(image[..., 0], 0).astype(np.float64)
    reach = int(np.abs(np.argwhere(kernel > FAINT * kernel.max()) - SIDE // 2).max())
    middle = slice(SIDE // 2 - reach, SIDE // 2 + reach + 1)
    shown = kernel[middle, middle]
    return np.asarray(shown / shown.sum())


def wiener(picture: Bytes, kernel: Kernel) -> Bytes:
    """Wiener deconvolution with a Laplacian prior (Orieux et al., 2010)."""
    from skimage.restoration import wiener as deconvolve

    method: Callable[..., Kernel] = deconvolve
    return _by_channel(picture, kernel, lambda plane: method(plane, kernel, BALANCE))


def richardson_lucy(picture: Bytes, kernel: Kernel) -> Bytes:
    """Richardson (1972) and Lucy (1974), ten iterations: more ring more."""
    from skimage.restoration import richardson_lucy as deconvolve

    method: Callable[..., Kernel] = deconvolve
    return _by_channel(picture, kernel, lambda plane: method(plane, kernel, ITERATIONS))


def _by_channel(picture: Bytes, kernel: Kernel, method: Callable[[Kernel], Kernel]) -> Bytes:
    """Each channel, continued beyond the frame by reflection."""
    reach = 2 * len(kernel)
    padded = np.pad(to_unit(picture).astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    sharp = np.stack([method(padded[..., channel]) for channel in range(3)], axis=2)
    return to_bytes(sharp[reach:-reach, reach:-reach].astype(np.float32))


DEBLURRERS = MappingProxyType(
    {"Wiener (scikit-image), told the kernel": wiener, "Richardson–Lucy (scikit-image), told": richardson_lucy}
)
