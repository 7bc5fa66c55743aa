"""Hand-made features that networks start from: what damage does to pixels, to a shrunk frame, to a surface."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)
CELL = 8


def luma(x: Tensor) -> Tensor:
    """(N, 3, H, W) → (N, 1, H, W)."""
    return (x * x.new_tensor(LUMA)[None, :, None, None]).sum(1, keepdim=True)


def log(x: Tensor) -> Tensor:
    """Logarithm of a number ≥ 0, finite at 0."""
    return torch.log(x + 1e-5)


class NativeFeatures(nn.Module):
    """Hand-made statistics per 8 × 8 cell of what noise, compression and blur do to native pixels.

    47 channels: colour, contrast, high-pass energy per channel and at three scales with its local floor, residual
    autocorrelation, gradient moments of order 2 and 4, energy per phase of the 8 × 8 compression grid.
    """

    channels = 47

    def __init__(self) -> None:
        super().__init__()
        immerkaer = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6  # flat and linear areas cancel
        self.register_buffer("highpass", immerkaer[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        y = luma(x)
        return torch.cat([*self._colour(x, y), *self._highpass(x, y), *self._gradient(y), *self._grid(y)], 1)

    def _colour(self, x: Tensor, y: Tensor) -> list[Tensor]:
        mean, square = F.avg_pool2d(y, CELL), F.avg_pool2d(y * y, CELL)
        saturation = F.avg_pool2d(x.amax(1, keepdim=True) - x.amin(1, keepdim=True), CELL)
        return [
            F.avg_pool2d(x, CELL), -F.max_pool2d(-y, CELL), F.max_pool2d(y, CELL), saturation,
            log((square - mean * mean).clamp_min(0)),
        ]  # fmt: skip

    def _residual(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        padded = F.pad(x.reshape(n * c, 1, h, w), (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.highpass).reshape(n, c, h, w)

    def _highpass(self, x: Tensor, y: Tensor) -> list[Tensor]:
        r = self._residual(x)
        energy = F.avg_pool2d(r.abs(), 4)
        floor = log(-F.max_pool2d(-energy, 2))  # quietest quarter of the cell
        broad = -F.max_pool2d(-floor, 5, 1, 2)  # quietest cell around: the noise floor
        half, quarter = F.avg_pool2d(y, 2), F.avg_pool2d(y, 4)
        coarse = [
            log(F.avg_pool2d(self._residual(half).abs(), 4)),
            log(F.avg_pool2d(self._residual(quarter).abs(), 2)),
        ]
        ry = self._residual(y)
        power = F.avg_pool2d(ry * ry, CELL) + 1e-7
        lagged = [F.avg_pool2d(ry * torch.roll(ry, shift, axis), CELL) / power for axis in (2, 3) for shift in (1, 2)]
        peak = log(F.max_pool2d(ry.abs(), CELL)) - 0.5 * torch.log(power)  # few large or many small residuals
        return [log(F.avg_pool2d(energy, 2)), floor, broad, *coarse, *lagged, peak]

    def _gradient(self, y: Tensor) -> list[Tensor]:
        p = F.pad(y, (1, 1, 1, 1), mode="replicate")
        gx, gy = p[..., 1:-1, 2:] - p[..., 1:-1, :-2], p[..., 2:, 1:-1] - p[..., :-2, 1:-1]
        size2 = gx * gx + gy * gy + 1e-8
        c2, s2 = gx * gx - gy * gy, 2 * gx * gy
        pooled = [F.avg_pool2d(v, CELL) for v in (size2, c2, s2, (c2 * c2 - s2 * s2) / size2, 2 * c2 * s2 / size2)]
        wide = [F.avg_pool2d(v, 5, 1, 2, count_include_pad=False) for v in pooled]
        moments = [v / wide[0] for v in wide[1:]]
        mean = F.avg_pool2d(size2.sqrt(), CELL)
        top = F.max_pool2d(size2.sqrt(), CELL)
        return [log(mean), log(top), log(pooled[0]) - 2 * torch.log(mean + 1e-5), *moments,
                log(F.max_pool2d(top, 3, 1, 1)) - log(mean)]  # fmt: skip

    def _grid(self, y: Tensor) -> list[Tensor]:
        """Energy of second differences at each column and row phase of the 8-grid, against the mean phase."""
        p = F.pad(y, (1, 2, 1, 2), mode="replicate")
        across = (p[..., 1:-2, :-3] - 3 * p[..., 1:-2, 1:-2] + 3 * p[..., 1:-2, 2:-1] - p[..., 1:-2, 3:]).abs()
        down = (p[..., :-3, 1:-2] - 3 * p[..., 1:-2, 1:-2] + 3 * p[..., 2:-1, 1:-2] - p[..., 3:, 1:-2]).abs()
        phases = []
        for jump, vertical in ((across, False), (down, True)):
            n, _, h, w = jump.shape
            if vertical:
                split = F.avg_pool2d(jump, (1, CELL)).reshape(n, h // CELL, CELL, w // CELL).permute(0, 2, 1, 3)
            else:
                split = F.avg_pool2d(jump, (CELL, 1)).reshape(n, h // CELL, w // CELL, CELL).permute(0, 3, 1, 2)
            split = F.avg_pool2d(split, 5, 1, 2, count_include_pad=False)
            phases.append(log(split) - log(split.mean(1, keepdim=True)))
        return phases


class FrameFeatures(nn.Module):
    """What a veil or a shadow does to a shrunk frame, per 4 × 4 cell; 21 channels.

    Log intensity, dark and bright channel at three reaches, saturation, local contrast at three scales, position,
    and where the cell stands in the frame's own range.
    """

    channels = 21

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        y = luma(x)
        mean, low, high = (
            F.avg_pool2d(x, 4),
            -F.max_pool2d(-x.amin(1, keepdim=True), 4),
            F.max_pool2d(x.amax(1, keepdim=True), 4),
        )
        tone = torch.log(y + 0.02)
        t, tt = F.avg_pool2d(tone, 4), F.avg_pool2d(tone * tone, 4)
        contrast = [torch.log((tt - t * t).clamp_min(0).sqrt() + 0.005)]
        for reach in (7, 21):
            a = F.avg_pool2d(t, reach, 1, reach // 2, count_include_pad=False)
            b = F.avg_pool2d(t * t, reach, 1, reach // 2, count_include_pad=False)
            contrast.append(torch.log((b - a * a).clamp_min(0).sqrt() + 0.005))
        dark = [low, *(-F.max_pool2d(-low, k, 1, k // 2) for k in (5, 15))]
        bright = [high, *(F.max_pool2d(high, k, 1, k // 2) for k in (5, 15))]
        saturation = F.avg_pool2d(
            (x.amax(1, keepdim=True) - x.amin(1, keepdim=True)) / (x.amax(1, keepdim=True) + 0.02), 4
        )
        ones = torch.ones_like(t)
        down = torch.cumsum(ones, 2) / ones.sum(2, keepdim=True)
        across = (torch.cumsum(ones, 3) / ones.sum(3, keepdim=True) - 0.5).abs()
        extremes = [v.expand_as(t) for v in (
            low.amin((2, 3), keepdim=True), high.amax((2, 3), keepdim=True), t.mean((2, 3), keepdim=True))]  # fmt: skip
        return torch.cat(
            [mean, torch.log(mean + 0.02), *contrast, *dark, *bright, saturation, down, across, *extremes], 1
        )


class StepFeatures(nn.Module):
    """Steps across lines of four orientations at two reaches, per 4 × 4 cell, as gPb compares half-discs (Arbelaez et
    al., TPAMI 2011): signed differences of log intensity, two log chromaticities and log contrast; 32 channels.

    The outline of a shadow steps in intensity alone, that of a thing in colour and texture too.
    """

    radii = (2, 5)
    channels = 4 * 4 * len(radii)

    def __init__(self) -> None:
        super().__init__()
        for radius in self.radii:
            self.register_buffer(f"discs{radius}", _half_discs(radius).repeat(4, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        red, green, blue = torch.log(x.float() + 0.02).split(1, 1)
        tone = (red + green + blue) / 3
        mean = F.avg_pool2d(tone, 3, 1, 1)
        contrast = 0.5 * torch.log((F.avg_pool2d(tone * tone, 3, 1, 1) - mean * mean).clamp_min(0) + 1e-3)
        maps = F.avg_pool2d(torch.cat([tone, red - green, blue - green, contrast], 1), 2)
        steps = []
        for r in self.radii:
            padded = F.pad(maps, (r, r, r, r), mode="replicate")
            steps.append(F.avg_pool2d(F.conv2d(padded, self.get_buffer(f"discs{r}"), groups=4), 2))
        return torch.cat(steps, 1)


def _half_discs(radius: int) -> Tensor:
    """Kernels (4, 1, n, n), n = 2 · radius + 1: mean of one half of a disc minus the mean of the other."""
    reach = torch.arange(-radius, radius + 1, dtype=torch.float32)
    y, x = torch.meshgrid(reach, reach, indexing="ij")
    kernels = []
    for angle in (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4):
        side = (x * math.cos(angle) + y * math.sin(angle)).clamp(-0.5, 0.5) * (x * x + y * y <= (radius + 0.5) ** 2)
        kernels.append(side / side.clamp_min(0).sum())
    return torch.stack(kernels)[:, None]


class OutlineFeatures(nn.Module):
    """What a cell shows of the scene, and the steps around it."""

    channels = FrameFeatures.channels + StepFeatures.channels

    def __init__(self) -> None:
        super().__init__()
        self.scene, self.steps = FrameFeatures(), StepFeatures()

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.scene(x), self.steps(x)], 1)


class MarkFeatures(nn.Module):
    """What stands out from its surroundings, light or dark, per pixel; 8 channels.

    Top hats of 3, 7 and 15 px, white and black (Serra, 1982), those of 7 also held against the contrast around them.
    """

    channels = 8

    def forward(self, x: Tensor) -> Tensor:
        y = luma(x)
        both = torch.cat([y, -y], 1)
        worn, hats = both, []
        for i, reach in enumerate(REACHES):
            worn = -_widened(-worn, reach)
            opened = worn
            for back in REACHES[: i + 1]:
                opened = _widened(opened, back)
            hats.append(both - opened)
        mean, square = (F.avg_pool2d(F.avg_pool2d(v, CELL), 5, 1, 2, count_include_pad=False) for v in (y, y * y))
        spread = (square - mean * mean).clamp_min(0).sqrt() + 0.03
        spread = F.interpolate(spread, scale_factor=CELL, mode="bilinear", align_corners=False)
        return torch.cat([*hats, 0.25 * hats[1] / spread], 1)

REACHES = (1, 2, 4)
"""Steps that widen a window from 1 to 3, 7 and 15 px."""


def _widened(x: Tensor, reach: int) -> Tensor:
    """Largest of three values `reach` px apart, across and then down."""
    x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    x = torch.maximum(torch.maximum(x[..., : -2 * reach], x[..., reach:-reach]), x[..., 2 * reach :])
    return torch.maximum(torch.maximum(x[..., : -2 * reach, :], x[..., reach:-reach, :]), x[..., 2 * reach :, :])
