"""Small ONNX networks of known effect, written on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

FREE = (1, 3, "h", "w")


def network(
    path: Path,
    nodes: Sequence[NodeProto],
    constants: dict[str, Any] | None = None,
    *,
    takes: Sequence[int | str] = FREE,
    gives: Sequence[int | str] | None = None,
    dtype: int = TensorProto.FLOAT,
    extra: str | None = None,
) -> Path:
    """An ONNX file with the input "image" and the output "result"; `extra` names a second input of the same shape."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    names = ["image", *([extra] if extra else [])]
    inputs = [helper.make_tensor_value_info(name, dtype, list(takes)) for name in names]
    output = helper.make_tensor_value_info("result", dtype, list(gives or ("n", "c", "y", "x")))
    graph = helper.make_graph(list(nodes), "g", inputs, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def node(operator: str, takes: str, gives: str = "result", **attributes: Any) -> NodeProto:
    return helper.make_node(operator, takes.split(" "), [gives], **attributes)


def blur(path: Path, radius: int = 2, channels: int = 3, **options: Any) -> Path:
    """Mean over (2 · radius + 1)² pixels, zeros beyond the border."""
    width = 2 * radius + 1
    kernel = np.full((channels, 1, width, width), 1 / width**2, np.float32)
    one = node("Conv", "image kernel", group=channels, pads=[radius] * 4)
    return network(path, [one], {"kernel": kernel}, **{"takes": (1, channels, "h", "w")} | options)


def multiply(path: Path, factor: float, **options: Any) -> Path:
    return network(path, [node("Mul", "image factor")], {"factor": np.float32(factor)}, **options)


def enlarge(path: Path, scale: int = 2) -> Path:
    """Every pixel `scale` times in both directions."""
    scales = np.array([1, 1, scale, scale], np.float32)
    return network(path, [node("Resize", "image  scales", mode="nearest")], {"scales": scales})


def blind_in_the_dark(path: Path) -> Path:
    """Returns the picture, but NaN for one whose brightest value is below 1/2."""
    nodes = [
        node("ReduceMax", "image", "most", keepdims=0),
        node("Sub", "most half", "rest"),
        node("Sqrt", "rest", "root"),
        node("Div", "root root", "one"),
        node("Mul", "image one"),
    ]
    return network(path, nodes, {"half": np.float32(0.5)})


def yunet(path: Path, size: tuple[int, int], row: int, column: int, wide: float, high: float) -> Path:
    """A file with the outputs of YuNet that finds one face in every picture: at a cell of its finest grid, of 8 px."""
    face = {"cls": 1, "obj": 1, "bbox": [0.5, 0.5, np.log(wide / 8), np.log(high / 8)], "kps": 0}
    nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node("Mul", ["mean", "nothing"], ["zero"]))
    weights, outputs = [numpy_helper.from_array(np.zeros((), np.float32), "nothing")], []
    for stride in (8, 16, 32):
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            values = np.zeros((1, size[0] // stride * (size[1] // stride), width), np.float32)
            if stride == 8:
                values[0, row * (size[1] // 8) + column] = face[name]
            weights.append(numpy_helper.from_array(values, f"{name}_values_{stride}"))
            nodes.append(helper.make_node("Add", [f"{name}_values_{stride}", "zero"], [f"{name}_{stride}"]))
            outputs.append(helper.make_tensor_value_info(f"{name}_{stride}", TensorProto.FLOAT, values.shape))
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])
    graph = helper.make_graph(nodes, "yunet", [picture], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path
