"""One training loop for every recipe: resumable, seeded, logged as JSONL, exported with its card."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from data import Draw, Photographs, Stream
from muon import optimisers

WEIGHTS = Path(__file__).parent.parent / "src/conservator/models/weights"
CHECKPOINTS = Path(os.environ.get("CONSERVATOR_CHECKPOINTS", Path.home() / ".cache/conservator/checkpoints"))

Batch = Mapping[str, Tensor]
Loss = Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]


@dataclass
class Recipe:
    """Everything that makes one shipped model.

    example   name → input tensor for export; axes 2 and 3 become dynamic
    outputs   names of the outputs
    describe  fields of the model card that only the recipe knows
    source    what the worker draws from, built once per worker
    validate  (network) → metrics on held-out training photographs; also returned as card metrics
    """

    name: str
    network: nn.Module
    draw: Draw
    loss: Loss
    example: dict[str, Tensor]
    outputs: tuple[str, ...]
    describe: dict[str, Any]
    validate: Callable[[nn.Module], dict[str, Any]]
    batch: int = 16
    steps: int = 6000
    rate: float = 1e-3
    decay: float = 1e-4
    seed: int = 0
    source: Callable[[], Photographs] = Photographs


def main(recipe: Recipe) -> None:
    """Command line of every recipe: train, resume, or export what the last checkpoint holds."""
    parser = argparse.ArgumentParser(description=recipe.name)
    parser.add_argument("--steps", type=int, default=recipe.steps)
    parser.add_argument("--rate", type=float, default=recipe.rate, help="highest learning rate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--warm", action="store_true", help="start from the shipped ONNX weights")
    parser.add_argument("--export-only", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(options.threads)
    recipe.steps, recipe.rate = options.steps, options.rate
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    run = Run(recipe, options.device, options.warm)
    if not options.export_only:
        run.train(options.workers)
    run.export()


class Run:
    """State of one training: network, its moving average, optimiser, step, seconds."""

    def __init__(self, recipe: Recipe, device: str, warm: bool) -> None:
        self.recipe, self.device = recipe, device
        self.network = recipe.network.to(device, memory_format=torch.channels_last)
        if warm:
            load_onnx_weights(self.network, WEIGHTS / f"{recipe.name}.onnx")
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
        )
        self.optimisers = optimisers(self.network, recipe.rate, recipe.decay)
        self.rates = [group["lr"] for optimiser in self.optimisers for group in optimiser.param_groups]
        self.step, self.seconds = 0, 0.0
        self.checkpoint = CHECKPOINTS / f"{recipe.name}.pt"
        self.log = CHECKPOINTS / f"{recipe.name}.jsonl"
        if self.checkpoint.exists():
            self._load()

    def train(self, workers: int) -> None:
        """Train to the recipe's last step; checkpoints every 250 steps, exports every 1000."""
        recipe, batch = self.recipe, self.recipe.batch
        stream = Stream(recipe.draw, recipe.seed, self.step * batch, recipe.source)
        loader = torch.utils.data.DataLoader(  # spawn: a fork inherits OpenMP locks and hangs
            stream, batch, num_workers=workers, prefetch_factor=6, multiprocessing_context="spawn"
        )
        begun, sums, count = time.time() - self.seconds, {}, 0
        for samples in loader:
            if self.step >= self.recipe.steps:
                break
            for key, value in self._update(samples).items():
                sums[key] = sums.get(key, 0.0) + value
            count += 1
            self.seconds = time.time() - begun
            if self.step % 50 == 0:
                self._write({k: round(v / count, 5) for k, v in sums.items()})
                sums, count = {}, 0
            if self.step % 250 == 0:
                self._save()
            if self.step % 1000 == 0 and self.step < self.recipe.steps:
                self.export()
        self._save()

    def _update(self, batch: Batch) -> dict[str, float]:
        share = self.step / self.recipe.steps
        part = min(1.0, (self.step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * share) + 1e-3)
        groups = [group for optimiser in self.optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate * part
        batch = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        loss, parts = self.recipe.loss(self.network, batch)
        if not torch.isfinite(loss):
            raise SystemExit(f"{self.recipe.name}: loss is {float(loss)} at step {self.step}")
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {"loss": float(loss.detach()), **parts}

    def export(self) -> None:
        """Write NAME.onnx and NAME.json from the moving average, with metrics on held-out photographs."""
        network = self.average.module.eval().cpu()
        metrics = self.recipe.validate(network)
        self._write({"validation": metrics})
        file = WEIGHTS / f"{self.recipe.name}.onnx"
        export_onnx(network, self.recipe.example, self.recipe.outputs, file)
        card = {
            "name": self.recipe.name,
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "parameters": sum(p.numel() for p in network.parameters()),
            "licence": "Apache-2.0",
            "recipe": f"training/{self.recipe.name}.py",
            **self.recipe.describe,
            "calibration": metrics.pop("calibration", {}),
            "metrics": metrics,
            "trained": {
                "steps": self.step, "batch": self.recipe.batch, "seconds": round(self.seconds),
                "rate": self.recipe.rate, "seed": self.recipe.seed, "device": self.device, "torch": torch.__version__,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores", "commit": _commit(),
            },
        }  # fmt: skip
        file.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        self.average.module.to(self.device).train()

    def _write(self, entry: dict[str, Any]) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 1), **entry}
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(), "average": self.average.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers], "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimiser, held in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(held)
        self.step, self.seconds = state["step"], state["seconds"]


