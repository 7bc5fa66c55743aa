"""The network of the perceptual distance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks import ResidualBlock


class PerceptualNetwork(nn.Module):
    """Features at four sizes, each place brought to length one, their squared differences weighted and averaged.

    LPIPS's form (Zhang et al., CVPR 2018). Lengths forget how bright a place is, so the colours themselves are compared
    too, at a quarter of the size.
    """

    ends = ("stages.0.0", "weights", "colour")

    def __init__(self, widths: tuple[int, ...] = (24, 32, 48, 64)) -> None:
        super().__init__()
        sides = zip((3, *widths[:-1]), widths, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(), ResidualBlock(b), nn.ReLU()) for a, b in sides
        )
        for stage in self.stages:
            nn.init.kaiming_normal_(stage[0].weight, nonlinearity="relu")
            nn.init.normal_(stage[2].second.weight, std=0.02)
        self.weights = nn.ParameterList(nn.Parameter(torch.full((1, b, 1, 1), 0.5)) for b in widths)
        self.colour = nn.Parameter(torch.full((1, 3, 1, 1), 1.0))
        opponent = torch.tensor([[1.0, 1, 1], [1, -1, 0], [0.5, 0.5, -1]]) / 3
        self.register_buffer("opponent", opponent[..., None, None], persistent=False)

    def forward(self, result: Tensor, truth: Tensor) -> Tensor:
        """result, truth (N, 3, H, W) in [0, 1] → (N,), 0 for equal pictures."""
        one, other = result - 0.5, truth - 0.5
        shades = F.conv2d(F.avg_pool2d(one - other, 4), self.opponent).float()
        distance = (self.colour**2 * shades**2).sum(1).mean((1, 2))
        for stage, weight in zip(self.stages, self.weights, strict=True):
            one, other = stage(one), stage(other)
            difference = _unit(one) - _unit(other)
            distance = distance + (weight**2 * difference**2).sum(1).mean((1, 2))
        return distance


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    return features / torch.sqrt((features * features).sum(1, keepdim=True) + 1e-3)
