"""The critic's network: what became better or worse between two states of a picture, cell by cell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from features import CELL, NativeFeatures, log, luma
from networks import DilatedBlock, FeatureNetwork, learned_stem

GAINS = tuple(1.5 * step for step in range(-10, 11))
"""Gains in dB that the distribution is over; what lies beyond counts as the outermost."""

QUANTUM = (1 / 255) ** 2
"""Squared error below which nobody sees a difference: one 8-bit level."""


class ChangeFeatures(NativeFeatures):
    """Hand-made statistics per cell of both states and of their difference; 130 channels.

    A good denoiser removes what looks like noise and a bad one structure (Buades et al., 2005: method noise), so the
    difference is described as pictures are, and how much of each band of the picture before is in the one after.
    """

    channels = 2 * NativeFeatures.channels + 24 + 12

    def forward(self, pair: Tensor) -> Tensor:
        """(N, 6, H, W), before and after, → (N, channels, H/8, W/8)."""
        before, after = pair.float().chunk(2, 1)
        change = after - before
        y = luma(change)
        described = [*self._highpass(change, y), *self._grid(y)[:1]]
        return torch.cat([super().forward(before), super().forward(after), *described, *self._shared(before, after)], 1)

    def _residual(self, x: Tensor) -> Tensor:
        # The same high-pass as a product of second differences: thrice as fast as a convolution with one channel.
        p = F.pad(x, (1, 1, 1, 1), mode="replicate")
        down = p[..., :-2, :] - 2 * p[..., 1:-1, :] + p[..., 2:, :]
        return (down[..., :-2] - 2 * down[..., 1:-1] + down[..., 2:]) / 6

    def _shared(self, before: Tensor, after: Tensor) -> list[Tensor]:
        change = after - before
        b, a = luma(before), luma(after)
        energy = [log(F.avg_pool2d(change * change, CELL))]
        slopes = []
        for shrink in (1, 2, 4):
            small_b, small_a = (F.avg_pool2d(v, shrink) if shrink > 1 else v for v in (b, a))
            energy.append(log(F.avg_pool2d((small_a - small_b) ** 2, CELL // shrink)))
            high_b, high_a = self._residual(small_b), self._residual(small_a)
            products = (F.avg_pool2d(p, CELL // shrink) for p in (high_b * high_b, high_a * high_a, high_b * high_a))
            bb, aa, ba = (F.avg_pool2d(p, 3, 1, 1, count_include_pad=False) + 1e-7 for p in products)
            slopes += [ba / bb, ba / (bb * aa).sqrt()]
        return [*energy, *slopes]


class CriticNetwork(FeatureNetwork):
    """Features and a learned stem, dilated blocks, and per cell a distribution over GAINS and the error before.

    NIMA's idea (Talebi & Milanfar, TIP 2018): a distribution instead of a score says how sure it is.
    """

    ends = ("learned.0", "head")

    def __init__(self, width: int = 56, dilations: tuple[int, ...] = (1, 2, 4, 1, 2)) -> None:
        super().__init__(ChangeFeatures())
        widths = 16, 32, 48
        self.learned = learned_stem(9, widths)
        self.enter = nn.Conv2d(ChangeFeatures.channels + widths[-1], width, 1)
        self.blocks = nn.Sequential(*[DilatedBlock(width, d, context=i % 2 == 1) for i, d in enumerate(dilations)])
        self.head = nn.Conv2d(width, len(GAINS) + 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def logits(self, before: Tensor, after: Tensor, stem: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits over GAINS (N, bins, h, w) and the logarithm to base 10 of the squared error before (N, 1, h, w).

        stem   what the stem says of the pair, where that is known already
        """
        fixed = self.features(torch.cat([before, after], 1)) if stem is None else self.normalised(stem)
        learned = self.learned(torch.cat([before - 0.5, after - 0.5, 4 * (after - before)], 1))
        raw = self.head(self.blocks(self.enter(torch.cat([fixed.to(learned.dtype), learned], 1)))).float()
        return raw[:, :-1], raw[:, -1:] - 2.5

    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """before, after (N, 3, H, W) in [0, 1] → probabilities of GAINS (N, bins, h, w), log error (N, 1, h, w)."""
        logits, error = self.logits(before, after)
        return torch.softmax(logits, 1), error
