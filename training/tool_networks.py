"""The networks that treat: the spatially prompted restorer, the enlarger, the tone network, the finder of scratches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conservator.pixels.enlarge import taps
from conservator.tools.tone import BLACK, BURNT, COLOURFUL, MOST, SPARED
from features import MarkFeatures
from networks import FrameNetwork, ResidualBlock


class Restorer(nn.Module):
    """Half-resolution U-Net prompted by a severity map per kind: any subset, any place, one pass.

    output = image + gate · residual, where gate = min(1, GAIN · largest severity): zero severity returns the pixel.

    pictures  how many it is shown, one behind the other; the last is the one that the residual is added to
    """

    GAIN = 8.0

    ends = ("enter", "leave")

    def __init__(
        self,
        kinds: int,
        widths: tuple[int, int, int] = (48, 64, 96),
        depth: tuple[int, int, int] = (3, 2, 2),
        pictures: int = 1,
    ) -> None:
        super().__init__()
        a, b, c = widths
        self.enter = nn.Conv2d(12 * pictures + kinds, a, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(a, b, 2, 2), nn.Conv2d(b, c, 2, 2)
        self.up2, self.up1 = nn.Conv2d(c, 4 * b, 1), nn.Conv2d(b, 4 * a, 1)
        self.encode1 = nn.Sequential(*[ResidualBlock(a) for _ in range(depth[0] - 1)])
        self.encode2 = nn.Sequential(*[ResidualBlock(b) for _ in range(depth[1])])
        self.middle = nn.Sequential(*[ResidualBlock(c) for _ in range(depth[2])])
        self.decode2 = nn.Sequential(*[ResidualBlock(b) for _ in range(depth[1])])
        self.decode1 = nn.Sequential(*[ResidualBlock(a) for _ in range(depth[0])])
        self.leave = nn.Conv2d(a, 12, 3, padding=1)
        with torch.no_grad():  # pixels around mid-grey are small numbers; left so, training starts ten times slower
            self.enter.weight[:, : 12 * pictures] *= 6
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, image: Tensor, severity: Tensor) -> Tensor:
        """image (N, 3 · pictures, H, W), severity (N, K, H, W), sides multiples of 8 → (N, 3, H, W)."""
        prompt = F.avg_pool2d(severity, 2)
        x1 = self.encode1(self.enter(torch.cat([F.pixel_unshuffle(image - 0.5, 2), prompt * 2], 1)))
        x2 = self.encode2(self.down1(x1))
        x3 = self.middle(self.down2(x2))
        y2 = self.decode2(x2 + F.pixel_shuffle(self.up2(x3), 2))
        y1 = self.decode1(x1 + F.pixel_shuffle(self.up1(y2), 2))
        residual = F.pixel_shuffle(self.leave(y1).float(), 2)
        gate = (severity.amax(1, keepdim=True) * self.GAIN).clamp(0, 1)
        return image[:, -3:] + gate * residual


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
    burnt = ((clear.mean(1, keepdim=True) - float(BURNT)) / (1 - float(BURNT))).clamp(0, 1)
    ratio = ratio + float(SPARED) * burnt**2 * (3 - 2 * burnt) * (1 - ratio).clamp_min(0)
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
