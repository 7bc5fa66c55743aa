"""Networks that know no severity maps as tools: run on the engine's tiles, and blended in where there is damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conservator.degradations import BY_NAME, INDEX, Stage
from conservator.errors import ToolFailed, UsageError
from conservator.models.foreign.loading import load
from conservator.models.foreign.measuring import halo
from conservator.models.foreign.network import Network
from conservator.pixels.enlarge import enlarged
from conservator.pixels.types import Maps, Mask, Pixels
from conservator.tools.card import Card, Kind, Tiles, Tool
from conservator.tools.signature import options_of


@dataclass(frozen=True)
class Foreign:
    """A tool made of a network in a file.

    card    its limits
    file    absolute path of the network
    sha256  of that file, in hexadecimal; another file is refused
    """

    card: Card
    file: Path
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self.card) | {"file": str(self.file), "sha256": self.sha256}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Foreign:
        """What `to_dict` wrote; KeyError, TypeError or ValueError when it is something else."""
        fields = dict(data)
        file, sha256 = Path(fields.pop("file")), str(fields.pop("sha256"))
        words = {"stage": Stage(fields["stage"]), "tiles": Tiles(fields["tiles"]), "kind": Kind(fields["kind"])}
        lists = {"treats": tuple(fields["treats"]), "models": tuple(fields["models"])}
        return cls(Card(**fields | words | lists), file, sha256)

    @property
    def tool(self) -> Tool:
        """The tool; its network is opened when it runs."""

        def treat(pixels: Pixels, severity: Maps, survey: Maps, *, mix: float = 1.0) -> Pixels:
            """From float32 (H, W, 3) to the network's (scale·H, scale·W, 3), as far as severity and `mix` say.

            Raises UsageError for a `mix` outside [0, 1], ModelMissing, ToolFailed.
            """
            if not 0.0 <= mix <= 1.0:
                raise UsageError(f"mix={mix}", "the share of the network's change to make, in [0, 1]")
            seen, scale = _seen(load(self.file, self.sha256), pixels), self.card.scale
            if scale > 1:  # how much of it where is the engine's to decide
                plain = enlarged(pixels, scale)
                return np.asarray(plain + np.float32(mix) * (seen - plain), np.float32)
            gate = mix * _force(severity, self.card.treats)
            return np.asarray(pixels + gate[..., None] * (seen - pixels), np.float32)

        return Tool(self.card, treat, None, options_of(self.card.name, treat), {self.card.name: self.sha256})


def card_of(name: str, kinds: tuple[str, ...], file: Path, network: Network) -> Card:
    """A card from what a network says and does; its licence and whether it invents are in no file.

    Runs the network on test pictures; ToolFailed when it breaks or returns NaN.
    """
    distance, enough = halo(network)
    tiling = Tiles(network.tiling)
    stages = {BY_NAME[kind].stage for kind in kinds}
    return Card(
        name=name,
        treats=kinds,
        stage=next(stage for stage in Stage if stage in stages),
        source=f"{network.title} from {file}",
        summary=f"Added by you: {network.title}, {file.name}{_enlarging(network)}.",
        halo=distance,
        multiple_of=network.multiple_of,
        scale=network.scale,
        tiles=tiling if enough or tiling is Tiles.FORBIDDEN else Tiles.DISCOURAGED,
        kind=Kind.GENERATIVE,
        licence="unknown",
        side=network.side,
    )


def _enlarging(network: Network) -> str:
    return "" if network.scale == 1 else f"; enlarges ×{network.scale}"


def _force(severity: Maps, kinds: tuple[str, ...]) -> Mask:
    """Share of the network's change, float32 (H, W): all where damage is noticeable, fading to nothing below.

    A network that knows no severity decides by itself how much to take away; half of its change on half-severe damage
    would leave half of the damage.
    """
    notice = [BY_NAME[kind].threshold for kind in kinds]
    shares = [severity[INDEX[kind]] / np.float32(least) for kind, least in zip(kinds, notice, strict=True)]
    return np.asarray(np.minimum(np.max(shares, axis=0), 1), np.float32)


def _seen(network: Network, pixels: Pixels) -> Pixels:
    """What a network makes of pixels (H, W, 3); a grey one sees the channels one by one, equal ones once."""
    planes = np.clip(pixels, 0, 1).transpose(2, 0, 1)
    if network.channels == 3:
        result = network.run(planes)
    elif np.array_equal(planes[0], planes[1]) and np.array_equal(planes[0], planes[2]):
        result = network.run(planes[:1]).repeat(3, axis=0)
    else:
        result = np.concatenate([network.run(plane[None]) for plane in planes])
    wanted = (3, *(network.scale * side for side in planes.shape[1:]))
    if result.shape != wanted:
        raise ToolFailed(f"the network made {result.shape} of {planes.shape}", str(wanted))
    return result.transpose(1, 2, 0)
