"""Run-length encoding as COCO has it: runs of 0 and 1 in turn, column by column, plain or as a string.

The string is pycocotools' (maskApi.c, rleToString): each count, less the one two before it from the third on, in groups
of five bits, the lowest first; bit 6 says that more follow, and 48 is added to make it printable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from conservator.errors import InputError
from conservator.masks.fill import Flags

_BASE, _MORE, _SIGN, _BITS = 48, 0x20, 0x10, 5
_LONGEST = 13  # characters of a count: more cannot be a number of pixels


def encode(inside: Flags, *, compressed: bool = True) -> dict[str, Any]:
    """{"size": [H, W], "counts": string or list} of a mask bool (H, W)."""
    column_wise = inside.ravel(order="F")
    edges = np.flatnonzero(np.diff(column_wise)) + 1
    counts = [int(n) for n in np.diff(np.concatenate([[0], edges, [column_wise.size]]))]
    if column_wise[:1].any():
        counts.insert(0, 0)
    return {"size": list(inside.shape), "counts": to_string(counts) if compressed else counts}


def decode(rle: Mapping[str, Any], name: str) -> Flags:
    """The mask bool (H, W) of an RLE whose size is known to be wanted; InputError when the counts do not fit it."""
    height, width = size_of(rle, name)
    counts = rle["counts"]
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    numbers = from_string(counts, name) if isinstance(counts, str) else counts
    if not isinstance(numbers, Sequence) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise InputError(f"{name}: RLE counts that are not whole numbers ≥ 0", "COCO's counts", "encode it anew")
    if sum(numbers) != height * width:
        got, wanted = f"{name}: RLE of {sum(numbers)} pixels", f"{height * width} ({width}×{height})"
        raise InputError(got, wanted, "encode it anew")
    values = np.arange(len(numbers)) % 2 == 1
    return np.repeat(values, numbers).reshape(width, height).T


def size_of(rle: Mapping[str, Any], name: str) -> tuple[int, int]:
    """(H, W) as an RLE states it."""
    size = rle.get("size")
    if not isinstance(size, Sequence) or len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise InputError(f"{name}: RLE of size {size!r}", "[height, width]", "encode it anew")
    return int(size[0]), int(size[1])


def to_string(counts: Sequence[int]) -> str:
    """Counts as COCO's string."""
    deltas = [*counts[:3], *(n - before for before, n in zip(counts[1:], counts[3:], strict=False))]
    return "".join(map(_characters, deltas))


def from_string(text: str, name: str) -> list[int]:
    """Counts from COCO's string; InputError when it is cut short or holds other characters."""
    codes = [ord(c) - _BASE for c in text]
    ends = [i for i, code in enumerate(codes) if not code & _MORE]
    starts = [0, *(end + 1 for end in ends)]
    if not all(0 <= code < 64 for code in codes) or starts[-1] != len(codes):
        raise InputError(f"{name}: RLE string that COCO does not write", "a complete string", "encode it anew")
    if any(b - a > _LONGEST for a, b in pairwise(starts)):
        raise InputError(f"{name}: RLE with a run longer than any picture", "COCO's counts", "encode it anew")
    counts: list[int] = []
    for start, end in pairwise(starts):
        delta = _number(codes[start:end])
        counts.append(delta + counts[-2] if len(counts) > 2 else delta)
    return counts


def _characters(value: int) -> str:
    """One number, sign included."""
    text = ""
    while True:
        low, value = value & 0x1F, value >> _BITS
        more = value != -1 if low & _SIGN else value != 0
        text += chr(low + (_MORE if more else 0) + _BASE)
        if not more:
            return text


def _number(codes: Sequence[int]) -> int:
    value = sum((code & 0x1F) << (_BITS * i) for i, code in enumerate(codes))
    return value - (1 << (_BITS * len(codes))) if codes[-1] & _SIGN else value
