"""What static int8 would cost and save: the restorer, quantised in memory of what it sees, beside itself in float32.

    CONSERVATOR_DATA=../shared/data python training/quantise.py          (prints one JSON line)

Calibrated on 24 held-out mixtures and judged on 24 others. Nothing is written into the package.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from conservator.models.runtime import run
from data import Photographs
from loop import WEIGHTS
from restorer import CROPS

Feeds = dict[str, NDArray[Any]]
MODEL = WEIGHTS / "restorer.onnx"
TILE = (1, 3, 608, 608)  # what the engine gives it: 512 px and twice its halo
ROUNDS = 5


class Mixtures(CalibrationDataReader):
    """What the network sees, for ONNX Runtime to watch the range of every layer."""

    def __init__(self, samples: list[Feeds]) -> None:
        self._left: Iterator[Feeds] = iter(samples)

    def get_next(self) -> Feeds | None:
        """The next inputs, or None at the end."""
        return next(self._left, None)


def quantised(folder: Path, samples: list[Feeds]) -> Path:
    """Weights per channel, activations per layer; only with every convolution in int8 is it faster."""
    ready, small = folder / "ready.onnx", folder / "int8.onnx"
    quant_pre_process(str(MODEL), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready), str(small), Mixtures(samples), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv"],
    )  # fmt: skip
    return small


def decibel(model: Path | None, cases: list[tuple[Feeds, NDArray[Any]]]) -> float:
    """Mean PSNR of the answers, of the inputs when there is no network; some inputs are clean, so it ends at 100 dB."""
    answers = [feeds["image"] if model is None else run(model, feeds)[0] for feeds, _ in cases]
    errors = [np.mean((np.clip(a, 0, 1) - t) ** 2) for a, (_, t) in zip(answers, cases, strict=True)]
    return round(float(-10 * np.log10(np.maximum(errors, 1e-10)).mean()), 3)


def seconds(models: list[Path]) -> list[float]:
    """Median seconds for one tile, the networks taking turns: the machine is not quiet."""
    tile = {name: np.random.default_rng(0).random(TILE, np.float32) for name in ("image", "severity")}
    times = []
    for _ in range(ROUNDS):
        for model in models:
            begun = time.perf_counter()
            run(model, tile)
            times.append(time.perf_counter() - begun)
    return [float(np.median(times[i :: len(models)])) for i in range(len(models))]


if __name__ == "__main__":
    photographs = Photographs(held_out=True)
    drawn = [CROPS.draw(photographs, np.random.default_rng((5, i))) for i in range(48)]
    seen = [{name: s[name][None] for name in ("image", "severity")} for s in drawn]
    judged = [(feeds, s["target"][None]) for feeds, s in zip(seen[24:], drawn[24:], strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        small = quantised(Path(folder), seen[:24])
        slow, fast = seconds([MODEL, small])
        print(json.dumps({
            "input_db": decibel(None, judged), "float32_db": decibel(MODEL, judged), "int8_db": decibel(small, judged),
            "times_faster": round(slow / fast, 2), "bytes": [MODEL.stat().st_size, small.stat().st_size],
        }))  # fmt: skip
