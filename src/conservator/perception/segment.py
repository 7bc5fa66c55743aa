"""Regions by what ails them: superpixels of colour and damage, merged while their damage is alike. No weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import NAMES
from conservator.errors import UsageError
from conservator.pixels.types import Maps, Pixels
from conservator.pixels.upsample import upsample
from conservator.regions import Region

Labels = NDArray[np.intp]
Floats = NDArray[np.float32]

MOST_CELLS = 40_000
"""Larger grids are shrunk first: this bounds the work at 2.5 megapixels' worth, whatever the photo."""

SUPERPIXEL = 12
"""Cells in a superpixel, and at most MOST_SUPERPIXELS of them."""

MOST_SUPERPIXELS = 600

COMPACTNESS = 0.3
"""Difference of colour or damage that weighs as much as lying one superpixel farther away."""

PRESENCE = 0.1
"""What being there at all adds to a severity when damage is compared: a faint veil is not nearly clean."""

ALIKE = 0.25
"""Distance of damage up to which groups are one region: a quarter more of the same kind, or a faint kind besides."""

SLIGHT = 0.006
"""Share of the frame times squared distance up to which a group is not worth a region: the fringe of a feathered mask,
3 per cent of the frame and 0.45 away from its neighbour's damage."""

MATTERS = 0.02
"""Mean severity from which a kind of damage ails a region; below, it is a fringe of a neighbour."""

SPECK = 12
"""Components of fewer cells join what surrounds them; on grids below 768 cells, of fewer than a 64th of the grid."""


def segment(maps: Maps, guide: Pixels, *, most: int = 8) -> tuple[Region, ...]:
    """Regions that differ in what ails them.

    maps    float32 (D, h, w), gated severities in [0, 1]; exactly 0 where nothing is wrong
    guide   float32 (h, w, 3) in [0, 1], mean colour of each cell
    most    most regions, the clean one included

    Returns at most `most` regions "r1", "r2", … by severity times area, the clean region (at most one) last. Masks sum
    to 1 in every cell. Ailing regions blend into each other over a cell; between ailing and clean the line is hard, for
    severity ends there anyway and a blend would leave a strip half treated. Severities are those above MATTERS.
    Superpixels after SLIC (Achanta et al., TPAMI 2012), merged by Ward's criterion. The result is deterministic.
    Raises UsageError when shapes, `most` or values are wrong.
    """
    _check(maps, guide, most)
    kinds = np.flatnonzero(maps.any(axis=(1, 2)))
    if not kinds.size:
        return (Region("r1", np.ones(guide.shape[:2], np.float32)),)
    damage = np.ascontiguousarray(maps[kinds], np.float32)
    labels = _labels(damage, np.ascontiguousarray(guide, np.float32), most)
    return tuple(_regions(labels, _means(labels, damage), [NAMES[k] for k in kinds]))


