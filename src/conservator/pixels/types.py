"""Names for the arrays that travel through the house.

Pixels    float32 (H, W, 3), sRGB-encoded RGB in [0, 1]; what tools and networks see, a tile at a time
Samples   uint16 (H, W, 3), the same RGB in [0, 65535]; what is kept of a whole photograph.
          An 8-bit sample v is stored as 257·v, so v / 255 and 257·v / 65535 are the same number
          and both depths come back to the byte. 100 megapixels take 600 MB.
Mask      float32 (H, W) in [0, 1]
Maps      float32 (D, h, w): one channel per degradation, one cell per CELL × CELL pixels,
          h = ceil(H / CELL), w = ceil(W / CELL)
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.float32]
Samples: TypeAlias = NDArray[np.uint16]
Mask: TypeAlias = NDArray[np.float32]
Maps: TypeAlias = NDArray[np.float32]


def to_pixels(samples: Samples) -> Pixels:
    """Samples (…) in [0, 65535] to float32 in [0, 1]."""
    return samples.astype(np.float32) * np.float32(1.0 / 65535.0)


def to_samples(pixels: Pixels, depth: int = 16) -> Samples:
    """Float pixels to samples, clipped to [0, 1]; depth 8 rounds to the 256 values an 8-bit file can hold."""
    if depth == 8:
        return np.asarray(np.rint(np.clip(pixels, 0.0, 1.0) * np.float32(255.0)), np.uint16) * np.uint16(257)
    return np.asarray(np.rint(np.clip(pixels, 0.0, 1.0) * np.float32(65535.0)), np.uint16)
