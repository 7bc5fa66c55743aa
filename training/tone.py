"""Recipe: the tone network. Haze and exposure as maps of the parameters of a closed-form inverse.

CONSERVATOR_DATA=../shared/data python training/tone.py            (after perceiver_frame.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from conservator.degradations import FRAME, INDEX, LOCAL
from conservator.perception import Gate
from conservator.synthesis import degrade, draw_global, draw_spatial
from loop import WEIGHTS, Recipe, load_onnx_weights, main
from networks import FramePerceiver
from perceiver_frame import PROMPTS, Frames, exposure_truth, found, landscape, pack
from perception import Shipped
from tool_networks import ToneNetwork, invert_tone

KINDS = tuple(d.name for d in FRAME)
CHANNELS = [INDEX[k] for k in KINDS]
Array = NDArray[np.float32]
PERCEIVER = Shipped("perceiver_frame")
SIZE = (176, 256)  # what the network sees in training


def draw(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    """A frame with haze or wrong exposure, its severities and the frame without them.

    Two fifths of the severities are true ones, a little spoiled, the others what a gate would decide from what the
    shipped perceiver says, right or wrong. Now and then a kind is left out of them, and then stays: each has a tool of
    its own. A sixth of the frames suffers from nothing. From one where nothing is to be done nothing is learned, so
    another one of its style is drawn then, mostly.
    """
    style = rng.random()
    for _ in range(6):
        drawn = _draw(frames, rng, style)
        if drawn["severity"].any():
            break
    return drawn


def _draw(frames: Frames, rng: np.random.Generator, style: float) -> dict[str, Any]:
    if style < 0.12:
        return _bracket(frames, rng)
    clean = landscape(frames, rng)
    faint = [str(rng.choice([d.name for d in LOCAL]))] if rng.random() < 0.2 else []
    if style < 0.29:
        damages = draw_global(rng, faint)
    elif style < 0.45:
        damages = draw_global(rng, [str(rng.choice(KINDS)), *faint])
    else:
        damages = draw_spatial(clean, rng, (*KINDS, *faint), most=1, preset=bool(rng.random() < 0.3))[0]
    sample = degrade(clean, damages)
    left = [k for k in KINDS if sample.truth[INDEX[k]].any() and rng.random() < 0.15]
    seen = pack(sample.degraded, sample.truth[CHANNELS], found(sample.truth[PROMPTS], rng))
    return _pack(sample.degraded, sample.without([k for k in KINDS if k not in left]), seen, rng, left)


def _bracket(frames: Frames, rng: np.random.Generator) -> dict[str, Any]:
    reference, exposures = frames.brackets[rng.integers(len(frames.brackets))]
    chosen = exposures[rng.integers(len(exposures))]
    target, picture = (np.ascontiguousarray(p, np.float32) / 255 for p in (reference, chosen))
    truth = exposure_truth(target, picture)
    return _pack(picture, target, pack(picture, truth, np.zeros((len(LOCAL), 1, 1), np.float32)), rng)


def _pack(
    picture: Array, target: Array, seen: dict[str, Any], rng: np.random.Generator, left: Sequence[str] = ()
) -> dict[str, Any]:
    """What the tone network learns from, given what the perceiver learns from; it is not asked about kinds `left`."""
    image, wanted = (
        np.ascontiguousarray(cv2.resize(p, SIZE[::-1], interpolation=cv2.INTER_AREA).transpose(2, 0, 1))
        for p in (picture, target)
    )
    truth = seen.pop("truth")
    maps = _decided(seen, rng) if rng.random() < 0.6 else truth * rng.normal(1.0, 0.12, (len(truth), 1, 1))
    maps[[k in left for k in KINDS]] = 0.0
    severity = [cv2.resize(np.ascontiguousarray(m), SIZE[::-1], interpolation=cv2.INTER_LINEAR) for m in maps]
    if rng.random() < 0.3:
        severity = [cv2.blur(s, (9, 9)) for s in severity]
    return {"image": image, "severity": np.clip(np.stack(severity), 0, 1).astype(np.float32), "target": wanted}


def _decided(seen: dict[str, Array], rng: np.random.Generator) -> Array:
    """Severities that a gate, strict or lax, makes of what the shipped perceiver says."""
    seed = float(rng.uniform(0.5, 0.95))
    gate = Gate(dict.fromkeys(KINDS, seed), dict.fromkeys(KINDS, 0.35))
    return np.stack([gate.decide(kind, *maps) for kind, *maps in zip(KINDS, *PERCEIVER(**seen), strict=True)])


def toned(network: nn.Module, image: Tensor, severity: Tensor) -> Tensor:
    """Parameters, upsampled, applied, and faded in with the severity as the tool does."""
    maps = F.interpolate(network(image, severity), image.shape[2:], mode="bilinear", align_corners=False)
    gate = (severity.amax(1, keepdim=True) * 6).clamp(0, 1)
    return image + gate * (invert_tone(image, maps) - image)


def loss(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Charbonnier distance to the target, and some of it in decibels: little harm to a good frame is harm."""
    out = toned(network, batch["image"], batch["severity"])
    error = out - batch["target"]
    decibels = torch.log10((error * error).mean((1, 2, 3)) + 1e-4).mean()
    value = torch.sqrt(error * error + 1e-5).mean() + 0.1 * decibels
    with torch.no_grad():
        gain = _psnr(error) - _psnr(batch["image"] - batch["target"])
    return value, {"gain": float(gain.mean()), "worse": float((gain < 0).float().mean())}


