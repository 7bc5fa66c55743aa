"""Where networks run: the processor through ONNX Runtime by default; its accelerators, or OpenVINO, when asked for.

Nothing falls back: a device that is not there is an error, because another one gives other bytes at another speed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ModelMissing, UsageError

VARIABLE = "CONSERVATOR_DEVICE"
"""Environment variable that names the device; worker processes inherit it."""

CPU = "cpu"
OPENVINO = "openvino"

PROVIDERS = MappingProxyType(
    {
        CPU: "CPUExecutionProvider",
        "cuda": "CUDAExecutionProvider",
        "coreml": "CoreMLExecutionProvider",
        "directml": "DmlExecutionProvider",
    }
)
"""ONNX Runtime's name of each of its devices."""

DEVICES = (*PROVIDERS, OPENVINO)

_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}

_TYPES = {
    "float32": "tensor(float)", "float16": "tensor(float16)", "float64": "tensor(double)", "int64": "tensor(int64)",
}  # fmt: skip
"""ONNX Runtime's names of numpy's types."""


class Port(Protocol):
    """An input or output as ONNX Runtime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Network(Protocol):
    """An opened network, as ONNX Runtime's InferenceSession has it."""

    def run(self, names: Sequence[str] | None, inputs: dict[str, Any], options: Any) -> list[NDArray[Any]]:
        """Outputs as named, or all in the order of the file."""
        ...

    def get_inputs(self) -> Sequence[Port]:
        """What it takes."""
        ...

    def get_outputs(self) -> Sequence[Port]:
        """What it gives."""
        ...


def device() -> str:
    """The device to use; UsageError when CONSERVATOR_DEVICE names no device."""
    name = os.environ.get(VARIABLE) or CPU
    if name not in DEVICES:
        raise UsageError(f"device {name!r}", f"one of {', '.join(DEVICES)}", f"change --device or {VARIABLE}")
    return name


def open_network(path: Path, runtime: Any, options: Any, name: str, threads: int) -> Network:
    """Load an ONNX file on a device; ModelMissing when the device is not there, other errors as the library has them.

    runtime   the onnxruntime module
    options   its SessionOptions
    """
    if name == OPENVINO:
        return _OpenVino(path, threads)
    provider, present = PROVIDERS[name], runtime.get_available_providers()
    if provider not in present:
        raise _missing(name, f"this ONNX Runtime has {', '.join(present)}", _PACKAGES.get(name, "onnxruntime"))
    session: Network = runtime.InferenceSession(str(path), options, providers=[provider])
    if session.get_providers()[0] != provider:  # type: ignore[attr-defined]
        raise _missing(name, f"{provider} does not start here", _PACKAGES.get(name, "onnxruntime"))
    return session


def _missing(name: str, got: str, package: str) -> ModelMissing:
    return ModelMissing(f"device {name}: {got}", name, f"pip install {package}, or use --device cpu")


def _named(kind: np.dtype[Any]) -> str:
    return _TYPES.get(np.dtype(kind).name, np.dtype(kind).name)


class _Described:
    def __init__(self, name: str, port: Any) -> None:
        self.name = name
        self.type = _named(port.get_element_type().to_dtype())
        self.shape: Sequence[int | str | None] = [
            d.get_length() if d.is_static else None for d in port.get_partial_shape()
        ]


class _OpenVino:
    """OpenVINO behind the same calls; float32, for its default here is bfloat16, which is off by 3e-3."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError as error:
            raise _missing(OPENVINO, str(error), "conservator[openvino]") from error
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)
        # An input goes by the names of what reads it too; its node has the file's.
        self._inputs = [_Described(port.get_node().get_friendly_name(), port) for port in self._model.inputs]
        self._outputs = [_Described(port.get_any_name(), port) for port in self._model.outputs]

    def run(
        self, names: Sequence[str] | None, inputs: Mapping[str, NDArray[Any]], options: Any
    ) -> list[NDArray[Any]]:
        """Outputs as named, or all; inputs must be what the file declares, as ONNX Runtime demands."""
        declared = {port.name: port.type for port in self._inputs}
        given = {name: _named(array.dtype) for name, array in inputs.items()}
        if given != declared:
            raise ValueError(f"takes {declared}, not {given}")
        answer = self._model.create_infer_request().infer([inputs[port.name] for port in self._inputs])
        return [np.array(answer[port]) for port in names or self._model.outputs]

    def get_inputs(self) -> Sequence[Port]:
        """What it takes."""
        return self._inputs

    def get_outputs(self) -> Sequence[Port]:
        """What it gives."""
        return self._outputs
