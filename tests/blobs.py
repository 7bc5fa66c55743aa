"""Masks made on the fly: blobs with holes, in several parts."""

import numpy as np
from scipy import ndimage


def blobs(height, width, seed=0, smooth=3.0, share=0.4):
    """A mask bool (H, W) that covers about a share of the frame; never empty."""
    field = np.random.default_rng(seed).standard_normal((height, width))
    field = ndimage.gaussian_filter(field, smooth)
    return field >= np.quantile(field, 1 - share)


def iou(a, b):
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))
