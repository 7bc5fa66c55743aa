"""What happens to data on its way: to bytes, and to JSON."""

from __future__ import annotations

import contextlib
import copy
import math
import random
from collections.abc import Iterator
from typing import Any

_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 10**9, 2**63, 10**400, 1e308, math.inf, math.nan, "", "whole", "r1",
    "joint", "\0", "\ud800", "é" * 9, "9" * 5000, "../../etc/passwd", [], {}, [[]], [None], {"": None}, [0] * 3000,
)  # fmt: skip


def scrambled(data: bytes, chance: random.Random) -> bytes:
    """Bytes after a few accidents: some changed, pieces lost, doubled or put in, the end missing."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 1, 1, 2, 4, 8, 64)))
        noise = bytes(chance.randrange(256) for _ in range(end - start))
        piece = chance.choice((noise, noise, b"", data[start:end] * 2, b"\xff" * (end - start), b"\0", b'"', b"\r\n"))
        data = data[:start] + piece + data[end:]
    return data if chance.random() < 0.9 else data[: chance.randrange(len(data) + 1)]


def twisted(value: Any, chance: random.Random) -> Any:
    """JSON data with a few of its entries replaced, removed, doubled or moved."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        inner = list(_inner(value))
        if not inner:
            return chance.choice(_ODD)
        parent, key = chance.choice(inner)
        match chance.randrange(4):
            case 0:
                del parent[key]
            case 1:
                other, entry = chance.choice(inner)
                with contextlib.suppress(LookupError):  # taken out just now
                    parent[key] = copy.deepcopy(other[entry])
            case _:
                parent[key] = copy.deepcopy(chance.choice(_ODD))
    return value


def _inner(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside JSON data."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _inner(value[key])
