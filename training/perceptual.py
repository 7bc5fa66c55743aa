"""Recipe: the perceptual distance. Learned features, compared as LPIPS compares them.

CONSERVATOR_DATA=../shared/data python training/perceptual.py

No person judged a picture for this. Every lesson is a photograph and two other versions of it, of which one is known to
look farther off, whatever PSNR says: the same damage in a larger dose; something that people see against something
they hardly notice, with no larger error; blotches against fine noise, brightness noise against colour noise, noise on
flat places against noise on texture, with the same error each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from conservator.benchmarks.photos import stored
from conservator.benchmarks.seeingpairs import LUMA, error, field
from conservator.degradations import LOCAL
from conservator.synthesis import degrade, draw_global
from data import Photographs
from loop import Recipe, half, main
from mishaps import befallen, ringing, sharpened, shrunk_and_enlarged, smoothed
from perceptual_network import PerceptualNetwork

SIDE = 112
TYPICAL = 0.3
"""Distance that the worse versions have on average: a unit, for a ranking has none."""

FLAT, TEXTURED = 0.012, 0.03
"""Local deviation below which a place is flat and above which it is textured."""

Array = NDArray[np.float32]
Pair = tuple[Array, Array]
KINDS = [d.name for d in LOCAL]


def draw(photographs: Photographs, rng: np.random.Generator) -> dict[str, Any]:
    """A crop and two versions of it, the second of which looks farther off."""
    truth = photographs.crop(rng, SIDE)
    if rng.random() < 0.25:  # photographs have grain of their own
        truth = stored(truth + noise(truth, rng, 0.0, rng.uniform(1, 4)))
    near, far = None, None
    while near is None:
        near, far = _lesson(rng)(truth, rng) or (None, None)
    triple = {"truth": truth, "near": stored(near), "far": stored(far)}
    return {name: np.ascontiguousarray(picture.transpose(2, 0, 1)) for name, picture in triple.items()}


def _lesson(rng: np.random.Generator) -> Callable[[Array, np.random.Generator], Pair | None]:
    lessons, shares = zip(*LESSONS, strict=True)
    return lessons[int(rng.choice(len(lessons), p=shares))]


def doses(truth: Array, rng: np.random.Generator) -> Pair:
    """The same change, once more of it."""
    change = seen(truth, rng) - truth if rng.random() < 0.75 else befallen(truth, rng) - truth
    much = float(rng.uniform(0.5, 1.3))
    return truth + much * float(rng.uniform(0.25, 0.75)) * change, truth + much * change


def hardly_noticed(truth: Array, rng: np.random.Generator) -> Pair | None:
    """What people hardly notice, and what they see with no larger an error."""
    near, change = unseen(truth, rng), seen(truth, rng) - truth
    share = float(rng.uniform(0.55, 1)) * error(near - truth) / max(error(change), 1e-6)
    return (near, truth + share * change) if 0.1 < share <= 1 else None


def blotched(truth: Array, rng: np.random.Generator) -> Pair:
    """Fine noise, and blotches as people see them best, a dozen pixels from one to the next."""
    strength = float(np.exp(rng.uniform(np.log(3), np.log(16))))
    return truth + noise(truth, rng, 0.0, strength), truth + noise(truth, rng, rng.uniform(1.5, 3), strength)


def coloured(truth: Array, rng: np.random.Generator) -> Pair:
    """Noise in the colours alone, and as much in the brightness."""
    strength, radius = float(np.exp(rng.uniform(np.log(3), np.log(16)))), float(rng.choice([0.0, 0.7, 1.2]))
    grey = noise(truth, rng, radius, strength)
    colours = np.stack([noise(truth, rng, radius, 1.0)[..., 0] for _ in range(3)], axis=2)
    colours -= (colours @ LUMA)[..., None]
    return truth + colours * (error(grey) / error(colours)), truth + grey


def masked(truth: Array, rng: np.random.Generator) -> Pair | None:
    """Noise on texture, which hides it, and as much on what is flat."""
    plane = truth @ LUMA
    mean = cv2.blur(plane, (9, 9))
    deviation = np.sqrt(np.maximum(cv2.blur(plane * plane, (9, 9)) - mean * mean, 0))
    places = deviation < FLAT, deviation > TEXTURED
    flat, textured = (cv2.blur(place.astype(np.float32), (9, 9))[..., None] for place in places)
    if min(flat.mean(), textured.mean()) < 0.12:
        return None
    change = noise(truth, rng, rng.choice([0.0, 0.8]), float(np.exp(rng.uniform(np.log(4), np.log(14)))))
    hidden, shown = change * textured, change * flat
    return truth + hidden * (error(shown) / error(hidden)), truth + shown


LESSONS: tuple[tuple[Callable[[Array, np.random.Generator], Pair | None], float], ...] = (
    (doses, 0.4), (hardly_noticed, 0.35), (blotched, 0.08), (coloured, 0.07), (masked, 0.1),
)  # fmt: skip


def seen(truth: Array, rng: np.random.Generator) -> Array:
    """Damage that people see."""
    way = rng.random()
    if way < 0.6:
        return degrade(truth, draw_global(rng, [str(rng.choice(KINDS))])).degraded
    mishap = (smoothed, shrunk_and_enlarged, ringing, sharpened)[int(rng.integers(4))] if way < 0.85 else blots
    return np.clip(mishap(truth, rng), 0, 1)


def blots(truth: Array, rng: np.random.Generator) -> Array:
    return truth + noise(truth, rng, rng.uniform(1.2, 4), rng.uniform(5, 25))


def unseen(truth: Array, rng: np.random.Generator) -> Array:
    """What people hardly notice: a fraction of a pixel to the side, a touch of light or colour, other grain."""
    way = int(rng.integers(5))
    if way < 2:
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.normal(0, 0.15), float(np.exp(rng.normal(0, 0.002))))
        turn[:, 2] += rng.uniform(-0.9, 0.9, 2)
        return cv2.warpAffine(truth, turn, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    if way == 2:
        return truth ** float(np.exp(rng.normal(0, 0.06))) * float(np.exp(rng.normal(0, 0.03)))
    if way == 3:
        return truth * np.exp(rng.normal(0, 0.025, 3)).astype(np.float32)
    return truth + noise(truth, rng, 0.0, rng.uniform(1, 3.5))


def noise(like: Array, rng: np.random.Generator, radius: float, strength: float) -> Array:
    """Grey noise (H, W, 1) of a deviation in 8-bit levels, smooth over `radius` px."""
    return field(like, rng, radius) * np.float32(strength / 255)


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the ranking by the ratio of the two distances, and a unit for them."""
    truth = torch.cat([batch["truth"], batch["truth"]])
    with half(truth.device.type):
        distances = network(torch.cat([batch["near"], batch["far"]]), truth)
    near, far = torch.log(distances.float() + 1e-5).chunk(2)
    value = F.softplus(-3 * (far - near)).mean() + 0.02 * (far.mean() - np.log(TYPICAL)) ** 2
    return value, {"right": float((far > near).float().mean())}


