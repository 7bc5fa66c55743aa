"""ICC profiles for pictures that say their colour space in a few numbers instead (PNG, AVIF and HEIC can).

Only profiles survive the trip to every container, so those numbers become one: matrix and curve, ICC.1:2022 (v4.4).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError

Chromaticities = tuple[tuple[float, float], ...]
"""(x, y) of white, red, green and blue."""

_D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_PRIMARIES: dict[int, Chromaticities] = {  # ITU-T H.273, table 2
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # DCI-P3
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # H.273, table 3; all others that are not HDR look like sRGB's curve
_HDR = {16: "PQ", 18: "HLG"}

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # of the parametric curve, type 3 (IEC 61966-2-1)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def coded_profile(primaries: int, transfer: int, gray: bool = False) -> bytes | None:
    """The profile for code points of ITU-T H.273 (PNG cICP, AVIF and HEIC nclx); None when they mean sRGB.

    InputError for HDR transfer functions: their values need tone mapping before anybody can look at them.
    """
    if transfer in _HDR:
        raise InputError(f"an HDR picture ({_HDR[transfer]})", "standard dynamic range", "export it as SDR")
    if transfer not in _GAMMAS and (primaries not in _PRIMARIES or gray):
        return None
    curve = (_GAMMAS[transfer],) if transfer in _GAMMAS else SRGB_CURVE
    return profile(curve, None if gray else _PRIMARIES.get(primaries, SRGB))


def measured_profile(gamma: float | None, chromaticities: Chromaticities | None, gray: bool = False) -> bytes | None:
    """The profile for PNG's gAMA (as a decoding exponent, such as 2.2) and cHRM; None when they mean sRGB."""
    ordinary = gamma is None or abs(gamma - 2.2) < 0.05
    distance = 0.0 if chromaticities is None or gray else np.abs(np.subtract(chromaticities, SRGB)).max()
    if ordinary and distance < 0.005:
        return None
    curve = SRGB_CURVE if gamma is None or ordinary else (gamma,)
    return profile(curve, None if gray else chromaticities or SRGB)


def profile(curve: Sequence[float], chromaticities: Chromaticities | None) -> bytes:
    """A display profile: one parametric curve (type 0 or 3), and primaries, or None for grey."""
    white = _xyz(chromaticities[0]) if chromaticities else _D50
    adaptation = _adaptation(white)
    tags = {
        b"desc": _text("matrix and curve" if chromaticities else "grey curve"),
        b"cprt": _text("no copyright, use freely"),
        b"wtpt": _numbers(b"XYZ ", _D50),
        b"chad": _numbers(b"sf32", adaptation),
    }
    if chromaticities:
        columns = adaptation @ _matrix(chromaticities)
        tags |= {name: _numbers(b"XYZ ", columns[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    kind = struct.pack(">HH", 0 if len(curve) == 1 else 3, 0)
    for name in (b"rTRC", b"gTRC", b"bTRC") if chromaticities else (b"kTRC",):
        tags[name] = _numbers(b"para", curve, kind)
    return _assembled(tags, b"RGB " if chromaticities else b"GRAY")


def _xyz(xy: tuple[float, float]) -> NDArray[np.float64]:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _matrix(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB to XYZ: the primaries scaled so that they add up to white."""
    white, *primaries = (_xyz(xy) for xy in chromaticities)
    columns = np.stack(primaries, axis=1)
    return np.asarray(columns * np.linalg.solve(columns, white))


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bradford adaptation from a white to D50, the white of all profiles (ICC.1 annex E)."""
    gain = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ gain @ _BRADFORD)


def _numbers(kind: bytes, values: Sequence[float] | NDArray[np.float64], head: bytes = b"") -> bytes:
    fixed: bytes = np.rint(np.asarray(values).ravel() * 65536).astype(">i4").tobytes()
    return kind + b"\0\0\0\0" + head + fixed


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _assembled(tags: dict[bytes, bytes], space: bytes) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, bodies = [struct.pack(">I", len(tags))], []
    for name, body in tags.items():
        table.append(struct.pack(">4sII", name, at, len(body)))
        bodies.append(body + b"\0" * (-len(body) % 4))
        at += len(bodies[-1])
    header = struct.pack(">I4sI4s4s4s12s4s", at, b"\0\0\0\0", 0x04400000, b"mntr", space, b"XYZ ", b"\0" * 12, b"acsp")
    illuminant: bytes = np.rint(_D50 * 65536).astype(">i4").tobytes()
    header = (header.ljust(68, b"\0") + illuminant).ljust(128, b"\0")
    return b"".join([header, *table, *bodies])
