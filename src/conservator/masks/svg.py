"""Masks as SVG paths: read from a drawing or from path data alone, curves and arcs included; written as straight lines.

SVG says itself how outlines that cross are filled ("nonzero" unless `fill-rule` says "evenodd").
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from conservator.errors import InputError
from conservator.masks.coco import inside_frame, same_size
from conservator.masks.fill import Flags, Ring, checked, fill
from conservator.masks.trace import trace

Point = complex  # x + iy: half the lines of plane geometry

_LETTERS = "MmLlHhVvCcSsQqTtAaZz"
_TAKES = {"m": 2, "l": 2, "h": 1, "v": 1, "c": 6, "s": 4, "q": 4, "t": 2, "a": 7, "z": 0}
_TOKEN = re.compile(rf"[{_LETTERS}]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ALONE = re.compile(r"\s*[Mm]\s*[-+.\d]")
_SPACE = "{http://www.w3.org/2000/svg"
_SILENT = frozenset({"metadata", "title", "desc"})
_STYLE = re.compile(r"([\w-]+)\s*:\s*([^;]+)")
_MOVES = frozenset({"translate", "rotate", "scale", "offset-path", "offset"})
_HIDES = frozenset({"display", "visibility", "clip-path", "mask", "filter", "opacity", "fill-opacity"})
_SHOWN = frozenset({"inline", "block", "visible", "none", "1", "inherit"})
_PIECES = 32  # straight pieces of a curve: within 0.1 px of one that spans a thousand


def is_path(text: str) -> bool:
    """True for path data such as "M 0 0 L 9 0 L 9 9 Z"."""
    return _ALONE.match(text) is not None


def read(text: str, size: tuple[int, int], name: str) -> Flags:
    """What the paths of a drawing, or path data, cover: bool (H, W). UsageError when a viewBox is not the photo's."""
    total = np.zeros(size, np.bool_)
    for data, rule in [(text, "nonzero")] if is_path(text) else _paths(text, size, name):
        rings = rings_of(data, name)
        for ring in rings:
            inside_frame(ring, size, name)
        total |= fill([rings], size, nonzero=rule != "evenodd")
    return total


def write(masks: Mapping[str, Flags], points: int | None = None) -> str:
    """A drawing with a path for each named mask (H, W); at most `points` points each."""
    height, width = next(iter(masks.values())).shape
    head = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}"}
    root = ElementTree.Element("svg", head)
    for name, inside in masks.items():
        ElementTree.SubElement(root, "path", {"id": name, "fill-rule": "evenodd", "d": path(inside, points)})
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def path(inside: Flags, points: int | None = None) -> str:
    """Path data of a mask, to be filled by the even-odd rule."""
    rings = [ring for part in trace(inside, points) for ring in part.rings]
    return " ".join("M" + " ".join(f"{x:g},{y:g}" for x, y in np.round(ring, 2)) + "Z" for ring in rings)


def rings_of(data: str, name: str) -> list[Ring]:
    """Path data as closed rings."""
    left = _TOKEN.sub("", data).replace(",", "").strip()
    if left:
        raise InputError(f"{name}: {left[:20]!r} in an SVG path", f"commands {_LETTERS} and numbers", "export it anew")
    outlines: list[list[Point]] = []
    for command, points in _segments(_TOKEN.findall(data), name):
        if command == "m":
            outlines.append([])
        elif not outlines:
            raise InputError(f"{name}: an SVG path that starts without M", "M x y first", "export it anew")
        outlines[-1] += points
    rings = (np.array([(p.real, p.imag) for p in outline]) for outline in outlines if len(outline) > 2)
    return [checked(ring, name) for ring in rings]


def _paths(text: str, size: tuple[int, int], name: str) -> Iterator[tuple[str, str]]:
    if "<!ENTITY" in text:
        raise InputError(f"{name}: an SVG with entities", "plain SVG", "export it as plain SVG")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{name}: neither SVG nor path data ({error})", "an SVG drawing", "export it anew") from error
    if "viewBox" in root.attrib:
        _check_view(root.attrib["viewBox"], size, name)
    if _tag(root) != "svg":
        raise InputError(f"{name}: <{_tag(root)}>", "an SVG drawing", "export it anew")
    found = list(_drawn_by(root, "nonzero", name))
    if not found:
        raise InputError(f"{name}: an SVG without a path", "at least one <path>", "turn the shapes into paths")
    yield from found


