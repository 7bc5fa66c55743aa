"""Errors over HTTP: application/problem+json (RFC 9457) with what was found, what was wanted and what to do."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from conservator.errors import ConservatorError, InputError, UsageError

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong."""

    type: str
    title: str
    status: int
    error: str
    got: str
    wanted: str
    fix: str


def problem(status: int, error: str, got: str, wanted: str = "", fix: str = "", **headers: str) -> JSONResponse:
    """The answer that tells of an error; underscores in header names become dashes."""
    told = Problem(
        type="about:blank", title=HTTPStatus(status).phrase, status=status, error=error, got=got, wanted=wanted, fix=fix
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(told.model_dump(), status, named, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Of an operation, for OpenAPI; those that any operation may give are added."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    every = sorted({*statuses, 400, 401, 403, 422, 500})
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in every}


def install(app: FastAPI) -> None:
    """Have the application answer every error as a problem."""
    app.add_exception_handler(ConservatorError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def of_error(error: ConservatorError) -> JSONResponse:
    """The answer to an error raised on purpose."""
    status = getattr(error, "status", 422 if isinstance(error, InputError | UsageError) else 500)
    wait = getattr(error, "retry_after", 1)
    headers = {"Retry_After": str(wait)} if status in (429, 503) else {}
    return problem(status, type(error).__name__, error.got, error.wanted, error.fix, **headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ConservatorError)
    return of_error(error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    value = first.get("input")
    # Whole forms and files are nobody's business here.
    shown = f"{where}={value!r}"[:200] if isinstance(value, str | int | float | bool) else where
    return problem(422, "UsageError", shown, first["msg"], "see /openapi.json")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405 and (known := request.app.methods(request.url.path)):
        headers["Allow"] = ", ".join(sorted(known))
    got = f"{request.method} {request.url.path[:200]}" if error.status_code in (404, 405) else str(error.detail)
    return problem(error.status_code, "UsageError", got, "a request as in /openapi.json", **headers)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    return problem(500, "InternalError", f"a bug in Conservator ({type(error).__name__})", fix="report it")
