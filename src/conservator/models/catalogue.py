"""The catalogue of shipped networks: one JSON card beside each ONNX file says what it is and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from conservator.errors import ModelMissing

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped networks and their cards."""

_REINSTALL = "reinstall conservator: pip install --force-reinstall --no-deps conservator"


@dataclass(frozen=True, eq=False)
class ModelCard:
    """What a network is, as its JSON card says; keys this class does not name are left in the file.

    name            identifier in the catalogue
    file            name of the ONNX file, beside the card
    sha256          of that file, in hexadecimal
    parameters      number of weights
    licence         SPDX identifier of the weights
    recipe          training script that made them
    data            what they were trained on
    inputs          meaning of each input by name, with shape, unit and range
    outputs         meaning of each output by name, in order
    macs_per_pixel  multiply-accumulates per pixel of the input image; None when not measured
    summary         one line
    kinds           degradations its channels speak of, in channel order
    metrics         what was measured on held-out photographs
    trained         steps, seconds, machine, date
    calibration     numbers the reader of its outputs needs, such as thresholds
    """

    name: str
    file: str
    sha256: str
    parameters: int
    licence: str
    recipe: str
    data: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    macs_per_pixel: float | None = None
    summary: str = ""
    kinds: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    trained: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Card from its JSON file; ModelMissing when it cannot be read or lacks a field."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelMissing(f"model card {path}: {error}", "a JSON object", _REINSTALL) from error
        if not isinstance(data, dict):
            raise ModelMissing(f"model card {path} holds a {type(data).__name__}", "a JSON object", _REINSTALL)
        lacking = [f.name for f in fields(cls) if _required(f) and f.name not in data]
        if lacking:
            raise ModelMissing(f"model card {path} lacks {', '.join(lacking)}", "a complete card", _REINSTALL)
        if Path(str(data["file"])).name != data["file"]:
            raise ModelMissing(f"model card {path} names {data['file']!r}", "a file beside the card", _REINSTALL)
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        return cls(**known | {"kinds": tuple(data.get("kinds", ()))})


def _required(entry: Any) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


class Catalogue(Mapping[str, ModelCard]):
    """The networks of one folder by name; cards are read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _cards(self) -> dict[str, ModelCard]:
        cards = [ModelCard.read(path) for path in sorted(self.folder.glob("*.json"))]
        return {card.name: card for card in cards}

    def __getitem__(self, name: str) -> ModelCard:
        """Card of a network; ModelMissing when there is none of that name."""
        try:
            return self._cards[name]
        except KeyError:
            names = ", ".join(self._cards) or "none"
            raise ModelMissing(f"no model {name!r}", f"one of: {names}", f"look in {self.folder}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._cards

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def path(self, name: str) -> Path:
        """Weights file of a network, its SHA-256 checked once per process; ModelMissing when absent or altered."""
        card = self[name]
        path = self.folder / card.file
        _verify(path, card.sha256)
        return path


@cache
def _verify(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelMissing(f"weights {path}: {error.strerror}", "the file its card names", _REINSTALL) from error
    if found != sha256:
        raise ModelMissing(f"weights {path} have SHA-256 {found[:12]}…", f"{sha256[:12]}… as its card says", _REINSTALL)


MODELS = Catalogue(WEIGHTS)
"""The networks that ship with Conservator."""


def model_path(name: str) -> Path:
    """Verified weights file of a shipped network; ModelMissing when absent or altered."""
    return MODELS.path(name)
