"""Masks as GeoJSON writes shapes, in pixels: x to the right, y down, from the frame's upper left corner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conservator.errors import InputError
from conservator.masks.coco import inside_frame
from conservator.masks.fill import Flags, Ring, checked, fill, refuse_crossing
from conservator.masks.trace import trace

TYPES = ("FeatureCollection", "Feature", "GeometryCollection", "Polygon", "MultiPolygon")


def read(data: Mapping[str, Any], size: tuple[int, int], name: str) -> Flags:
    """The union of all polygons, bool (H, W); their second and later rings are holes."""
    return fill([_rings(polygon, size, name) for polygon in _polygons(data, name)], size)


def write(masks: Mapping[str, Flags], points: int | None = None) -> dict[str, Any]:
    """A FeatureCollection with a MultiPolygon for each named mask (H, W); at most `points` points each."""
    return {"type": "FeatureCollection", "features": [_feature(n, m, points) for n, m in masks.items()]}


def _rings(polygon: Any, size: tuple[int, int], name: str) -> list[Ring]:
    if not isinstance(polygon, Sequence) or isinstance(polygon, str) or not polygon:
        raise InputError(f"{name}: a polygon without rings", "an outline and its holes", "leave it out")
    rings = [checked(points, name) for points in polygon]
    for ring in rings:
        inside_frame(ring, size, name)
        refuse_crossing(ring, name)
    return rings


def _feature(name: str, inside: Flags, points: int | None) -> dict[str, Any]:
    shapes = [[_closed(ring) for ring in part.rings] for part in trace(inside, points)]
    geometry = {"type": "MultiPolygon", "coordinates": shapes}
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}


def _closed(ring: Ring) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in [*ring, ring[0]]]


def _polygons(data: Any, name: str) -> Iterator[Any]:
    kind = data.get("type") if isinstance(data, Mapping) else None
    try:
        if kind in ("FeatureCollection", "GeometryCollection"):
            for entry in data["features" if kind == "FeatureCollection" else "geometries"]:
                yield from _polygons(entry, name)
        elif kind == "Feature":
            yield from _polygons(data["geometry"], name)
        elif kind in ("Polygon", "MultiPolygon"):
            yield from [data["coordinates"]] if kind == "Polygon" else data["coordinates"]
        else:
            raise InputError(f"{name}: GeoJSON of type {kind!r}", ", ".join(TYPES), "export polygons")
    except (KeyError, TypeError) as error:
        raise InputError(f"{name}: GeoJSON that lacks {error}", "complete GeoJSON", "export it anew") from error
