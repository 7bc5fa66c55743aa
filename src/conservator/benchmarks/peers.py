"""Classical corrections that a user has at hand: OpenCV's, scikit-image's, and textbook methods in a few lines.

Peers that have a parameter for how strong the damage is are told the truth about it. BM3D competes where somebody has
installed it: its package may be used for non-commercial purposes only, so nothing here depends on it.
Peers that must know the kernel of a blur are in `deblurring`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from conservator.benchmarks.photos import Bytes, to_bytes, to_unit

Peer: TypeAlias = Callable[[Bytes], Bytes]
Floats: TypeAlias = NDArray[np.float32]


def nlmeans(sigma: float) -> Peer:
    """OpenCV's coloured non-local means (Buades et al., 2005), its strength h the noise's deviation in 8-bit levels."""
    return lambda picture: np.asarray(cv2.fastNlMeansDenoisingColored(picture, None, sigma, sigma), np.uint8)


def total_variation(sigma: float) -> Peer:
    """scikit-image's total variation (Chambolle, 2004), its weight the noise's deviation."""

    def denoise(picture: Bytes) -> Bytes:
        from skimage.restoration import denoise_tv_chambolle

        smooth: Callable[..., Floats] = denoise_tv_chambolle
        return to_bytes(smooth(to_unit(picture), weight=sigma / 255, channel_axis=-1))

    return denoise


def bilateral(sigma: float) -> Peer:
    """OpenCV's bilateral filter (Tomasi & Manduchi, 1998) over 9 pixels; twice `sigma` levels count as alike."""
    return lambda picture: np.asarray(cv2.bilateralFilter(picture, 9, 2 * sigma, 3), np.uint8)


