"""Small valid files: one for every way through the decoders, to be broken."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np

from conservator.benchmarks.load import picture

SIDE = 32
"""Of the photographs in pixels: what goes wrong with a header goes wrong with a small one, and soon."""

# Nothing free of GPL writes HEIC: two computed gradients of 32 × 32 pixels, written once, and deflated.
_GLASS_HEIC = (  # 8 bits with alpha, EXIF orientation 6
    b"eNplUkFoE1EQnb+/XVasqVgbpYSQCmroKREUyUGDjd5y1YMIXTe77q+7yWeThniyrVUpgkoVkfagIHiprQgWVBAiIngRvXtRsB481YMQoSWd"
    b"+ZutpA77d2bevPk7MzsAkHBqV6RrCwtQfOFkyfaF6QBoi75dMyGUYbfkBR0bpLBqsE3OCK+iLinkgQMjS/scapQR0BTydwsZQhYKH9hCjuEp"
    b"ClF2lEfRQXRslYgct25loQvU/gcZ5Z1uCHVHTIqaD510tiJkIFHfEtKqIFbH3FHGEYK7ipRcg/WNVgugn49hxv4862PtNhE4MTg9yTda3sTg"
    b"yCnGtkUep6Z6H/z68fT1K8PNpBDi9ILhi0jXC+xdtTmLHxmwKl5QtrwGortAn0Ror6hKuzODfOekLc+kylJh8aFut9vfqO1I49ktRUOocRmG"
    b"gWqHCCo1Gp1U3fUQ9qgVdbf+r7t9YXdE4IqBSVFzB7G57kBzuid+fnFu/mcTC+6bJHCmu69YVAijTx42Jxqj5E0E5Zwv7Us5165buSOZ7NEc"
    b"hkQpp/7aASH9aME0YPqUxntnboCm3+TGLBo4BxHYTocRw0yPeGoiMatUtdSmkTftl0xayUNp9nzn2J/V5a+DK6vXTv6ee3h/6ez3t0988Swz"
    b"/+H9neTxtfF758aRGU+z5Xjzy8eXSwufTlxIvLh6e+F6YSiBET3cn2IRtxbAAI31q1nrdD/bozaTKY8W1rxsB7AJWbupAA=="
)
_DEEP_HEIC = (  # 10 bits
    b"eNpjYGCQSSupLMhIzaxgAILczDRDEDs3MzGNgYGxJje1JJEBAhQzUnKKoGyGgszkEgY0oJSZk58MYrg4MDACIRAwLoDQQKABxMqZmXlpYB5I"
    b"VBTISWWC8jLKkg1BTL6CzJJcuJI/mQVFBUD6TmZBcj6QLgUqc2Zk4QAy5+4AKZL7wPDn769fDAz8zAlAHeIOjDyM//+DFDCDVTADlexickgE"
    b"ymk5MTKiSixQaGS5mbfOK3t2Q1szE0jMCEQwCSQBlbO5MB4sPtAJtEM4OT+nKC85pwIoysvA1gAUEsksLkiFeswBijWScxJBblWAuh1M////"
    b"/wGQZoLRQCxQkFmRCdLIzMXFBaQkMgtyYWEMDDbWRiZm1hYg2yA3JREUxioajOslG957pXWtl/Hp7Ns6m+3I5pP5k2+lvr9tZSj7ga3W5GzA"
    b"DwBx5F8H"
)


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
    return MappingProxyType(found | _extras())


def dng() -> bytes:
    """A camera RAW of 64 rows of 96 sensor values, held upright (EXIF orientation 6)."""
    import tifffile

    tags: list[Any] = [(50706, 1, 4, bytes([1, 4, 0, 0]), True), (50708, 2, 7, "Camera", True)]
    tags += [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
    tags += [(50721, 10, 9, tuple(v for i in range(9) for v in (int(i % 4 == 0), 1)), True), (50778, 3, 1, 21, True)]
    tags += [(271, 2, 6, "Maker", True), (274, 3, 1, 6, True)]
    sensor, coded = np.random.default_rng(0).integers(0, 65536, (64, 96), np.uint16), BytesIO()
    tifffile.imwrite(coded, sensor, photometric=32803, extratags=tags, metadata=None)
    return coded.getvalue()


def _extras() -> dict[str, bytes]:
    """HEIC and camera RAW, as far as what decodes them is installed: else each would be refused alike."""
    found = {"raw": dng()} if find_spec("rawpy") is not None else {}
    if find_spec("pi_heif") is not None:
        packed = {"heic": _GLASS_HEIC, "heic 10": _DEEP_HEIC}
        found |= {name: zlib.decompress(base64.b64decode(data)) for name, data in packed.items()}
    return found
