"""Masks from whatever holds them, and several of them as one weight per pixel."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from conservator.errors import ConservatorError, InputError, UsageError
from conservator.files import file_behind, read_file
from conservator.masks import coco, geojson, svg
from conservator.photo import Photo, Source, open_photo
from conservator.pixels.types import Mask

MaskLike: TypeAlias = "Source | Mapping[str, Any]"
"""A picture (white is inside, grey in between, transparent outside), a COCO, GeoJSON or SVG file, the bytes of one,
an array (H, W) of bools, uint8, uint16 or floats in [0, 1], or a dict of COCO or GeoJSON."""

Masks: TypeAlias = "MaskLike | tuple[MaskLike, float] | Sequence[MaskLike | tuple[MaskLike, float]]"
"""One mask or several, each alone or with a strength in [0, 1]."""

LONGEST = 2**28  # bytes of a mask file


@dataclass(frozen=True, eq=False)
class Drawn:
    """A mask that somebody drew.

    weight    float32 (H, W) in [0, 1]
    path      of its file, or None
    strength  in [0, 1], multiplies the weight
    """

    weight: Mask
    path: Path | None = None
    strength: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """What a record keeps of it: where it lies and what it looked like."""
        path = str(self.path.resolve()) if self.path else None
        return {"path": path, "sha256": self.sha256, "strength": self.strength}

    @property
    def sha256(self) -> str:
        """Of size and weights, whatever file they came in."""
        levels = np.rint(self.weight * np.float32(65535)).astype("<u2")
        return hashlib.sha256(repr(levels.shape).encode() + levels.tobytes()).hexdigest()


def read_mask(source: MaskLike, size: tuple[int, int], *, photo: str | None = None) -> Mask:
    """A mask, float32 (H, W) in [0, 1].

    size    of the photo, (H, W)
    photo   its file name, for COCO data of several images

    Raises UsageError when the mask has another size; InputError when it cannot be read, is empty, or holds NaN,
    an outline that crosses itself, or run lengths that do not fit.
    """
    name = _name(source)
    if isinstance(source, Mapping):
        return _filled(_from_json(source, size, name, photo), name)
    text = _text(source)
    if text is None:
        return _filled(_from_picture(source, size, name), name)
    if text.startswith(("{", "[")):
        return _filled(_from_json(_parsed(text, name), size, name, photo), name)
    return _filled(svg.read(text, size, name).astype(np.float32), name)


def read_masks(given: Masks | None, size: tuple[int, int], *, photo: str | None = None) -> list[Drawn]:
    """Every mask with its strength; see `read_mask` for the errors, UsageError for a strength outside [0, 1]."""
    found = []
    for source, strength in weighted(given):
        if not 0.0 <= strength <= 1.0:
            raise UsageError(f"a mask of strength {strength}", "a number in [0, 1]")
        path = Path(source) if isinstance(source, str | os.PathLike) else _behind(source)
        found.append(Drawn(read_mask(source, size, photo=photo), path, strength))
    return found


def _behind(source: MaskLike) -> Path | None:
    return source.source if isinstance(source, Photo) else file_behind(source)


def weighted(given: Masks | None) -> list[tuple[MaskLike, float]]:
    """Each mask with its strength, 1 where none is given."""
    if given is None:
        return []
    several = isinstance(given, list) or (isinstance(given, tuple) and not _is_pair(given))
    pairs: Iterable[Any] = given if several else [given]  # type: ignore[assignment]
    return [(entry[0], float(entry[1])) if _is_pair(entry) else (entry, 1.0) for entry in pairs]


def recorded_masks(
    what: str,
    given: Masks | None,
    known: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    size: tuple[int, int],
    *,
    photo: str | None = None,
) -> list[tuple[MaskLike, float]]:
    """The masks that a record keeps (see `Drawn.to_dict`), from where it says or as given, with its strengths.

    what   name of the argument that gives them, for messages
    UsageError when one has no file and none is given, InputError when one is not the recorded one.
    """
    if isinstance(known, Mapping):
        raise UsageError("a record of an earlier release, which kept its mask differently", fix="use that release")
    sources = [source for source, _ in weighted(given)] or [entry["path"] for entry in known]
    if len(sources) != len(known) or any(source is None for source in sources):
        got = f"{len(sources)} masks" if given is not None else "the record names no file for the mask"
        raise UsageError(got, f"the {len(known)} it was made with", f"pass {what}=")
    pairs = [(source, float(entry["strength"])) for source, entry in zip(sources, known, strict=True)]
    drawn = read_masks(pairs, size, photo=photo)
    for one, entry in zip(drawn, known, strict=True):
        if one.sha256 != entry["sha256"]:
            raise InputError(f"{what} {one.sha256[:12]}…", f"{entry['sha256'][:12]}…", "pass the same mask")
    return [(one.path or one.weight, one.strength) for one in drawn]  # a stream cannot be read twice


def combined(treat: Sequence[Drawn], protect: Sequence[Drawn]) -> Mask | None:
    """How strongly each pixel is treated, float32 (H, W) in [0, 1]; None when no mask says anything.

    Where masks to treat overlap, the strongest counts; what is protected is taken from that. Exactly 0 is untouched.
    """
    if not treat and not protect:
        return None
    weight = np.ones_like((treat or protect)[0].weight)
    if treat:
        weight = reduce(np.maximum, (one.weight * np.float32(one.strength) for one in treat))
    for one in protect:
        weight = weight * (1 - one.weight * np.float32(one.strength))
    return np.asarray(weight, np.float32)


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], int | float)


def _name(source: MaskLike) -> str:
    return f"mask {source}" if isinstance(source, str | os.PathLike) else "the mask"


def _text(source: Any) -> str | None:
    """The text of a JSON or SVG file or its bytes; None for pictures."""
    data = source if isinstance(source, bytes) else None
    if isinstance(source, str | os.PathLike):
        data = read_file(source, LONGEST)
    if data is None:
        return None
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text.startswith((b"{", b"[", b"<", b"M", b"m")) or b"\0" in text[:64]:
        return None
    decoded = text.decode("utf-8", "replace")
    return decoded if text[:1] in b"{[<" or svg.is_path(decoded) else None


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON ({error})", "COCO or GeoJSON", "export it anew") from error


def _from_json(data: Any, size: tuple[int, int], name: str, photo: str | None) -> Mask:
    typed = isinstance(data, Mapping) and data.get("type") in geojson.TYPES
    try:
        inside = geojson.read(data, size, name) if typed else coco.read(data, size, name, photo)
    except ConservatorError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        got = f"{name} has something else where data is expected ({error})"
        raise InputError(got, "complete COCO or GeoJSON", "export it anew") from error
    return np.asarray(inside, np.float32)


def _from_picture(source: Any, size: tuple[int, int], name: str) -> Mask:
    if isinstance(source, np.ndarray) and source.dtype == np.bool_:
        source = source.astype(np.uint8) * np.uint8(255)
    picture = open_photo(source)
    coco.same_size(picture.size, size, name)
    weight = picture.samples.max(axis=2) * np.float32(1 / 65535)
    if picture.alpha is not None:
        weight *= picture.alpha * np.float32(1 / 65535)
    if 0 < weight.max() < 2 / 255:
        raise InputError(f"{name} holds 0 and 1 of 255", "0 and 255, or bools", "multiply it by 255")
    return _as_drawn(weight, picture)


def _as_drawn(weight: Mask, picture: Photo) -> Mask:
    """To the number of levels the file has: 255 of 255 is 1, not a rounding below it."""
    levels = np.float32(65535 if picture.depth == 16 else 255)
    return np.asarray(np.rint(weight * levels) / levels, np.float32)


def _filled(weight: Mask, name: str) -> Mask:
    if not weight.any():
        raise InputError(f"{name} is empty", "something inside", "draw the part that is meant, or leave it out")
    return weight