def _psnr(error: Tensor) -> Tensor:
    return -10 * torch.log10((error * error).mean((1, 2, 3)).clamp_min(1e-5))


def from_perceiver(network: ToneNetwork) -> ToneNetwork:
    """The shipped frame perceiver's eyes: all that it learned but what it was told of local damage and its answers."""
    perceiver = FramePerceiver(len(KINDS), len(LOCAL))
    load_onnx_weights(perceiver, WEIGHTS / "perceiver_frame.onnx")
    state, fixed = network.state_dict(), network.stem.channels
    learned = perceiver.state_dict()
    entry = learned.pop("enter.weight")
    state["enter.weight"][:, :fixed] = entry[:, :fixed]
    state["enter.weight"][:, fixed + len(KINDS) :] = entry[:, fixed + len(LOCAL) :]
    state.update({name: value for name, value in learned.items() if not name.startswith(("head", "borders"))})
    network.load_state_dict(state)
    return network


def recipe() -> Recipe:
    network = from_perceiver(ToneNetwork(len(KINDS)))
    held_out = Frames(held_out=True)

    def validate(net: nn.Module) -> dict[str, Any]:
        samples = [draw(held_out, np.random.default_rng((99, i))) for i in range(192)]
        batch = {k: torch.as_tensor(np.stack([s[k] for s in samples])) for k in samples[0]}
        with torch.no_grad():
            return {k: round(v, 3) for k, v in loss(net, batch)[1].items()}

    return Recipe(
        name="tone",
        network=network,
        draw=draw,  # type: ignore[arg-type]
        loss=loss,
        example={"image": torch.rand(1, 3, 64, 96), "severity": torch.rand(1, 3, 64, 96)},
        outputs=("maps",),
        describe={
            "summary": "parameters of the closed-form inverse of haze, low light and over-exposure, per 4×4 cell",
            "kinds": list(KINDS),
            "data": "train/*, degraded by conservator.synthesis; train/exposure_brackets as they are",
            "inputs": {
                "image": "float32 (N, 3, H, W), the whole frame, RGB in [0, 1], longer side 256, multiples of 8",
                "severity": "float32 (N, 3, H, W), severity in [0, 1] of haze, low light, over-exposure",
            },
            "outputs": {"maps": "float32 (N, 7, H/4, W/4): veil, airlight RGB, log2 gain, lift, log2 gamma"},
        },
        validate=validate,
        batch=8,
        steps=4500,
        rate=8e-4,
        source=Frames,
    )


if __name__ == "__main__":
    main(recipe())
