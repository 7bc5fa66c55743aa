"""SAM-class networks as pairs of ONNX files, encoder and decoder: which input is what is read from the files.

Known are the exports of Segment Anything and MobileSAM, of samexporter and ONNX Runtime for SAM 2, and of Hugging Face
for both and for EdgeTAM. They differ in names, ranks and batches, and in little else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conservator.errors import UsageError
from conservator.models.foreign.loading import digest
from conservator.models.foreign.segmenter import BATCH, CORNER, MEAN, SAM, SAM_2, SPREAD, Floats, Segmenter, answer
from conservator.models.runtime import Port, forget, listed, ports, run
from conservator.pixels.types import Pixels

STRIDE = 16
"""Pixels of the picture per cell of the coarsest embedding, in all of them; used where a file leaves its size free."""

_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8,
}  # fmt: skip

_ROLES = (("label", "labels"), ("coord", "points"), ("point", "points"), ("box", "boxes"), ("has_", "flag"),
          ("mask", "mask"), ("size", "size"))  # fmt: skip
"""What the decoder's inputs are by a part of their name; whatever is nothing of this is an embedding."""

_RANKS = {"points": (3, 4), "labels": (2, 3), "boxes": (3,), "flag": (1,), "size": (1,)}


def read(one: Path, other: Path) -> Segmenter:
    """The network in two ONNX files, whichever comes first.

    Raises ModelMissing when a file is damaged or absent, UsageError when they are no encoder and decoder of this kind.
    """
    weights = {path.name: digest(path) for path in (one, other)}
    for path in (one, other):
        forget(path)
    encoder, decoder = (one, other) if _takes_points(other) else (other, one)
    if not _takes_points(decoder) or _takes_points(encoder):
        got = "; ".join(f"{path.name} takes {listed(ports(path)[0])}" for path in (one, other))
        raise UsageError(got, "a picture for one, embeddings and points for the other", "name encoder and decoder")
    picture, asked = _Picture.of(encoder), _Decoder.of(encoder, decoder)
    size = picture.size(asked.grid)
    stretched = len(asked.features) > 1  # only the kin of SAM 2 hands on finer features besides

    def look(pixels: Pixels) -> dict[str, NDArray[Any]]:
        made = run(encoder, {picture.port.name: picture.array(pixels)})
        return dict(zip((port.name for port in ports(encoder)[1]), made, strict=True))

    return Segmenter(
        title=f"{encoder.name} and {decoder.name}",
        size=size,
        stretched=stretched,
        frame=size if stretched else (max(size), max(size)),
        look=look,
        decide=asked.decide,
        weights=weights,
        least=SAM_2 if stretched else SAM,
    )


def _takes_points(path: Path) -> bool:
    return any(_role(port) == "points" for port in ports(path)[0])


def _role(port: Port) -> str:
    return next((role for part, role in _ROLES if part in port.name.lower()), "embedding")


@dataclass(frozen=True)
class _Picture:
    """The encoder's input: channels first are normalised, channels last are levels in [0, 255], as all exports do."""

    port: Port
    first: bool

    @classmethod
    def of(cls, encoder: Path) -> _Picture:
        inputs, _ = ports(encoder)
        port = inputs[0]
        shape = port.shape[-3:]
        if len(inputs) > 1 or port.type not in _TYPES or len(port.shape) not in (3, 4) or 3 not in (shape[0], shape[2]):
            got = f"{encoder.name} takes {listed(inputs)}"
            raise UsageError(got, "one picture (1, 3, H, W) or (H, W, 3)", "export it as Segment Anything does")
        return cls(port, shape[0] == 3)

    def size(self, grid: int | None) -> tuple[int, int]:
        """(h, w) of what it takes; where the file leaves that free, of what suits the decoder's grid."""
        shape = self.port.shape[-3:]
        free = STRIDE * (grid or 64)
        height, width = (side if isinstance(side, int) else free for side in (shape[1:] if self.first else shape[:2]))
        return height, width

    def array(self, pixels: Pixels) -> NDArray[Any]:
        given = (pixels - MEAN) / SPREAD if self.first and "float" in self.port.type else pixels * 255
        given = np.moveaxis(given, -1, 0) if self.first else given
        given = given[None] if len(self.port.shape) == 4 else given
        kind = _TYPES[self.port.type]
        return np.ascontiguousarray(np.rint(given) if kind is np.uint8 else given, kind)


