"""Networks of SAM's kind written on the fly that outline by colour, so that every mask is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

CELLS, SIDE = 64, 256
"""Of the colour pair: an embedding of 64 × 64 cells for a picture of 256 × 256 px, so that a cell is 4 px."""

Shape = Sequence[int | str]


def _save(
    path: Path,
    nodes: Sequence[NodeProto],
    constants: dict[str, Any],
    takes: dict[str, tuple[int, Shape]],
    gives: dict[str, Shape],
) -> Path:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in takes.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in gives.items()]
    graph = helper.make_graph(list(nodes), "sam", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _node(operator: str, takes: str, gives: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, takes.split(" "), [gives], **attributes)


def colour_pair(
    folder: Path,
    *,
    height: int = SIDE,
    last: bool = False,
    fine: bool = False,
    batch: int | str = 1,
    quality: float = 0.95,
    names: tuple[str, str] = ("image_embeddings", "low_res_masks"),
    wanted: str | None = None,
) -> tuple[Path, Path]:
    """Encoder and decoder that outline what has the colour of the first point: logits fall with the colour's distance.

    height   of the picture the encoder takes; the embedding always spans the square
    last     channels last, levels in [0, 255], as samexporter has it
    fine     with finer features besides, as SAM 2 has it
    batch    prompts that the decoder takes together
    quality  predicted of every mask
    names    of the embedding and of the masks
    wanted   what the decoder calls the embedding
    """
    folder.mkdir(parents=True, exist_ok=True)
    cell = SIDE // CELLS
    taken: Shape = (height, SIDE, 3) if last else (1, 3, height, SIDE)
    encode = []
    if last:
        encode += [_node("Div", "image spread", "scaled"), _node("Sub", "scaled mean", "level"),
                   _node("Transpose", "level", "turned", perm=[2, 0, 1]), _node("Unsqueeze", "turned zero", "first")]
    else:
        encode += [_node("Identity", "image", "first")]
    pads = np.array([0, 0, 0, 0, 0, 0, SIDE - height, 0], np.int64)
    encode += [_node("Pad", "first pads", "square"),
               _node("Reshape", "square parted", "blocks"),
               _node("ReduceMean", "blocks", names[0], axes=[3, 5], keepdims=0)]
    made: dict[str, Shape] = {names[0]: (1, 3, CELLS, CELLS)}
    if fine:
        encode += [_node("Identity", "square", "high_res_feats_0")]
        made = {"high_res_feats_0": (1, 3, SIDE, SIDE)} | made
    spread = np.array([58.395, 57.12, 57.375], np.float32)
    constants = {
        "pads": pads, "zero": np.array([0]), "parted": np.array([1, 3, CELLS, cell, CELLS, cell]), "spread": spread,
        "mean": np.array([123.675, 116.28, 103.53], np.float32) / spread,
    }  # fmt: skip
    picture = {"image": (TensorProto.FLOAT, taken)}
    encoder = _save(folder / "encoder.onnx", encode, constants, picture, made)

    wanted = wanted or names[0]
    source = "high_res_feats_0" if fine else wanted
    grid = SIDE if fine else CELLS
    decode = [
        _node("Slice", "point_coords nought one axis", "first"),  # (P, 1, 2)
        _node("Div", "first step", "place"),
        _node("Floor", "place", "floored"),
        _node("Clip", "floored low high", "clipped"),
        _node("Mul", "clipped stride", "weighted"),
        _node("ReduceSum", "weighted last", "index", keepdims=0),  # (P, 1)
        _node("Cast", "index", "where", to=TensorProto.INT64),
        _node("Squeeze", "where axis", "at"),  # (P,)
        _node("Reshape", f"{source} flat", "pixels"),  # (3, cells)
        _node("Gather", "pixels at", "colours", axis=1),  # (3, P)
        _node("Transpose", "colours", "ours", perm=[1, 0]),
        _node("Reshape", "ours beside", "column"),  # (P, 3, 1, 1)
        _node("Sub", f"{source} column", "away"),
        _node("Abs", "away", "far"),
        _node("ReduceSum", "far axis", "distance", keepdims=1),  # (P, 1, g, g)
        _node("Sub", "limit distance", "near"),
        _node("Mul", "near steep", names[1]),
        _node("ReduceMax", names[1], "most", axes=[2, 3], keepdims=0),  # (P, 1)
        _node("Mul", "most nothing", "blank"),
        _node("Add", "blank good", "iou_predictions"),
    ]
    constants = {
        "nought": np.array([0]), "one": np.array([1]), "axis": np.array([1]), "last": np.array([2]),
        "step": np.float32(SIDE / grid), "low": np.float32(0), "high": np.float32(grid - 1),
        "stride": np.array([1, grid], np.float32), "flat": np.array([3, -1]), "beside": np.array([-1, 3, 1, 1]),
        "limit": np.float32(1.6), "steep": np.float32(40), "nothing": np.float32(0), "good": np.float32(quality),
    }  # fmt: skip
    made[wanted] = made.pop(names[0])
    takes: dict[str, tuple[int, Shape]] = {name: (TensorProto.FLOAT, shape) for name, shape in made.items()}
    takes |= {
        "point_coords": (TensorProto.FLOAT, (batch, "n", 2)), "point_labels": (TensorProto.FLOAT, (batch, "n")),
        "mask_input": (TensorProto.FLOAT, (batch, 1, 4 * CELLS, 4 * CELLS)),
        "has_mask_input": (TensorProto.FLOAT, (1,)),
    }  # fmt: skip
    answers: dict[str, Shape] = {"iou_predictions": ("p", 1), names[1]: ("p", 1, grid, grid)}
    return encoder, _save(folder / "decoder.onnx", decode, constants, takes, answers)


def fastsam(path: Path, score: float = 0.9, classes: int = 1) -> Path:
    """A detector that finds what is red, twice, and what is blue, with prototypes of red, green, blue and one."""
    cell = SIDE // CELLS
    weigh = np.array([[40, 0, 0, -23], [40, 0, 0, -23], [0, 0, 40, -24]], np.float32)
    boxes = [(0.5, 0.5, 1.0, 1.0), (0.5, 0.5, 1.0, 1.0), (0.55, 0.55, 0.9, 0.9)]
    rows = [[*np.multiply(box, SIDE), *[likely] * classes, *w]
            for box, likely, w in zip(boxes, (score, 0.8, 0.7), weigh, strict=True)]  # fmt: skip
    nodes = [
        _node("Reshape", "images parted", "blocks"), _node("ReduceMean", "blocks", "colours", axes=[3, 5], keepdims=0),
        helper.make_node("Concat", ["colours", "ones"], ["output1"], axis=1),
        _node("ReduceMean", "images", "mean", keepdims=0), _node("Mul", "mean nothing", "zero"),
        _node("Add", "found zero", "output0"),
    ]  # fmt: skip
    constants = {
        "parted": np.array([1, 3, CELLS, cell, CELLS, cell]), "ones": np.ones((1, 1, CELLS, CELLS), np.float32),
        "nothing": np.float32(0), "found": np.array(rows, np.float32).T[None],
    }  # fmt: skip
    gives: dict[str, Shape] = {"output0": (1, 8 + classes, 3), "output1": (1, 4, CELLS, CELLS)}
    return _save(path, nodes, constants, {"images": (TensorProto.FLOAT, (1, 3, SIDE, SIDE))}, gives)