def dct_shrinkage(sigma: float) -> Peer:
    """Hard thresholding at 3 σ of overlapping 8 by 8 cosine transforms (Yu & Sapiro, IPOL 2011)."""

    def denoise(picture: Bytes) -> Bytes:
        """The picture, uint8 (H, W, 3), without what falls below the threshold."""
        from scipy.fft import dctn, idctn

        height, width = picture.shape[:2]
        padded = np.pad(to_unit(picture), ((8, 16 - height % 8), (8, 16 - width % 8), (0, 0)), mode="symmetric")
        total, size = np.zeros(padded.shape, np.float32), (padded.shape[0] // 8 - 1, padded.shape[1] // 8 - 1)
        for y, x in ((y, x) for y in range(0, 8, 2) for x in range(0, 8, 2)):
            window = np.s_[y : y + 8 * size[0], x : x + 8 * size[1]]
            blocks = dctn(padded[window].reshape(size[0], 8, size[1], 8, 3), axes=(1, 3), norm="ortho")
            blocks *= np.abs(blocks) > 3 * sigma / 255
            total[window] += idctn(blocks, axes=(1, 3), norm="ortho").reshape(8 * size[0], 8 * size[1], 3)
        return to_bytes(total[8 : 8 + height, 8 : 8 + width] / np.float32(16))

    return denoise


def bm3d(sigma: float) -> Peer:
    """Colour BM3D (Dabov et al., ICIP 2007) by its authors (Mäkinen et al., TIP 2020): the packages bm3d and bm4d."""

    def denoise(picture: Bytes) -> Bytes:
        from bm3d import bm3d_rgb

        smooth: Callable[..., Floats] = bm3d_rgb
        return to_bytes(smooth(to_unit(picture), sigma / 255))

    return denoise


def wiener(picture: Bytes) -> Bytes:
    """scipy's adaptive Wiener filter (Lee, 1980) of 5 by 5 pixels, which estimates the noise itself."""
    from scipy.signal import wiener as adaptive

    pixels = to_unit(picture)
    with np.errstate(divide="ignore", invalid="ignore"):  # where nothing varies it divides by nothing
        channels = [adaptive(channel.astype(np.float64), 5) for channel in np.moveaxis(pixels, 2, 0)]
    filtered = np.stack(channels, axis=2).astype(np.float32)
    return to_bytes(np.where(np.isfinite(filtered), filtered, pixels))


def median(picture: Bytes) -> Bytes:
    """Median of 5 by 5 pixels, channel by channel."""
    return np.asarray(cv2.medianBlur(picture, 5), np.uint8)


def opening(picture: Bytes) -> Bytes:
    """Opening along 5 pixels of a row: what is bright, upright and thin goes."""
    return np.asarray(cv2.morphologyEx(picture, cv2.MORPH_OPEN, np.ones((1, 5), np.uint8)), np.uint8)


def top_hats(picture: Bytes) -> Bytes:
    """What stands out of 11 pixels by 60 levels, light or dark, and its rim, filled by Telea's method (2004): the usual
    recipe against scratches; 40 to 120 levels and 7 pixels were tried on training photographs."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    hats = [cv2.morphologyEx(grey, hat, around) for hat in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    found = cv2.dilate((np.maximum(*hats) > 60).astype(np.uint8), np.ones((3, 3), np.uint8))
    return telea(picture, found > 0)


def telea(picture: Bytes, hole: NDArray[np.bool_]) -> Bytes:
    """OpenCV's fill of a hole (H, W) by fast marching (Telea, 2004), radius 3."""
    return np.asarray(cv2.inpaint(picture, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def resized(scale: int, method: Resampling) -> Peer:
    """Pillow's resampling; its bicubic kernel (a = −½) is the one that enlarging networks are compared with."""

    def enlarge(picture: Bytes) -> Bytes:
        size = scale * picture.shape[1], scale * picture.shape[0]
        return np.asarray(Image.fromarray(picture).resize(size, method), np.uint8)

    return enlarge


def repeated(picture: Bytes, scale: int) -> Bytes:
    """Every pixel `scale` times in both directions: what a viewer shows that only zooms."""
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def unsharp(picture: Bytes) -> Bytes:
    """Wide unsharp mask, radius 30 and amount 0.6: the local contrast that photographers give to hazy pictures."""
    return _unsharp(picture, 30, 0.6)


def unsharp_finely(picture: Bytes) -> Bytes:
    """Unsharp mask of radius 2 and amount 1: what photo editors offer against blur."""
    return _unsharp(picture, 2, 1)


def _unsharp(picture: Bytes, radius: float, amount: float) -> Bytes:
    pixels = to_unit(picture)
    return to_bytes(pixels + np.float32(amount) * (pixels - cv2.GaussianBlur(pixels, (0, 0), radius)))


def dark_channel(picture: Bytes) -> Bytes:
    """Dark-channel prior with guided filter (He et al., CVPR 2009, TPAMI 2013): ω 0.95, window 15, t at least 0.1."""
    pixels = to_unit(picture)
    window = np.ones((15, 15), np.uint8)
    dark = cv2.erode(pixels.min(axis=2), window).ravel()
    haziest = np.argpartition(dark, -max(1, dark.size // 1000))[-max(1, dark.size // 1000) :]
    airlight = np.maximum(pixels.reshape(-1, 3)[haziest].mean(axis=0), 0.05)
    rough = 1 - np.float32(0.95) * cv2.erode((pixels / airlight).min(axis=2), window)
    grey = pixels @ np.full(3, 1 / 3, np.float32)
    transmission = np.clip(guided(grey, rough.astype(np.float32), 40, 1e-3), 0.1, 1)[..., None]
    return to_bytes((pixels - airlight) / transmission + airlight)


def guided(guide: Floats, plane: Floats, radius: int, regular: float) -> Floats:
    """Guided filter by box means (He et al., TPAMI 2013), both (H, W)."""

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT), np.float32)

    at, level = mean(guide), mean(plane)
    spread = mean(guide * guide) - at * at + np.float32(regular)
    slope = np.asarray((mean(guide * plane) - at * level) / spread, np.float32)
    return mean(slope) * guide + mean(level - slope * at)


def grey_world(picture: Bytes) -> Bytes:
    """Channels scaled to the same mean (Buchsbaum, 1980)."""
    return _scaled(picture, to_unit(picture).mean(axis=(0, 1)))


def white_patch(picture: Bytes) -> Bytes:
    """Channels scaled so that their brightest hundredth is alike (Land, 1977)."""
    return _scaled(picture, np.quantile(to_unit(picture), 0.99, axis=(0, 1)))


def _scaled(picture: Bytes, light: NDArray[np.floating]) -> Bytes:
    gains = light.mean() / np.maximum(light, 1 / 255)
    return to_bytes(to_unit(picture) * gains.astype(np.float32))
