"""ONNX networks of unknown origin: the file declares a few sizes, and trial runs tell the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ToolFailed, UsageError
from conservator.models.foreign.measuring import probe
from conservator.models.foreign.network import Network, Run, check_channels
from conservator.models.runtime import Port, forget, listed, ports, run

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""Size multiples tried, smallest first."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def read(path: Path) -> Network:
    """The network in an ONNX file: one picture (1, C, H, W) in, one out, RGB or grey in [0, 1].

    Raises ModelMissing when the file is damaged or ONNX Runtime absent, UsageError when its inputs or outputs are of
    other shapes, ToolFailed when it runs at no size or returns NaN.
    """
    forget(path)
    image = _image(path)
    channels, side = _channels(path, image), _side(path, image)
    call = _caller(path, image)
    sizes = [(m, (64 + m, 64 + 2 * m)) for m in MULTIPLES] if side is None else [(1, (side, side))]
    multiple, scale = _tried(path, call, channels, sizes)
    return Network(
        title="ONNX network",
        run=call,
        channels=channels,
        scale=scale,
        multiple_of=multiple,
        side=side,
        kinds=("low_resolution",) if scale > 1 else (),
    )


def _image(path: Path) -> Port:
    """The input that takes the picture."""
    inputs, outputs = ports(path)
    got = f"{path.name} takes {listed(inputs)} and returns {listed(outputs)}"
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 4 or len(outputs) != 1:
        raise UsageError(got, "one float picture (1, C, H, W) in and one out", "export the network so")
    return inputs[0]


def _channels(path: Path, image: Port) -> int:
    batch, channels, *_ = image.shape
    if isinstance(batch, int) and batch != 1:
        raise UsageError(f"{path.name} takes {batch} pictures at a time", "one", "export it for a batch of 1")
    if isinstance(channels, int):
        check_channels(path, channels, channels)
        return channels
    return 3


def _side(path: Path, image: Port) -> int | None:
    height, width = image.shape[2:]
    if not isinstance(height, int) and not isinstance(width, int):
        return None
    if not isinstance(height, int) or height != width:
        raise UsageError(f"{path.name} takes {width}×{height} px only", "a square, or any size", "export it so")
    return height


def _caller(path: Path, image: Port) -> Run:
    def call(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        given = np.ascontiguousarray(picture[None], _TYPES[image.type])
        result = run(path, {image.name: given})[0]
        if result.ndim != 4:
            raise ToolFailed(f"{path.name} returned {result.shape} for {given.shape}", "a picture (1, C, H, W)")
        return np.asarray(result[0], np.float32)

    return call


def _tried(path: Path, call: Run, channels: int, sizes: list[tuple[int, tuple[int, int]]]) -> tuple[int, int]:
    """The smallest multiple at which it runs, and its scale there."""
    for multiple, size in sizes:
        last = multiple == sizes[-1][0]
        try:
            returned = call(probe(channels, size)).shape
        except ToolFailed:
            if last:
                raise
            continue
        scale = returned[1] // size[0]
        if returned[1:] == (scale * size[0], scale * size[1]) and scale >= 1:
            check_channels(path, channels, returned[0])
            return multiple, scale
    got = f"{path.name} made {returned[2]}×{returned[1]} px of {size[1]}×{size[0]}"
    raise UsageError(got, "the same size or a whole multiple of it", "export it without cropping")
