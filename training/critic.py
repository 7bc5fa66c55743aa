"""Recipe: the critic. Two states of a picture in, what one is worth against the other out, cell by cell.

    CONSERVATOR_DATA=../shared/data python training/outcomes.py        (makes what it learns from)
    python training/critic.py

Any two states of one crop can be compared, so a shelf of outcomes holds far more lessons than pictures: the damaged
crop against an outcome mostly, one outcome against another, the truth against what spoils it, and what halfway to the
truth would look like.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from conservator.benchmarks.criticsummary import calibrated, ranked
from conservator.benchmarks.photos import stored
from conservator.quality.learned import Judged
from critic_network import GAINS, QUANTUM, ChangeFeatures, CriticNetwork
from features import CELL
from loop import Recipe, half, main
from mishaps import befallen
from outcomes import FOLDER

SIDE = 112
STEM = ChangeFeatures()
Array = NDArray[np.float32]


class Shelves:
    """The outcomes on disk, read when needed."""

    def __init__(self, prefix: str = "shelf") -> None:
        self.shelves = [np.load(path, mmap_mode="r") for path in sorted(FOLDER.glob(f"{prefix}_???.npy"))]
        if not self.shelves:
            raise SystemExit(f"no outcomes in {FOLDER}; run training/outcomes.py first")

    def states(self, rng: np.random.Generator, side: int) -> Array:
        """Truth, damaged crop and outcomes of one crop, turned together; float32 (n, side, side, 3) in [0, 1]."""
        shelf = self.shelves[rng.integers(len(self.shelves))]
        chosen = shelf[rng.integers(len(shelf))]
        y, x = (CELL * int(rng.integers((n - side) // CELL + 1)) for n in chosen.shape[1:3])
        chosen = np.rot90(chosen[:, y : y + side, x : x + side], int(rng.integers(4)), axes=(1, 2))
        chosen = chosen[:, :, ::-1] if rng.random() < 0.5 else chosen
        return chosen.astype(np.float32) / np.float32(255)


def draw(shelves: Shelves, rng: np.random.Generator, side: int = SIDE) -> dict[str, Any]:
    """Two states of a crop and its truth."""
    clean, *outcomes = shelves.states(rng, side)
    way = rng.random()
    before = outcomes[0] if way < 0.7 else clean if way < 0.78 else outcomes[int(rng.integers(len(outcomes)))]
    after = stored(_after(clean, before, outcomes[1:], rng))
    if rng.random() < 0.15:
        before, after = after, before
    states = {"before": before, "after": after, "clean": clean}
    pair = {name: np.ascontiguousarray(state.transpose(2, 0, 1)) for name, state in states.items()}
    return pair | {"stem": described(pair["before"], pair["after"])}


def described(before: Array, after: Array) -> Array:
    """The network's fixed features, computed by the worker: it takes as long as all that is learned."""
    with torch.no_grad():
        return STEM(torch.from_numpy(np.concatenate([before, after])[None]))[0].numpy()


def _after(clean: Array, before: Array, outcomes: list[Array], rng: np.random.Generator) -> Array:
    way = rng.random()
    if way < 0.45:
        return outcomes[int(rng.integers(len(outcomes)))]
    if way < 0.7:
        return befallen(before, rng)
    if way < 0.8:
        return befallen(outcomes[int(rng.integers(len(outcomes)))], rng)
    halfway = np.clip(before + np.float32(rng.uniform(-0.2, 1)) * (clean - before), 0, 1)
    return befallen(halfway, rng) if rng.random() < 0.4 else halfway