def _drawn_by(element: ElementTree.Element, rule: str, name: str) -> Iterator[tuple[str, str]]:
    """Path data and fill rule of what an element draws; InputError for whatever else it may show, move or hide."""
    styled = {key.lower(): value.strip() for key, value in _STYLE.findall(element.get("style", ""))}
    looks = {**element.attrib, **styled}
    if "transform" in looks or _MOVES & set(looks):
        raise InputError(f"{name}: an SVG with transforms", "paths in pixels", "flatten the transforms")
    for key in _HIDES & set(looks):
        if looks[key] not in _SHOWN or (key, looks[key]) == ("display", "none"):
            raise InputError(f"{name}: an SVG with {key} {looks[key][:40]!r}", "paths that show", "leave it out")
    rule = rule if looks.get("fill-rule", "inherit") == "inherit" else looks["fill-rule"]
    if _tag(element) == "path" and "d" in element.attrib:
        yield element.attrib["d"], rule
    for part in element:
        space, tag = part.tag.rpartition("}")[0], _tag(part)
        if space not in ("", _SPACE) or tag in _SILENT or (tag == "defs" and not len(part)):
            continue  # what editors note, which shows nowhere
        if tag not in ("g", "path"):
            raise InputError(f"{name}: an SVG with <{tag}>", "<path> alone, or in <g>", "turn the shapes into paths")
        yield from _drawn_by(part, rule, name)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _check_view(box: str, size: tuple[int, int], name: str) -> None:
    try:
        left, top, width, height = (float(n) for n in re.split(r"[\s,]+", box.strip()))
        whole = (round(height), round(width))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name}: viewBox {box!r}", "four numbers", "export it anew") from error
    if (left, top) != (0, 0):
        raise InputError(f"{name}: a viewBox that starts at ({left:g}, {top:g})", "one at (0, 0)", "move the drawing")
    same_size(whole, size, name)


def _segments(tokens: list[str], name: str) -> Iterator[tuple[str, list[Point]]]:
    """Each command in lower case with the points it adds."""
    here = start = 0j
    handle: tuple[str, Point] = ("", 0j)  # control point that a smooth curve mirrors
    for command, numbers in _commands(tokens, name):
        low = command.lower()
        origin = here if command.islower() else 0j
        points, control = _drawn(low, numbers, here, origin, handle)
        if low == "z":
            points = []
            here = start
        else:
            here = points[-1]
        start = here if low == "m" else start
        handle = (low, control)
        yield low, points


def _commands(tokens: list[str], name: str) -> Iterator[tuple[str, list[float]]]:
    """Commands with as many numbers as they take; numbers left over repeat the command."""
    command, numbers = "", list[float]()
    for token in [*tokens, "end"]:
        letter = token in _LETTERS or token == "end"
        if not letter:
            numbers.append(float(token))
        takes = _TAKES.get(command.lower(), 0)
        if (letter and numbers) or (not letter and not takes):
            raise InputError(f"{name}: {command or 'numbers'} with {len(numbers)} numbers left", "a complete SVG path")
        if not letter and len(numbers) == takes:
            yield command, numbers
            command, numbers = {"m": "l", "M": "L"}.get(command, command), []
        elif letter:
            command = token
            if command in "Zz":
                yield command, []


def _drawn(
    low: str, numbers: list[float], here: Point, origin: Point, handle: tuple[str, Point]
) -> tuple[list[Point], Point]:
    """Points of one command and the control point it leaves."""
    if low in "hv":
        (far,) = numbers
        end = complex(origin.real + far, here.imag) if low == "h" else complex(here.real, origin.imag + far)
        return [end], end
    if low == "a":
        end = origin + complex(*numbers[5:])
        rx, ry, turn, large, sweep = numbers[:5]
        return _arc(here, end, rx, ry, turn, large != 0, sweep != 0), end
    pairs = [origin + complex(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    if low in "st":
        mirrored = 2 * here - handle[1] if handle[0] in ("cs" if low == "s" else "qt") and handle[0] else here
        pairs.insert(0, mirrored)
    if len(pairs) < 2:
        return pairs, pairs[-1] if pairs else here
    return _bezier(np.array([here, *pairs])), pairs[-2]


def _bezier(points: NDArray[np.complex128]) -> list[Point]:
    """A Bézier curve of any degree by de Casteljau's algorithm, without its start."""
    t = np.linspace(0, 1, _PIECES + 1)[1:, None]
    level = np.broadcast_to(points, (len(t), len(points)))
    while level.shape[1] > 1:
        level = level[:, :-1] * (1 - t) + level[:, 1:] * t
    return [complex(p) for p in level[:, 0]]


def _arc(here: Point, end: Point, rx: float, ry: float, turn: float, large: bool, sweep: bool) -> list[Point]:
    """An elliptical arc by its centre (SVG 1.1, appendix F.6), without its start."""
    rx, ry = abs(rx), abs(ry)
    if here == end or not rx or not ry:
        return [end]
    axis = complex(math.cos(math.radians(turn)), math.sin(math.radians(turn)))
    half = (here - end) / 2 / axis
    unit = complex(half.real / rx, half.imag / ry)
    grow = max(1.0, abs(unit))
    unit /= grow
    centre = unit * -1j * math.sqrt(max(0.0, 1 / abs(unit) ** 2 - 1)) * (1 if large != sweep else -1)
    first, last = unit - centre, -unit - centre
    angle = float(np.angle(last / first))
    if sweep and angle < 0:
        angle += 2 * math.pi
    elif not sweep and angle > 0:
        angle -= 2 * math.pi
    turned = [first * np.exp(1j * angle * k / _PIECES) + centre for k in range(1, _PIECES + 1)]
    middle = (here + end) / 2
    return [complex(p.real * rx, p.imag * ry) * grow * axis + middle for p in turned]