def export_onnx(network: nn.Module, example: dict[str, Tensor], outputs: tuple[str, ...], file: Path) -> None:
    """Float32 ONNX, opset 17, dynamic batch, height and width; checked against PyTorch on the example."""
    # A name per input: two sizes of one name would be taken for the same number.
    axes = {n: {0: "n", 2: f"{n}_height", 3: f"{n}_width"} if t.dim() == 4 else {0: "n"} for n, t in example.items()}
    temporary = file.with_suffix(".tmp.onnx")
    torch.onnx.export(
        network, tuple(example.values()), str(temporary), input_names=list(example), output_names=list(outputs),
        dynamic_axes=axes, opset_version=17, dynamo=False, do_constant_folding=False,
    )  # fmt: skip
    model = onnx.load(str(temporary))
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, str(temporary))
    doubled = {k: t.repeat(1, 1, 2, 3) if t.dim() == 4 else t for k, t in example.items()}
    for inputs in (example, doubled):
        _compare(network, temporary, inputs)
    temporary.replace(file)


def _compare(network: nn.Module, file: Path, inputs: dict[str, Tensor]) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    got = session.run(None, {k: v.numpy() for k, v in inputs.items()})
    with torch.no_grad():
        want = network(*inputs.values())
    for a, b in zip(got, want if isinstance(want, tuple) else (want,), strict=True):
        worst = float(np.abs(a - b.numpy()).max())
        if worst > 5e-3:
            raise SystemExit(f"{file.name}: ONNX differs from PyTorch by {worst}")


def load_onnx_weights(network: nn.Module, file: Path) -> None:
    """Copy a shipped model's weights back into its network, so that anyone can train on from a release."""
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(file)).graph.initializer}
    state = network.state_dict()
    shipped = [(name, p) for name, p in network.named_parameters() if name not in getattr(network, "unexported", ())]
    missing = [name for name, p in shipped if name not in weights or weights[name].shape != p.shape]
    if missing:
        raise SystemExit(f"{file.name} lacks {missing}")
    for name in state:
        if name in weights:
            state[name] = torch.from_numpy(weights[name].copy())
    network.load_state_dict(state)


def half(device: str) -> torch.autocast:
    """bfloat16 where the machine computes in it; elsewhere it is emulated and 2.5 times slower than float32."""
    native = device == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device, torch.bfloat16, enabled=native)


def _commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
