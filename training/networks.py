"""The networks: perceivers, the spatially prompted restorer, the enlarger, the tone network, the planner."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conservator.pixels.enlarge import taps
from conservator.tools.tone import BLACK, BURNT, COLOURFUL, MOST, SPARED
from features import MarkFeatures, NativeFeatures, OutlineFeatures


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


class Restorer(nn.Module):
    """Half-resolution U-Net prompted by a severity map per kind: any subset, any place, one pass.

    output = image + gate · residual, where gate = min(1, GAIN · largest severity): zero severity returns the pixel.
    """

    GAIN = 8.0

    ends = ("enter", "leave")

    def __init__(
        self, kinds: int, widths: tuple[int, int, int] = (48, 64, 96), depth: tuple[int, int, int] = (3, 2, 2)
    ) -> None:
        super().__init__()
        a, b, c = widths
        self.enter = nn.Conv2d(12 + kinds, a, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(a, b, 2, 2), nn.Conv2d(b, c, 2, 2)
        self.up2, self.up1 = nn.Conv2d(c, 4 * b, 1), nn.Conv2d(b, 4 * a, 1)
        self.encode1 = nn.Sequential(*[ResidualBlock(a) for _ in range(depth[0] - 1)])
        self.encode2 = nn.Sequential(*[ResidualBlock(b) for _ in range(depth[1])])
        self.middle = nn.Sequential(*[ResidualBlock(c) for _ in range(depth[2])])
        self.decode2 = nn.Sequential(*[ResidualBlock(b) for _ in range(depth[1])])
        self.decode1 = nn.Sequential(*[ResidualBlock(a) for _ in range(depth[0])])
        self.leave = nn.Conv2d(a, 12, 3, padding=1)
        with torch.no_grad():  # pixels around mid-grey are small numbers; left so, training starts ten times slower
            self.enter.weight[:, :12] *= 6
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, image: Tensor, severity: Tensor) -> Tensor:
        """image (N, 3, H, W), severity (N, K, H, W), sides multiples of 8 → (N, 3, H, W)."""
        prompt = F.avg_pool2d(severity, 2)
        x1 = self.encode1(self.enter(torch.cat([F.pixel_unshuffle(image - 0.5, 2), prompt * 2], 1)))
        x2 = self.encode2(self.down1(x1))
        x3 = self.middle(self.down2(x2))
        y2 = self.decode2(x2 + F.pixel_shuffle(self.up2(x3), 2))
        y1 = self.decode1(x1 + F.pixel_shuffle(self.up1(y2), 2))
        residual = F.pixel_shuffle(self.leave(y1).float(), 2)
        gate = (severity.amax(1, keepdim=True) * self.GAIN).clamp(0, 1)
        return image + gate * residual


class Enlarger(nn.Module):
    """Residual blocks at the photograph's own size, which every scale shares, and a small head for each.

    output = cubic interpolation + residual, both made as a plane per phase and then shuffled into place.
    """

    SCALES = (2, 3, 4)
    ends = ("enter", "heads")

    def __init__(self, width: int = 48, depth: int = 4) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*[ResidualBlock(width) for _ in range(depth)])
        self.heads = nn.ModuleList(nn.Conv2d(width, 3 * scale**2, 3, padding=1) for scale in self.SCALES)
        with torch.no_grad():  # as in Restorer
            self.enter.weight *= 6
        for head, scale in zip(self.heads, self.SCALES, strict=True):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            self.register_buffer(f"cubic{scale}", _cubic(scale).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image (N, 3, H, W) in [0, 1] → (N, 3, s·H, s·W) for every scale s."""
        features = self._features(image)
        return tuple(self._head(image, features, scale) for scale in self.SCALES)

    def enlarged(self, image: Tensor, scale: int) -> Tensor:
        """One of them, without the work for the others."""
        return self._head(image, self._features(image), scale)

    def interpolated(self, image: Tensor, scale: int) -> Tensor:
        """Cubic interpolation alone."""
        return F.pixel_shuffle(self._planes(image, scale), scale)

    def _features(self, image: Tensor) -> Tensor:
        return self.body(self.enter(image - 0.5))

    def _head(self, image: Tensor, features: Tensor, scale: int) -> Tensor:
        residual = self.heads[self.SCALES.index(scale)](features).float()
        return F.pixel_shuffle(self._planes(image, scale) + residual, scale)

    def _planes(self, image: Tensor, scale: int) -> Tensor:
        padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
        return F.conv2d(padded, self.get_buffer(f"cubic{scale}"), groups=3)


def _cubic(scale: int) -> Tensor:
    """The interpolation of `conservator.pixels.enlarge` as kernels (scale², 1, 5, 5), one for each place in a pixel."""
    weights = torch.from_numpy(taps(scale))
    return torch.einsum("iy,jx->ijyx", weights, weights).reshape(scale**2, 1, 5, 5)