def _labels(damage: Floats, guide: Pixels, most: int) -> Labels:
    """Which group each cell belongs to, (h, w), 0, 1, … without gaps."""
    shrink = math.ceil(math.sqrt(damage[0].size / MOST_CELLS))
    if shrink == 1:
        return _tidy(_grouped(damage, guide, most))
    size = -(-guide.shape[0] // shrink), -(-guide.shape[1] // shrink)
    small_damage, small_guide = _resized(damage, size), np.moveaxis(_resized(np.moveaxis(guide, -1, 0), size), 0, -1)
    return _enlarged(_tidy(_grouped(small_damage, small_guide, most)), small_guide, damage, small_damage, guide)


def _grouped(damage: Floats, guide: Pixels, most: int) -> Labels:
    """Superpixels, merged by what ails them."""
    features = np.asarray(damage + PRESENCE * (damage > 0), np.float32)
    pieces = _superpixels(features, guide)
    # A superpixel ends where damage ends: what is clean to the bit stays in the clean region.
    pieces = _compact(2 * pieces + damage.any(axis=0))
    centres, areas = _means(pieces, features), np.bincount(pieces.ravel()) / pieces.size
    return _compact(_merged(centres, areas, most)[pieces])


def _superpixels(features: Floats, guide: Pixels) -> Labels:
    """SLIC on colour and damage, (h, w); on grids too small for it, stretches of cells."""
    height, width = guide.shape[:2]
    cells = height * width
    if min(height, width) < 4:
        stretch = -(-cells // MOST_SUPERPIXELS)
        return np.asarray(np.arange(cells).reshape(height, width) // stretch)
    from skimage.segmentation import slic

    stack = np.concatenate([guide, np.moveaxis(features, 0, -1)], axis=-1)
    count = min(max(cells // SUPERPIXEL, 1), MOST_SUPERPIXELS)
    options = {"max_num_iter": 5, "convert2lab": False, "start_label": 0, "channel_axis": -1}
    return np.asarray(slic(stack, count, COMPACTNESS, **options), np.intp)


def _merged(centres: Floats, areas: NDArray[np.float64], most: int) -> Labels:
    """Group of each piece: alike ones together, the clean ones in a group of their own."""
    from scipy.cluster.hierarchy import fcluster, linkage

    groups = np.zeros(len(centres), np.intp)
    ailing = np.flatnonzero(centres.any(axis=1))
    room = most - (ailing.size < len(centres))
    if not room:
        return groups
    if ailing.size > 1:
        groups[ailing] = fcluster(linkage(centres[ailing], "average"), ALIKE, "distance")
    else:
        groups[ailing] = 1
    while (pair := _to_merge(centres, areas, groups, room)) is not None:
        groups[groups == pair[1]] = pair[0]
    return groups


def _to_merge(centres: Floats, areas: NDArray[np.float64], groups: Labels, room: int) -> tuple[int, int] | None:
    """The two ailing groups that lose least by becoming one (Ward), if they are alike, slight or too many."""
    names = np.unique(groups[groups > 0])
    if names.size < 2:
        return None
    share = np.array([areas[groups == n].sum() for n in names])
    centre = np.stack([np.average(centres[groups == n], axis=0, weights=areas[groups == n]) for n in names])
    square = np.square(centre[:, None] - centre).sum(axis=-1)
    loss = square * (share[:, None] * share / (share[:, None] + share))
    np.fill_diagonal(loss, np.inf)
    a, b = np.unravel_index(int(loss.argmin()), loss.shape)
    if names.size > room or loss[a, b] < SLIGHT or square[a, b] < ALIKE**2:
        return int(names[a]), int(names[b])
    return None


def _tidy(labels: Labels) -> Labels:
    """Specks and holes joined to what surrounds them."""
    from scipy import ndimage

    least = min(SPECK, labels.size // 64)
    keep = np.zeros(labels.shape, np.bool_)
    for group in range(int(labels.max()) + 1):
        parts, count = ndimage.label(labels == group, np.ones((3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        keep |= (sizes >= least)[parts] & (parts > 0)
    if keep.all() or not keep.any():
        return labels
    nearest = ndimage.distance_transform_edt(~keep, return_distances=False, return_indices=True)
    return _compact(labels[tuple(nearest)])


def _enlarged(small: Labels, small_guide: Pixels, damage: Floats, small_damage: Floats, guide: Pixels) -> Labels:
    """Labels at full resolution; edges follow colour, and damage decides between an ailing and a clean neighbour."""
    share = upsample(_one_hot(small), (guide.shape[0], guide.shape[1]), guide=small_guide, pixels=guide)
    ails = np.any(_means(small, small_damage) >= MATTERS, axis=1)
    share += (ails[:, None, None] == damage.any(axis=0)) & (share > 0)
    return _compact(share.argmax(axis=0))


def _masks(labels: Labels, healthy: NDArray[np.bool_]) -> Floats:
    """Soft masks (R, h, w) that sum to 1; the healthy groups are one mask, and it is hard."""
    import cv2

    hard = _one_hot(labels)
    clean = np.any(hard[healthy], axis=0)
    ailing = hard[~healthy]
    for i, mask in enumerate(ailing):
        ailing[i] = np.where(clean, 0, cv2.GaussianBlur(mask, (3, 3), 0, borderType=cv2.BORDER_REPLICATE))
    ailing /= np.where(clean, 1, ailing.sum(axis=0))
    return np.concatenate([ailing, clean[None].astype(np.float32)]) if clean.any() else ailing


def _regions(labels: Labels, means: Floats, names: list[str]) -> Iterator[Region]:
    """Regions with their severities, the worst first."""
    healthy = np.all(means < MATTERS, axis=1)
    masks = _masks(labels, healthy)
    found = [{n: float(s) for n, s in zip(names, row, strict=True) if s >= MATTERS} for row in means[~healthy]]
    found += [{}] * bool(healthy.any())
    weights = [sum(severities.values()) * float(mask.sum()) for severities, mask in zip(found, masks, strict=True)]
    for rank, index in enumerate(sorted(range(len(masks)), key=lambda i: -weights[i]), 1):
        yield Region(f"r{rank}", masks[index], severities=found[index])


def _means(labels: Labels, planes: Floats) -> Floats:
    """Mean of each plane (K, h, w) in each group, float32 (n, K)."""
    flat, count = labels.ravel(), np.bincount(labels.ravel())
    sums = [np.bincount(flat, plane.ravel(), count.size) for plane in planes]
    return np.asarray(np.stack(sums, axis=1) / count[:, None], np.float32)


def _one_hot(labels: Labels) -> Floats:
    groups = np.arange(int(labels.max()) + 1)
    return np.asarray(labels == groups[:, None, None], np.float32)


def _compact(labels: Labels) -> Labels:
    """The same partition, numbered without gaps, in the same order."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _resized(planes: Floats, size: tuple[int, int]) -> Floats:
    import cv2

    return np.stack([cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA) for p in planes]).astype(np.float32)


def _check(maps: Maps, guide: Pixels, most: int) -> None:
    grid = guide.shape[:2]
    if guide.ndim != 3 or guide.shape[2] != 3 or 0 in grid or maps.shape != (len(NAMES), *grid):
        raise UsageError(f"maps {maps.shape} and guide {guide.shape}", f"({len(NAMES)}, h, w) and (h, w, 3)")
    if most < 1:
        raise UsageError(f"most={most}", "at least 1 region")
    if not (np.isfinite(maps).all() and np.isfinite(guide).all() and maps.min() >= 0):
        raise UsageError("maps or guide that are negative or not finite", "severities in [0, 1]", "diagnose again")