def truth(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Gain in dB and logarithm of the error before, per cell with its neighbours, and where anything changed."""
    errors = [_cells(torch.square(batch[state] - batch["clean"])) for state in ("before", "after")]
    before, after = (torch.log10(error + QUANTUM) for error in errors)
    changed = F.max_pool2d((batch["before"] != batch["after"]).float().amax(1, keepdim=True), CELL)
    return 10 * (before - after), before, changed


def _cells(square: Tensor) -> Tensor:
    cells = F.avg_pool2d(square.mean(1, keepdim=True), CELL)
    kernel = cells.new_tensor([1.0, 2, 1])
    kernel = torch.outer(kernel, kernel)[None, None] / 16
    return F.conv2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), kernel)


def loss(network: CriticNetwork, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy with the gain shared between its two nearest bins, the error before, and the gain of the crop."""
    with half(batch["before"].device.type):
        logits, error = network.logits(batch["before"], batch["after"], batch["stem"])
    gain, before, changed = truth(batch)
    weight = changed / changed.sum().clamp_min(1)
    cross = -(_shared(gain) * torch.log_softmax(logits, 1)).sum(1, keepdim=True)
    level = F.smooth_l1_loss(error, before, beta=0.3, reduction="none")
    mean = (torch.softmax(logits, 1) * gain.new_tensor(GAINS)[None, :, None, None]).sum(1, keepdim=True)
    whole = F.smooth_l1_loss(_pooled(mean, error, changed), _pooled(gain.clamp(GAINS[0], GAINS[-1]), before, changed))
    parts = {"cross": (cross * weight).sum(), "level": level.mean(), "whole": whole}
    value = parts["cross"] + 0.5 * parts["level"] + 0.15 * parts["whole"]
    return value, {name: float(part.detach()) for name, part in parts.items()}


def _shared(gain: Tensor) -> Tensor:
    place = (gain.clamp(GAINS[0], GAINS[-1]) - GAINS[0]) / (GAINS[1] - GAINS[0])
    return (1 - (place - torch.arange(len(GAINS))[None, :, None, None].to(place)).abs()).clamp_min(0)


def _pooled(gain: Tensor, error: Tensor, where: Tensor) -> Tensor:
    """As conservator.quality.learned has it: gain in dB of the sum of errors."""
    before = torch.pow(10, error.clamp(-6, 1)) * where + 1e-8
    return 10 * torch.log10(before.sum((1, 2, 3)) / (before * torch.pow(10, -gain / 10)).sum((1, 2, 3)))


def validate(network: CriticNetwork) -> dict[str, Any]:
    """Ranking and calibration on 200 pairs of held-out photographs; the deviation is scaled to fit there."""
    shelves, rows = Shelves("held_out"), []
    for i in range(200):
        batch = {k: torch.from_numpy(v)[None] for k, v in draw(shelves, np.random.default_rng((97, i)), 160).items()}
        gain, before, changed = truth(batch)
        if changed.any():
            with torch.no_grad():
                logits, error = network.logits(batch["before"], batch["after"], batch["stem"])
            chances = torch.softmax(logits[0], 0).numpy()
            found = Judged.of(chances, error[0, 0].numpy(), changed[0, 0].numpy() > 0, GAINS)
            rows.append((float(_pooled(gain, before, changed)[0]), *found.pooled()))
    true, mean, deviation = np.array(rows).T
    scale = float(np.quantile(np.abs(mean - true) / np.maximum(deviation, 1e-3), 0.683))
    calibration = {"gains_db": GAINS, "deviation_scale": round(scale, 3)}
    found = ranked(true, mean) | calibrated(true, mean, deviation * scale)
    return {k: round(v, 4) for k, v in found.items()} | {"calibration": calibration}


def recipe() -> Recipe:
    network = CriticNetwork()
    shelves = Shelves("held_out")
    pairs = [draw(shelves, np.random.default_rng((7, i))) for i in range(96)]
    network.fit_features(torch.as_tensor(np.stack([np.concatenate([p["before"], p["after"]]) for p in pairs])))
    return Recipe(
        name="critic",
        network=network,
        draw=draw,
        loss=loss,
        source=Shelves,
        example={"before": torch.rand(1, 3, 64, 96), "after": torch.rand(1, 3, 64, 96)},
        outputs=("gain", "error"),
        describe={
            "summary": "two states of a picture: per 8×8 cell how the gain of the second is distributed",
            "data": "train/bsd432, train/wallpapers, train/imagenet300, degraded by conservator.synthesis, treated by "
            "the shipped tools and by training/mishaps.py",
            "inputs": {
                "before": "float32 (N, 3, H, W), RGB in [0, 1], H and W multiples of 8",
                "after": "float32 (N, 3, H, W), the same",
            },
            "outputs": {
                "gain": "float32 (N, 21, H/8, W/8), probabilities of the gains in dB that calibration names",
                "error": "float32 (N, 1, H/8, W/8), logarithm to base 10 of the mean squared error before",
            },
        },
        validate=validate,
        batch=12,
        steps=9000,
        rate=1.2e-3,
    )


if __name__ == "__main__":
    main(recipe())