@dataclass(frozen=True)
class _Decoder:
    """The decoder's inputs by role, and where its answers stand among its outputs.

    features  its inputs that are embeddings, each with the encoder's output that goes there
    """

    path: Path
    roles: Mapping[str, Port]
    features: Mapping[Port, str]
    masks: int
    quality: int

    @classmethod
    def of(cls, encoder: Path, decoder: Path) -> _Decoder:
        """The decoder in a file that takes the encoder's embeddings; UsageError when it is no decoder of SAM's kind."""
        inputs, outputs = ports(decoder)
        names = [port.name.lower() for port in outputs]
        masks, quality = _first(names, "low_res", "mask"), _first(names, "iou", "score")
        roles = {_role(port): port for port in inputs if _role(port) != "embedding"}
        unknown = [p for p in inputs if p.type not in _TYPES or len(p.shape) not in _RANKS.get(_role(p), (4,))]
        if masks is None or quality is None or "labels" not in roles or unknown:
            got = f"{decoder.name} takes {listed(inputs)} and returns {listed(outputs)}"
            raise UsageError(got, "points and labels in, masks and their quality out", "export it anew")
        embeddings = [port for port in inputs if _role(port) == "embedding"]
        return cls(decoder, roles, _joined(encoder, decoder, embeddings), masks, quality)

    @property
    def grid(self) -> int | None:
        """Cells along a side of the coarsest embedding; None where the file does not say."""
        sides = [port.shape[-1] for port in self.features if len(port.shape) == 4]
        return min((side for side in sides if isinstance(side, int)), default=None)

    def decide(
        self, seen: Mapping[str, NDArray[Any]], points: Floats, labels: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """See `Segmenter`; UsageError for a box that the file has no input for."""
        many = self.roles["points"].shape[-3]
        together = many if isinstance(many, int) else BATCH
        parts = [self._some(seen, points[i : i + together], labels[i : i + together])
                 for i in range(0, len(points), together)]  # fmt: skip
        return np.concatenate([masks for masks, _ in parts]), np.concatenate([quality for _, quality in parts])

    def _some(
        self, seen: Mapping[str, NDArray[Any]], points: Floats, labels: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        feed = {port.name: seen[name].astype(_TYPES[port.type]) for port, name in self.features.items()}
        cells = min(seen[name].shape[-1] for name in self.features.values())
        for role, value in self._prompt(points, labels, cells).items():
            port = self.roles[role]
            feed[port.name] = np.ascontiguousarray(value, _TYPES[port.type])
        outputs = run(self.path, feed)
        return answer(self.path.name, outputs[self.masks], outputs[self.quality], len(points))

    def _prompt(self, points: Floats, labels: NDArray[np.int64], cells: int) -> dict[str, Any]:
        """Values of the inputs that are no embeddings."""
        nested, boxed = len(self.roles["points"].shape) == 4, CORNER in labels
        given: dict[str, Any] = {}
        if "boxes" in self.roles:
            corners = points[labels >= CORNER].reshape(-1, 4)
            given["boxes"] = corners[None]
            kept = labels < CORNER
            points, labels = points[kept].reshape(len(points), -1, 2), labels[kept].reshape(len(points), -1)
        elif nested and boxed:
            raise UsageError(f"a box for {self.path.name}", "an input for boxes", "show it points instead")
        elif not nested and not boxed and len(self.features) == 1:
            # Without a box, SAM is used to a point that means nothing; the others add it by themselves.
            points = np.pad(points, ((0, 0), (0, 1), (0, 0)))
            labels = np.pad(labels, ((0, 0), (0, 1)), constant_values=-1)
        given |= {"points": points[None] if nested else points, "labels": labels[None] if nested else labels}
        if "mask" in self.roles:
            given["mask"] = np.zeros(_filled(self.roles["mask"], (len(points), 1, 4 * cells, 4 * cells)))
        if "flag" in self.roles:
            given["flag"] = np.zeros(_filled(self.roles["flag"], (len(points),)))
        if "size" in self.roles:
            given["size"] = (4 * cells, 4 * cells)
        return given


def _first(names: list[str], *parts: str) -> int | None:
    """Where the first of these parts occurs, the first part before all others."""
    return next((i for part in parts for i, name in enumerate(names) if part in name), None)


def _filled(port: Port, free: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a file declares, with these sides where it leaves them free."""
    return tuple(side if isinstance(side, int) else other for side, other in zip(port.shape, free, strict=True))


def _joined(encoder: Path, decoder: Path, embeddings: list[Port]) -> dict[Port, str]:
    """The encoder's output for each embedding: of the same name, or else the only one left of its shape."""
    made = {port.name: port for port in ports(encoder)[1]}
    joined = {port: port.name for port in embeddings if port.name in made}
    for port in embeddings:
        if port not in joined:
            alike = [n for n, other in made.items() if n not in joined.values() and _fit(port.shape, other.shape)]
            if len(alike) != 1:
                got = f"{decoder.name} wants {listed((port,))}, {encoder.name} makes {listed(tuple(made.values()))}"
                raise UsageError(got, "one embedding of that shape", "use an encoder and a decoder of one export")
            joined[port] = alike[0]
    return joined


def _fit(one: tuple[int | str | None, ...], other: tuple[int | str | None, ...]) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(a == b or not (isinstance(a, int) and isinstance(b, int)) for a, b in pairs)