def validate(network: nn.Module) -> dict[str, Any]:
    """Share of the lessons on held-out photographs that are ranked rightly, by lesson; PSNR beside it."""
    photographs, found = Photographs(held_out=True), {}
    for lesson, _ in LESSONS:
        right = []
        for i in range(80):
            rng = np.random.default_rng((97, i))
            truth = photographs.crop(rng, SIDE)
            pair = lesson(truth, rng)
            if pair is None:
                continue
            near, far = (torch.from_numpy(stored(p).transpose(2, 0, 1).copy())[None] for p in pair)
            like = torch.from_numpy(truth.transpose(2, 0, 1).copy())[None]
            with torch.no_grad():
                ours = float(network(far, like)) > float(network(near, like))
            right.append((ours, float(torch.square(far - like).mean()) > float(torch.square(near - like).mean())))
        ours, psnr = np.mean(right, axis=0)
        found[lesson.__name__] = {"pairs": len(right), "right": round(float(ours), 3), "psnr": round(float(psnr), 3)}
    return found


def recipe() -> Recipe:
    pair = "float32 (N, 3, H, W), RGB in [0, 1], sides of at least 32"
    return Recipe(
        name="perceptual",
        network=PerceptualNetwork(),
        draw=draw,
        loss=loss,
        example={"result": torch.rand(1, 3, 64, 96), "truth": torch.rand(1, 3, 64, 96)},
        outputs=("distance",),
        describe={
            "summary": "how far two pictures look apart; ranked by rules of seeing, judged by no person",
            "data": "train/bsd432, train/wallpapers, train/imagenet300, changed by conservator.synthesis and "
            "training/mishaps.py",
            "inputs": {"result": pair, "truth": f"{pair}, the same"},
            "outputs": {"distance": "float32 (N,), 0 for equal pictures"},
        },
        validate=validate,
        batch=12,
        steps=2500,
        rate=1e-3,
    )


if __name__ == "__main__":
    main(recipe())
