"""Every error as the client sees it: one table from error class to status, one shape, OpenAI's, for everything.

`{"error": {"message", "type", "param", "code"}}`, the same for our errors, the framework's and the unforeseen ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import (
    ArtifactError,
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    BodyTooLarge,
    ConfigError,
    ContextTooLong,
    DataError,
    LaunchError,
    MissingExtra,
    NotFittedError,
    NotFound,
    PointsmanError,
    StoreError,
    UnknownModel,
)
from .disconnect import ClientGone

CLIENT, SERVER = "invalid_request_error", "server_error"
CLIENT_CLOSED = 499
"""nginx's status for a client that left; nobody reads it but logs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a class of errors is told: HTTP status, OpenAI's type, and the code where the error has none of its own."""

    status: int
    type: str
    code: str | None = None


TABLE: dict[type[PointsmanError], Kind] = {
    BadRequest: Kind(400, CLIENT),
    UnknownModel: Kind(404, CLIENT, "model_not_found"),
    ContextTooLong: Kind(400, CLIENT, "context_length_exceeded"),
    BodyTooLarge: Kind(413, CLIENT, "body_too_large"),
    NotFound: Kind(404, CLIENT, "not_found"),
    BackendRejected: Kind(400, CLIENT, "backend_rejected"),
    BackendTimeout: Kind(504, SERVER, "backend_timeout"),
    BackendUnavailable: Kind(503, SERVER, "backend_unavailable"),
    BackendError: Kind(502, SERVER, "backend_error"),
    StoreError: Kind(503, SERVER, "store_unavailable"),
    LaunchError: Kind(503, SERVER, "backend_unavailable"),
    MissingExtra: Kind(501, SERVER, "not_installed"),
    ConfigError: Kind(500, SERVER, "wrong_configuration"),
    DataError: Kind(500, SERVER, "wrong_data"),
    ArtifactError: Kind(500, SERVER, "wrong_artifact"),
    NotFittedError: Kind(500, SERVER, "not_fitted"),
    PointsmanError: Kind(500, SERVER, "internal_error"),
}
"""The nearest class of an error's ancestry counts."""

INTERNAL = "Something went wrong inside Pointsman; its log says what."


class ErrorDetail(BaseModel):
    """What was wrong."""

    message: str = Field(description="what was wrong, where, and what to do")
    type: str = Field(description="invalid_request_error: the request is at fault; server_error: it is not")
    param: str | None = Field(description="the field of the request that is wrong")
    code: str | None = Field(description="a fixed word for this kind of error")


class ErrorBody(BaseModel):
    """The body of every answer that is an error, as OpenAI's."""

    error: ErrorDetail


def kind_of(error: PointsmanError) -> Kind:
    """The row of the table for an error."""
    if isinstance(error, BackendRejected) and error.status in (301, 302, 303, 307, 308, 401, 403):
        return TABLE[BackendError]  # the model server's address or key is wrong: the owner's fault, not the caller's
    return next(TABLE[c] for c in type(error).__mro__ if c in TABLE)


def error_body(error: Exception) -> dict[str, Any]:
    """The body for an error; one that is not ours says nothing of its inside."""
    if not isinstance(error, PointsmanError):
        return _body(INTERNAL, SERVER, None, "internal_error")
    kind = kind_of(error)
    field = error.field if isinstance(error, BadRequest) else None
    code = error.code if isinstance(error, BadRequest) else None
    return _body(str(error), kind.type, field, code or kind.code)


def error_response(error: Exception) -> Response:
    """The whole answer for an error, `Retry-After` passed on where the model's server gave one."""
    if isinstance(error, ClientGone):
        return Response(status_code=CLIENT_CLOSED)
    status = kind_of(error).status if isinstance(error, PointsmanError) else 500
    headers: dict[str, str] = {}
    if isinstance(error, BackendError) and error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    return json_response(error_body(error), status, headers)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer by orjson."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def invalid(problems: Sequence[ErrorDetails | dict[str, Any]]) -> BadRequest:
    """Pydantic's complaints as ours: the first wrong field, what was wrong with it (of a field that may be of several
    kinds, what was wrong with each), and how many more fields are wrong."""
    first = problems[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    same = [one for one in problems if one["loc"][:1] == first["loc"][:1]]
    problem = "; or ".join(dict.fromkeys(str(one["msg"]).removeprefix("Value error, ") for one in same))
    given: Any = first.get("input")
    if first["type"] == "missing":
        problem = "is missing"
    elif given is not None and not isinstance(given, (dict, list)):
        problem = f"{problem} (it is {given!r:.80})"
    others = len({one["loc"][:1] for one in problems}) - 1
    more = f" (and {others} more)" if others else ""
    return BadRequest(f"{field}: {problem}{more}.", field=field or None)


def _body(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def _ours(_: Request, error: Exception) -> Response:
    return error_response(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [{**one, "loc": one["loc"][1:]} for one in error.errors()]  # without "path" or "query"
    return error_response(invalid(problems))


async def _framework(request: Request, error: Exception) -> Response:
    """The framework's own refusals: no such path, wrong method."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    kind = CLIENT if error.status_code < 500 else SERVER
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    return json_response(_body(message, kind, None, code), error.status_code, dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Answer every error of the application by the table. The unforeseen are answered without their inside; the
    server below (uvicorn) logs them with the traceback."""
    app.add_exception_handler(PointsmanError, _ours)
    app.add_exception_handler(ClientGone, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _ours)
