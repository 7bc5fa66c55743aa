"""Applies a tool to a photograph: pads, tiles, upsamples severity, checks the result, leaves the rest untouched.

A tool that enlarges leaves nothing untouched: there the rest is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conservator.degradations import CELL, INDEX, NAMES
from conservator.errors import ConservatorError, ToolFailed, UsageError
from conservator.pixels.enlarge import REACH, enlarged
from conservator.pixels.reduce import mask_cells, resample, resample_cells, thumbnail
from conservator.pixels.tiling import Tile, Window, tiles
from conservator.pixels.types import Maps, Mask, Pixels, Samples, to_pixels, to_samples
from conservator.pixels.upsample import pixel_severity, upsample
from conservator.tools.card import Tiles, Tool

Channels: TypeAlias = list[int]

TILE = 512
"""Side of a tile's core in pixels, for tools that may be tiled freely."""

LARGE_TILE = 2048
"""The same for tools that would rather not be tiled."""

THUMBNAIL = 256
"""Long side in pixels of what a survey function sees."""


def apply(
    tool: Tool,
    samples: Samples,
    maps: Maps,
    guide: Pixels,
    *,
    strength: float = 1.0,
    strength_mask: Mask | Mapping[str, Mask] | None = None,
    options: Mapping[str, Any] | None = None,
    tile: int | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> Samples:
    """The photograph after one tool, a new uint16 array (H, W, 3), or (s·H, s·W, 3) after one that enlarges s times;
    `samples` is never changed.

    samples        uint16 (H, W, 3)
    maps           float32 (D, h, w) in [0, 1] on the CELL grid; what the tool's card does not treat is ignored
    guide          float32 (h, w, 3), mean colour of each cell, see `pixels.reduce.cell_means`
    strength       multiplies the severity, which saturates at 1
    strength_mask  [0, 1], multiplies it too: (h, w) follows the picture's edges, (H, W) is kept to the pixel;
                   or a mask (H, W) for each kind of damage that has one
    options        of the tool
    tile           side of a tile's core in pixels, rounded up to the grid; TILE or LARGE_TILE when omitted. Tools that
                   enlarge get smaller ones: what takes memory is their result
    on_tile        called with (done, total) after each tile; what it raises ends the call

    Tiles with nothing to do never run and do not count. Pixels with no severity come back as the same integers, from a
    tool that enlarges as cubic interpolation; severity is then the share of what the tool adds to it.
    Memory beyond input and output is that of a few tiles, except for tools with `Tiles.FORBIDDEN`.
    Raises ToolFailed when the tool raises or returns a wrong shape, NaN or infinity; UsageError when arguments are
    wrong; ModelMissing when a network of the tool is absent.
    """
    _check_frame(tool, samples, maps, guide)
    _check_strength(strength, strength_mask, samples.shape[:2], maps.shape[1:], tile)
    treated = _treated(tool, maps, strength)
    if treated.any():
        _check_fits(tool, samples)
    if isinstance(strength_mask, np.ndarray) and strength_mask.shape != samples.shape[:2]:
        treated = treated * strength_mask.astype(np.float32)
        strength_mask = None
    job = _Job(tool, samples, treated, guide, _by_mask(strength_mask), tool.checked(options or {}))
    todo = job.tiles(tile)
    output = samples.copy() if job.scale == 1 else np.empty((*(job.scale * n for n in job.size), 3), np.uint16)
    for done, one in enumerate(todo, 1):
        job.treat(one, output)
        if on_tile is not None:
            on_tile(done, len(todo))
    return output


@dataclass(frozen=True, eq=False)
class _Job:
    """One tool on one photograph; `cells` hold what the tool is asked to treat, before masks per pixel.

    masks   (channels, their mask (H, W))
    """

    tool: Tool
    samples: Samples
    cells: Maps
    guide: Pixels
    masks: Sequence[tuple[Channels, Mask]]
    options: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        return self.samples.shape[0], self.samples.shape[1]

    @property
    def scale(self) -> int:
        return self.tool.scale(self.options)

    @cached_property
    def work(self) -> NDArray[np.bool_]:
        """(h, w), cells in which a pixel can have severity: upsampling looks one cell around."""
        padded = np.pad(self.cells > 0, ((0, 0), (1, 1), (1, 1)))
        tall = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
        near: NDArray[np.bool_] = tall[..., :-2] | tall[..., 1:-1] | tall[..., 2:]
        return np.asarray(_masked(near, [(c, mask_cells(mask) > 0) for c, mask in self.masks]).any(axis=0))

    @cached_property
    def survey(self) -> tuple[Maps, Pixels]:
        """Parameter maps (K, gh, gw) of the frame and the colours (gh, gw, 3) of their grid."""
        if self.tool.survey is None:
            return np.zeros((0, 1, 1), np.float32), np.zeros((1, 1, 3), np.float32)
        small = thumbnail(self.samples, THUMBNAIL)
        size = small.shape[0], small.shape[1]
        cells = _masked(self.cells, [(channels, mask_cells(mask)) for channels, mask in self.masks])
        found = self._call("survey", self.tool.survey, small.copy(), resample_cells(cells, self.size, size))
        _check_result(self.tool, "survey", found, "(K, gh, gw)", found.ndim == 3 and 0 not in found.shape[1:])
        grid = found.shape[1], found.shape[2]
        return found.astype(np.float32), np.moveaxis(resample(np.moveaxis(small, -1, 0), grid), 0, -1)

    def tiles(self, core: int | None) -> list[Tile]:
        """Tiles that have work; to be enlarged is work."""
        card = self.tool.card
        wanted = core or (LARGE_TILE if card.tiles is Tiles.DISCOURAGED else TILE)
        # A result of twice the tile's sides is what memory is meant for; larger ones come from smaller tiles.
        side = -(-wanted * 2 // max(2, self.scale))
        if self.scale > 1 and not self.cells.any():  # interpolation knows no limits of the tool's
            return list(tiles(self.size, side, REACH, 1))
        whole = card.tiles is Tiles.FORBIDDEN
        halo = card.halo if whole or self.scale == 1 else max(card.halo, REACH)
        every = tiles(self.size, None if whole else side, halo, card.multiple_of, card.side, card.beyond)
        return [one for one in every if self.scale > 1 or self.work[one.core.cells].any()]

    def treat(self, tile: Tile, output: Samples) -> None:
        """Write the core of one tile."""
        pixels = to_pixels(self.samples[tile.seen.within])
        severity = tile.pad_maps(self._severity(tile.seen, pixels))
        touched: NDArray[np.bool_] = np.any(severity[:, *tile.inset], axis=0)
        if self.scale > 1:
            output[_times(tile.core.within, self.scale)] = to_samples(self._enlarged(tile, pixels, severity))
        elif touched.any():
            result = self._result(tile, pixels, severity)[tile.inset].astype(np.float32)
            np.copyto(output[tile.core.within], to_samples(result), where=touched[..., None])

    def _enlarged(self, tile: Tile, pixels: Pixels, severity: Maps) -> Pixels:
        """The core of one tile enlarged, the tool's part in it as large as the severity says."""
        inset = _times(tile.inset, self.scale)
        share = np.max(severity[:, *tile.inset], axis=0)
        plain = enlarged(tile.pad_image(pixels), self.scale)[inset]
        if not share.any():
            return plain
        share = share.repeat(self.scale, axis=0).repeat(self.scale, axis=1)[..., None]
        return np.asarray(plain + share * (self._result(tile, pixels, severity)[inset] - plain), np.float32)

    def _result(self, tile: Tile, pixels: Pixels, severity: Maps) -> Pixels:
        """What the tool makes of a padded tile, checked."""
        survey = tile.pad_maps(self._surveyed(tile.seen, pixels))
        padded = tile.pad_image(pixels)
        shape = (self.scale * padded.shape[0], self.scale * padded.shape[1], 3)
        result = self._call(str(tile.core), self.tool.treat, padded, severity, survey, **self.options)
        _check_result(self.tool, str(tile.core), result, str(shape), result.shape == shape)
        return result

    def _severity(self, seen: Window, pixels: Pixels) -> Maps:
        # Cells are CELL px wide even where the last one sticks out of the frame.
        grid = self.cells.shape[1] * CELL, self.cells.shape[2] * CELL
        severity = pixel_severity(self.cells, grid, seen.bounds, self.guide, pixels)
        return _masked(severity, [(c, mask[seen.within].astype(np.float32)) for c, mask in self.masks])

    def _surveyed(self, seen: Window, pixels: Pixels) -> Maps:
        maps, guide = self.survey
        return upsample(maps, self.size, seen.bounds, guide, pixels)

    def _call(self, where: str, function: Callable[..., Any], *arrays: Any, **options: Any) -> NDArray[Any]:
        try:
            result = function(*arrays, **options)
        except ConservatorError as error:
            if not isinstance(error, ToolFailed):
                raise  # the reader's next move is another one: a model to install, a limit to raise
            raise _failure(self.tool, where, error.got, error.wanted) from error
        except Exception as error:
            raise _failure(self.tool, where, f"{type(error).__name__}: {error}") from error
        if not isinstance(result, np.ndarray):
            raise _failure(self.tool, where, f"returned a {type(result).__name__}", "an array")
        return result


def _times(within: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    """Index of the same rectangle in the enlarged picture."""
    rows, columns = (slice(scale * one.start, scale * one.stop) for one in within)
    return rows, columns


def _by_mask(mask: Mask | Mapping[str, Mask] | None) -> list[tuple[Channels, Mask]]:
    """Each mask (H, W) once, with the channels it is for."""
    if mask is None:
        return []
    kinds = mask if isinstance(mask, Mapping) else dict.fromkeys(NAMES, mask)
    masks = {id(one): one for one in kinds.values()}
    return [([INDEX[kind] for kind, one in kinds.items() if id(one) == key], masks[key]) for key in masks]


def _masked(maps: NDArray[Any], masks: Sequence[tuple[Channels, NDArray[Any]]]) -> NDArray[Any]:
    """Maps (D, …) with some channels multiplied, the rest as they are."""
    if masks:
        maps = maps.copy()
    for channels, mask in masks:
        maps[channels] = maps[channels] * mask
    return maps


def _treated(tool: Tool, maps: Maps, strength: float) -> Maps:
    chosen = [INDEX[kind] for kind in tool.card.treats]
    treated = np.zeros(maps.shape, np.float32)
    treated[chosen] = np.minimum(maps[chosen] * np.float32(strength), 1.0)
    return treated


def _check_result(tool: Tool, where: str, result: NDArray[Any], wanted: str, shaped: bool) -> None:
    if not shaped or not np.issubdtype(result.dtype, np.floating):
        raise _failure(tool, where, f"returned {result.dtype} {result.shape}", f"float32 {wanted}")
    if not np.isfinite(result).all():
        raise _failure(tool, where, "returned NaN or infinity", "finite numbers")


def _failure(tool: Tool, where: str, got: str, wanted: str = "") -> ToolFailed:
    return ToolFailed(f"{tool.name} on {where}: {got}", wanted, "use another tool; the photo is unchanged")


def _check_fits(tool: Tool, samples: Samples) -> None:
    side = tool.card.side
    if side is not None and tool.card.tiles is Tiles.FORBIDDEN and max(samples.shape[:2]) > side:
        got = f"a photo of {samples.shape[1]}×{samples.shape[0]}"
        raise _failure(tool, "the whole frame", got, f"at most {side}×{side}: it cannot be given in tiles")


def _check_frame(tool: Tool, samples: Samples, maps: Maps, guide: Pixels) -> None:
    if samples.dtype != np.uint16 or samples.ndim != 3 or samples.shape[2] != 3 or not samples.size:
        raise UsageError(f"samples {samples.dtype} {samples.shape}", "uint16 (H, W, 3)", "open it with open_photo")
    grid = tuple(-(-side // CELL) for side in samples.shape[:2])
    if maps.shape != (len(NAMES), *grid) or guide.shape != (*grid, 3):
        wanted = f"{(len(NAMES), *grid)} and {(*grid, 3)} for a photo of {samples.shape[1]}×{samples.shape[0]}"
        raise UsageError(f"maps {maps.shape} and guide {guide.shape}", wanted, "diagnose this very photo")
    if not (maps.min() >= 0 and maps.max() <= 1 and np.isfinite(guide).all()):
        raise UsageError("maps or guide out of range", "maps in [0, 1], a finite guide", "diagnose again")


def _check_strength(
    strength: float,
    mask: Mask | Mapping[str, Mask] | None,
    size: tuple[int, ...],
    grid: tuple[int, ...],
    tile: int | None,
) -> None:
    if not 0 <= strength < np.inf:
        raise UsageError(f"strength={strength}", "a finite number ≥ 0", "1 treats what was diagnosed, 0 nothing")
    if tile is not None and tile < 1:
        raise UsageError(f"tile={tile}", "at least 1 px", "leave it out")
    if isinstance(mask, Mapping):
        for one in {id(one): one for one in mask.values()}.values():
            _check_mask(one, size, size)
    elif mask is not None:
        _check_mask(mask, size, grid)


def _check_mask(mask: Mask, size: tuple[int, ...], grid: tuple[int, ...]) -> None:
    if mask.shape not in (size, grid):
        got = "×".join(str(side) for side in reversed(mask.shape))
        raise UsageError(f"mask is {got}, photo is {size[1]}×{size[0]}", fix="resize the mask")
    if not (mask.min() >= 0 and mask.max() <= 1):
        raise UsageError(f"mask holds {mask.min()} to {mask.max()}", "0 to 1", "divide it by its largest value")