class ToneNetwork(FrameNetwork):
    """From the shrunk frame and the severities of haze and exposure to the parameters of a closed-form inverse.

    Seven maps on the 4 × 4 grid: veil 1 − t, airlight RGB, log2 gain, lift, log2 gamma; see `invert_tone`. Each can
    be that of no change: a diagnosis may be wrong, and where its border is, pixels know better.
    """

    channels = 7
    ends = ("start", "head")

    def __init__(self, kinds: int = 3) -> None:
        super().__init__(kinds)
        self.head = self.head_of(self.channels)

    def forward(self, image: Tensor, severity: Tensor) -> Tensor:
        """image (N, 3, H, W), severity (N, 3, H, W): haze, low light, over-exposure → (N, 7, H/4, W/4)."""
        cells = F.avg_pool2d(severity, 4)
        raw = self.head(self.seen(image, cells)).float()
        haze, dark, bright = (cells[:, i : i + 1] for i in range(3))
        exposed = (torch.maximum(dark, bright) * 5).clamp(0, 1)
        # Haze starts from what the diagnosis says the transmission is, airlight from what most veils have.
        veil = (haze * (1 + torch.tanh(raw[:, :1]))).clamp(0, 0.92)
        airlight = torch.sigmoid(raw[:, 1:4] + 1.7)
        # Severity is a root scale of EV: 5 s² stops lost, 3 s² gained; value is gamma-encoded, hence the 2.2.
        stops = (5 * dark**2 - 3 * bright**2) / 2.2
        gain = stops * 0.5 + exposed * 1.5 * torch.tanh(raw[:, 4:5])
        lift = exposed * 0.3 * torch.tanh(raw[:, 5:6])
        gamma = -exposed * torch.sign(stops) * 0.25 + exposed * 1.5 * torch.tanh(raw[:, 6:7])
        return torch.cat([veil, airlight, gain, lift, gamma], 1)


def invert_tone(image: Tensor, maps: Tensor) -> Tensor:
    """The closed form, as conservator.tools.tone has it: undo the veil, then (gain · V + lift) ** gamma on V."""
    veil, airlight, gain, lift, gamma = maps[:, :1], maps[:, 1:4], maps[:, 4:5], maps[:, 5:6], maps[:, 6:7]
    clear = ((image - veil * airlight) / (1 - veil)).clamp(0, 1)
    value = clear.amax(1, keepdim=True).clamp_min(float(BLACK))
    target = (value * torch.exp2(gain) + lift).clamp(1e-4, 1) ** torch.exp2(gamma)
    ratio = (target / value).clamp_max(float(MOST))
    burnt = ((clear.amin(1, keepdim=True) - float(BURNT)) / (1 - float(BURNT))).clamp(0, 1)
    ratio = ratio + float(SPARED) * burnt * (1 - ratio).clamp_min(0)
    colour = (float(COLOURFUL) / ratio.clamp_min(1)).clamp_max(1)
    grey = value * ratio
    return grey + colour * (clear * ratio - grey)


class ScratchFinder(nn.Module):
    """Half-resolution U-Net from pixels and what stands out of them to a logit per pixel. No pooling over the frame:
    a pixel's answer depends on `REACH` px around it, so tiles agree."""

    ends = ("enter", "leave")
    REACH = 96

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 48)) -> None:
        super().__init__()
        a, b, c = widths
        self.features = MarkFeatures()
        self.enter = nn.Conv2d(4 * (3 + MarkFeatures.channels), a, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(a, b, 2, 2), nn.Conv2d(b, c, 2, 2)
        self.up2, self.up1 = nn.Conv2d(c, 4 * b, 1), nn.Conv2d(b, 4 * a, 1)
        self.encode1, self.encode2 = ResidualBlock(a), ResidualBlock(b)
        self.middle = nn.Sequential(ResidualBlock(c), ResidualBlock(c))
        self.decode2, self.decode1 = ResidualBlock(b), ResidualBlock(a)
        self.leave = nn.Conv2d(a, 4, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.constant_(self.leave.bias, -3.0)  # marks are rare

    def forward(self, image: Tensor) -> Tensor:
        """image (N, 3, H, W) in [0, 1], sides multiples of 8 → logits (N, 1, H, W)."""
        seen = torch.cat([image - 0.5, 4 * self.features(image)], 1)
        x1 = self.encode1(self.enter(F.pixel_unshuffle(seen, 2)))
        x2 = self.encode2(F.relu(self.down1(x1)))
        x3 = self.middle(F.relu(self.down2(x2)))
        y2 = self.decode2(x2 + F.pixel_shuffle(self.up2(x3), 2))
        y1 = self.decode1(x1 + F.pixel_shuffle(self.up1(y2), 2))
        return F.pixel_shuffle(self.leave(F.relu(y1)).float(), 2)


class PlanNetwork(nn.Module):
    """A plan from a few numbers: which tool at each place, or none any more, and how strong each tool would be there.

    (N, features) → logits (N, places, tools + 1), the last one for stopping; strengths (N, places, tools) in [0.4, 1.6]
    """

    def __init__(self, features: int, tools: int, places: int, width: int = 96) -> None:
        super().__init__()
        self.places, self.tools = places, tools
        self.body = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Dropout(0.1)
        )
        self.choice = nn.Linear(width, places * (tools + 1))
        self.amount = nn.Linear(width, places * tools)
        nn.init.zeros_(self.amount.weight)
        nn.init.zeros_(self.amount.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.body(features)
        choice = self.choice(seen).reshape(-1, self.places, self.tools + 1)
        amount = self.amount(seen).reshape(-1, self.places, self.tools)
        return choice, 1 + 0.6 * torch.tanh(amount)
