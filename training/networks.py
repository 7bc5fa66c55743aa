"""The networks that look: perceivers, and the trunks that others see with, too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from features import NativeFeatures, OutlineFeatures


class DilatedBlock(nn.Module):
    """x + 1×1(relu(dilated 3×3(relu(norm(x) · (1 + a) + b)))), a and b from the whole frame's statistics."""

    def __init__(self, width: int, dilation: int, context: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, 1)
        nn.init.kaiming_normal_(self.wide.weight, nonlinearity="relu")
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)
        self.context = nn.Linear(2 * width, 2 * width) if context else None
        if self.context is not None:
            nn.init.zeros_(self.context.weight)
            nn.init.zeros_(self.context.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        if self.context is not None:
            pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
            scale, shift = self.context(pooled)[..., None, None].chunk(2, 1)
            y = y * (1 + scale) + shift
        return x + self.mix(F.relu(self.wide(F.relu(y))))


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), the second convolution starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class FeatureNetwork(nn.Module):
    """A network that starts from hand-made features, normalised by what sample pictures show.

    stem   module with `channels`: (N, 3, H, W) → (N, channels, h, w)
    """

    def __init__(self, stem: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.register_buffer("centre", torch.zeros(1, stem.channels, 1, 1))
        self.register_buffer("spread", torch.ones(1, stem.channels, 1, 1))

    @torch.no_grad()
    def fit_features(self, images: Tensor) -> None:
        """Set the normalisation of the fixed features from sample pictures."""
        f = self.stem(images)
        self.centre.copy_(f.mean((0, 2, 3), keepdim=True))
        self.spread.copy_(f.std((0, 2, 3), keepdim=True).clamp_min(1e-3))

    def features(self, image: Tensor) -> Tensor:
        """Normalised features, clipped at four deviations."""
        return self.normalised(self.stem(image))

    def normalised(self, features: Tensor) -> Tensor:
        """What the stem gave, in deviations from the mean."""
        return ((features - self.centre) / self.spread).clamp(-4, 4)


def learned_stem(channels: int, widths: tuple[int, int, int]) -> nn.Sequential:
    """Three convolutions, each of which halves the sides: from pixels to CELL."""
    a, b, c = widths
    stem = nn.Sequential(
        nn.Conv2d(channels, a, 3, 2, 1), nn.ReLU(), nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(b, c, 3, 2, 1), nn.ReLU(),
    )  # fmt: skip
    for layer in stem:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return stem


class Perceiver(FeatureNetwork):
    """Fixed features and a learned stem, then dilated blocks; per cell and kind: presence, severity, log deviation.

    dilations  of the blocks
    learned    channels of the learned stem's three convolutions; each halves the sides, down to the cell
    """

    ends = ("learned.0", "head")

    def __init__(self, kinds: int, width: int, dilations: tuple[int, ...], learned: tuple[int, int, int]) -> None:
        super().__init__(NativeFeatures())
        self.learned = learned_stem(3, learned)
        self.enter = nn.Conv2d(NativeFeatures.channels + learned[-1], width, 1)
        self.blocks = nn.Sequential(*[DilatedBlock(width, d, context=i % 3 == 1) for i, d in enumerate(dilations)])
        self.head = nn.Conv2d(width, 3 * kinds, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor) -> Tensor:
        """image (N, 3, H, W) in [0, 1] → (N, 3 · kinds, h, w): presence logits, severities, log deviations."""
        fixed = self.features(image)
        learned = self.learned(image - 0.5)
        x = self.enter(torch.cat([fixed.to(learned.dtype), learned], 1))
        return _told(self.head(self.blocks(x)))


class FrameNetwork(FeatureNetwork):
    """A U-Net over the shrunk frame: fine pixels see the border of a veil or a shadow, coarse cells the whole scene.

    prompts  maps on the cells that it is given besides the picture
    widths   channels at 1, 1/2, 1/4, 1/8 and 1/16 of the shrunk frame's sides
    """

    def __init__(self, prompts: int, widths: tuple[int, int, int, int, int] = (16, 24, 48, 64, 96)) -> None:
        super().__init__(OutlineFeatures())
        y, z, a, b, c = widths
        self.start, self.halve, self.cell = (
            nn.Conv2d(9, y, 3, 1, 1), nn.Conv2d(y, z, 3, 2, 1), nn.Conv2d(z, 40, 3, 2, 1))  # fmt: skip
        self.outline = nn.Sequential(ResidualBlock(z), ResidualBlock(z))
        self.enter = nn.Conv2d(OutlineFeatures.channels + prompts + 40, a, 1)
        self.down1, self.down2 = nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 2, 1)
        self.up2, self.up1 = nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.encode1 = nn.Sequential(*[DilatedBlock(a, d, context=False) for d in (1, 2)])
        self.encode2 = nn.Sequential(*[DilatedBlock(b, d, context=d == 2) for d in (1, 2)])
        self.middle = nn.Sequential(*[DilatedBlock(c, d, context=d == 2) for d in (1, 2, 4, 1)])
        self.decode2 = nn.Sequential(*[DilatedBlock(b, d, context=False) for d in (1, 2)])
        self.decode1 = nn.Sequential(*[DilatedBlock(a, d, context=False) for d in (1, 2)])
        for layer in (self.start, self.halve, self.cell, self.down1, self.down2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def seen(self, image: Tensor, prompts: Tensor) -> Tensor:
        """image (N, 3, H, W) in [0, 1], prompts (N, P, H/4, W/4) → (N, widths[2], H/4, W/4)."""
        logs = torch.log(image + 0.02)  # in logs a shadow is a constant step, and none in the differences of colours
        tone = logs.mean(1, keepdim=True)
        red, green, blue = logs.split(1, 1)
        shades = [image - 0.5, 0.3 * logs + 0.5, 0.5 * tone + 0.5, red - green, blue - green]
        fine = self.outline(F.relu(self.halve(F.relu(self.start(torch.cat(shades, 1))))))
        learned = F.relu(self.cell(fine))
        fixed = self.features(image)
        x1 = self.encode1(self.enter(torch.cat([fixed.to(learned.dtype), prompts * 2, learned], 1)))
        x2 = self.encode2(self.down1(x1))
        x3 = self.middle(self.down2(x2))
        y2 = self.decode2(x2 + _grown(self.up2(x3), x2))
        return self.decode1(x1 + _grown(self.up1(y2), x1))

    def head_of(self, channels: int) -> nn.Conv2d:
        """A 1 × 1 convolution that starts at zero."""
        head = nn.Conv2d(self.enter.out_channels, channels, 1)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head


class FramePerceiver(FrameNetwork):
    """Presence, severity and log deviation of haze and exposure.

    In training it is also asked for the borders themselves: left alone it judges by the scene (caves are dark) and
    overlooks outlines that nothing in the scene explains.

    kinds    degradations told
    prompts  local degradations whose maps it is given: a border that noise and darkness share is not the scene's
    """

    ends = ("start", "head", "borders")
    unexported = ("borders.weight", "borders.bias")  # asked in training only; a warm start learns them anew

    def __init__(self, kinds: int, prompts: int) -> None:
        super().__init__(prompts)
        self.head, self.borders = self.head_of(3 * kinds), self.head_of(kinds)

    def forward(self, image: Tensor, local: Tensor) -> Tensor:
        """image (N, 3, H, W) in [0, 1], local (N, P, H/4, W/4) severities → (N, 3 · kinds, H/4, W/4) as Perceiver.

        In training (N, 4 · kinds, H/4, W/4): the last ones are logits of the borders.
        """
        seen = self.seen(image, local)
        told = _told(self.head(seen))
        return torch.cat([told, self.borders(seen).float()], 1) if self.training else told


def _grown(coarse: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(coarse, like.shape[2:], mode="bilinear", align_corners=False)


def _told(raw: Tensor) -> Tensor:
    """Raw head → presence logits, severities in [0, 1], log deviations in [-5, 1]."""
    presence, severity, deviation = raw.float().chunk(3, 1)
    return torch.cat([presence, torch.sigmoid(severity), deviation.clamp(-3, 3) - 2.0], 1)


def local_perceiver(kinds: int = 6) -> Perceiver:
    """Noise, JPEG, blur, resolution and rain on native pixels; one cell is 8 × 8 px."""
    return Perceiver(kinds, 64, (1, 2, 4, 8, 1, 2), (24, 40, 48))


def frame_perceiver(kinds: int = 3, prompts: int = 6) -> FramePerceiver:
    """Haze and exposure on the whole frame at ≤ 192 px; one cell is 4 × 4 shrunk px."""
    return FramePerceiver(kinds, prompts)
