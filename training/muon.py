"""Muon: momentum made orthogonal, for the weights between hidden layers (Jordan, kellerjordan.github.io/posts/muon).

`torch.optim.Muon` takes matrices only; a convolution here is the matrix (outputs, inputs · kernel).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)  # brings every singular value near 1 in five rounds


class Muon(torch.optim.Optimizer):
    """Every step moves a weight by about `lr` times a matrix whose singular values are all near one."""

    def __init__(self, params: list[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": 0.95, "weight_decay": 0.01})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(mean, group["momentum"]).reshape(len(weight), -1)
                rows, columns = ahead.shape
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(orthogonal(ahead).reshape(weight.shape), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly U·Vᵀ of the singular value decomposition, by five Newton-Schulz rounds."""
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        m = x @ x.T
        x = a * x + (b * m + c * m @ m) @ x
    return x.T if tall else x


def optimisers(network: nn.Module, rate: float, decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the kernels between hidden layers, AdamW at `rate` for `network.ends`, biases and norms.

    Muon's own rate is 13 times that of AdamW: 0.02, as its author has it, where AdamW has the 1.5e-3 of our recipes.
    """
    ends = getattr(network, "ends", ())
    hidden, rest = [], []
    for name, weight in network.named_parameters():
        (hidden if weight.dim() == 4 and not name.startswith(ends) else rest).append(weight)
    both: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, rate, weight_decay=decay)]
    return [Muon(hidden, 13 * rate), *both] if hidden else both  # the planner of `restoreagent` has no kernels
