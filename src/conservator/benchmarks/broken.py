"""Broken input of every kind that Conservator reads, each case made from its number alone.

python -m conservator.benchmarks.broken TARGET SEED FIRST LAST     tries cases FIRST … LAST - 1 in this process and
                                                                   tells each, before and after, as a line of JSON
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import math
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from conservator.benchmarks.load import picture
from conservator.errors import ConservatorError

Case: TypeAlias = Callable[[random.Random], None]
"""Makes one broken input and gives it to what reads it; raises ConservatorError when that refuses it."""

SIDE = 32
"""Of the photographs in pixels: what goes wrong with a header goes wrong with a small one, and soon."""

MOST_PIXELS = 10**6
"""A header that was changed may promise many more."""

_CARRIED_OUT = 0.02
"""Share of the records, of those that can be read, that are replayed: networks take a thousand times as long."""

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


@contextmanager
def _photographs() -> Iterator[Case]:
    from conservator.photo import open_photo

    files = list(pictures().values())

    def case(chance: random.Random) -> None:
        open_photo(scrambled(chance.choice(files), chance), max_pixels=MOST_PIXELS)

    yield case


def pictures() -> Mapping[str, bytes]:
    """One small valid file for every way through the decoders."""
    from PIL import Image

    from conservator.photo import encode, open_photo

    noise = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE, 4), np.uint16)
    photo, deep, glass = open_photo(picture(SIDE, 0)), open_photo(noise[..., :3]), open_photo(noise)
    found = {kind: encode(photo, kind) for kind in ("jpeg", "png", "webp", "tiff", "avif", "bmp")}
    found |= {f"{kind} 16": encode(deep, kind) for kind in ("png", "tiff")}
    found |= {f"{kind} alpha": encode(glass, kind) for kind in ("png", "webp", "tiff", "avif")}
    image = Image.open(BytesIO(found["png"]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A Camera Maker"
    for name, kind, mode, options in (
        ("progressive", "JPEG", "RGB", {"progressive": True, "exif": exif}),
        ("cmyk", "JPEG", "CMYK", {}),
        ("palette", "PNG", "P", {"transparency": 1}),
        ("lzw", "TIFF", "RGB", {"compression": "tiff_lzw", "exif": exif}),
        ("deflated", "TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("grey", "BMP", "L", {}),
    ):
        coded = BytesIO()
        image.convert(mode).save(coded, kind, **options)
        found[name] = coded.getvalue()
    return MappingProxyType(found)


@contextmanager
def _masks() -> Iterator[Case]:
    from conservator.masks import encode_masks, read_mask

    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[5:20, 8:28], mask[9:14, 12:20] = 1, 0
    kinds = [(".json", "rle"), (".json", "counts"), (".json", "polygons"), (".geojson", "rle")]
    data = [json.loads(encode_masks({"it": mask}, suffix, style=style)) for suffix, style in kinds]  # type: ignore[arg-type]
    files = [json.dumps(one).encode() for one in data] + [encode_masks({"it": mask}, kind) for kind in (".svg", ".png")]
    files += [b"M10 5h20v20h-20z", b"<svg viewBox='0 0 60 40'><path d='M10,5 C30,5 30,25 10,25 A5 5 0 1 1 9 9'/></svg>"]

    def case(chance: random.Random) -> None:
        if chance.random() < 0.5:
            read_mask(twisted(chance.choice(data), chance), mask.shape)
        else:
            read_mask(scrambled(chance.choice(files), chance), mask.shape)

    yield case


@contextmanager
def _records() -> Iterator[Case]:
    import conservator

    photo, mask = picture(SIDE, 0), np.ones((SIDE, SIDE), np.float32)
    good = conservator.restore(photo, mask=mask, places={"it": mask}).record.to_dict()
    slim = {name: good[name] for name in ("schema", "input", "output", "call", "plan")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"

        def case(chance: random.Random) -> None:
            # What is read of a record is the slim part; in the whole one most accidents happen where nobody looks.
            twist = chance.random() < 0.7
            text = json.dumps(twisted(slim if chance.random() < 0.9 else good, chance) if twist else slim).encode()
            file.write_bytes(text if twist else scrambled(text, chance))
            record = conservator.Record.load(file)
            if chance.random() < _CARRIED_OUT:
                conservator.replay(record, photo, mask, places={"it": mask})

        yield case


@contextmanager
def _plans() -> Iterator[Case]:
    from conservator.agents.planner import checked, read
    from conservator.photo import open_photo
    from conservator.plan import Step
    from conservator.session import Session

    session = Session(open_photo(picture(2 * SIDE, 0)))
    step = {"tool": "joint", "treats": ["noise"], "regions": ["r1"], "strength": 0.5, "reason": "it is noisy"}
    plan, whole = {"steps": [step, step | {"regions": ["whole"]}]}, Step("joint", ("noise",), ("r1",)).to_dict()
    texts = [f"Here it is:\n```json\n{json.dumps(plan)}\n```", "tool: joint\ntreats: noise\nregions: r1\nstrength: 0.5"]

    def case(chance: random.Random) -> None:
        if chance.random() < 0.5:
            said = json.dumps(twisted(plan, chance))
        else:
            said = scrambled(chance.choice(texts).encode(), chance).decode(errors="replace")
        steps = [Step.from_dict(twisted(whole, chance))] if chance.random() < 0.3 else checked(read(said), session)
        for one in steps:
            session.tool(one).checked(one.options)
            session.plan_maps(one)

    yield case


@dataclass(frozen=True)
class Request:
    """A valid one, whose body is still whole."""

    path: str
    headers: Mapping[str, str]
    body: bytes


_BOUNDARY = "----boundary"
_MCP = "2026-07-28"


def requests() -> list[Request]:
    """A request of every kind that has a body."""
    fields = {"strength": "0.5", "instruction": "keep the grain", "settings": "{}", "prefer": "joint"}
    photo = base64.b64encode(picture(SIDE, 0)).decode()
    return [
        _form("/v1/jobs", fields),
        _form("/v1/diagnose", {}),
        _call("list_tools", {"treating": ["noise"]}),
        _call("treat", {"photo": photo, "tool": "joint", "options": {"strength": 0.5}}),
    ]


def _form(path: str, fields: Mapping[str, str]) -> Request:
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    photo = f'{head}"photo"; filename="a.png"\r\n\r\n'.encode() + picture(SIDE, 0)
    body = "".join(parts).encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Request(path, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}, body)


def _call(tool: str, arguments: Mapping[str, Any]) -> Request:
    place = "io.modelcontextprotocol/"
    meta = {f"{place}protocolVersion": _MCP, f"{place}clientCapabilities": {}}
    asked = {"name": tool, "arguments": arguments, "_meta": meta}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"MCP-Protocol-Version": _MCP, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    return Request("/mcp", headers, json.dumps(call).encode())


@contextmanager
def _bodies() -> Iterator[Case]:
    import httpx2

    from conservator.benchmarks.loopback import Loopback

    known = requests()
    with (
        tempfile.TemporaryDirectory() as folder,
        # Without a place in the queue, what is whole by chance is turned away like the rest.
        Loopback(Path(folder), "--max-queue", 0, "--max-megabytes", 1) as server,
        httpx2.Client(base_url=server.url, timeout=60.0, trust_env=False) as client,
    ):

        def case(chance: random.Random) -> None:
            whole = chance.choice(known)
            answer = client.post(whole.path, content=scrambled(whole.body, chance), headers=whole.headers)
            if answer.status_code >= 500:
                raise RuntimeError(f"{whole.path} answered {answer.status_code}: {answer.text[:200]}")
            if answer.is_error:
                raise ConservatorError(answer.text[:200])

        yield case
        told = [line for line in server.log if line["level"] in ("error", "critical")]
        if server.process.poll() is not None or told:
            raise RuntimeError(f"the server died or complained: {told[:3]}")


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Case]]] = MappingProxyType(
    {"photographs": _photographs, "masks": _masks, "records": _records, "plans": _plans, "bodies": _bodies}
)


def main(target: str, seed: str, first: str, last: str) -> None:
    """Try cases in turn."""
    with TARGETS[target]() as case:
        for number in range(int(first), int(last)):
            print(f'{{"begun": {number}}}', flush=True)
            print(json.dumps(_tried(case, random.Random(f"{seed} {target} {number}"))), flush=True)


def _tried(case: Case, chance: random.Random) -> dict[str, str]:
    try:
        case(chance)
    except ConservatorError as error:
        return {"end": "refused"} if error.got else {"failed": f"an error that says nothing: {error!r}"}
    except Exception:
        return {"failed": "".join(traceback.format_exc(limit=-4))}
    return {"end": "taken"}


if __name__ == "__main__":
    main(*sys.argv[1:])
