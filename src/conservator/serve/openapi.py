"""The application's description of itself, made exact where the framework's is not."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI

from conservator.serve.problems import Problem


class Described(FastAPI):
    """An application whose OpenAPI document knows how errors look, and that forms hold no null."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for form in (schema for name, schema in schemas.items() if name.endswith("Form")):
                form["properties"] = {name: _without_null(entry) for name, entry in form["properties"].items()}
        assert self.openapi_schema is not None
        return self.openapi_schema

    def methods(self, path: str) -> set[str]:
        """What may be done with a path; the router itself knows only the first of several."""
        known = self.openapi()["paths"].items()
        return {
            method.upper()
            for pattern, operations in known
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path)
            for method in operations
        }


def _without_null(entry: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in entry.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return entry
    return {**{name: value for name, value in entry.items() if name != "anyOf"}, **kinds[0]}
