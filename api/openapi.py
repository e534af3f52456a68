"""The description of the endpoints (/openapi.json, /docs). Bodies are read by body.py, so FastAPI has to be told of
them; each is described by the pydantic model that checks it."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .errors import ErrorBody
from .requests import ChatRequest, FeedbackRequest, RouteRequest

BODIES: tuple[type[BaseModel], ...] = (ChatRequest, RouteRequest, FeedbackRequest)
_REF = "#/components/schemas/{model}"

Answers: TypeAlias = dict[int | str, dict[str, Any]]
"""Answers by status, in FastAPI's form."""

ERRORS: Answers = {
    400: {"model": ErrorBody, "description": "The request is wrong; `param` names the field."},
    404: {"model": ErrorBody, "description": "There is no such model, decision or path."},
    413: {"model": ErrorBody, "description": "The body is over the limit."},
    500: {"model": ErrorBody, "description": "Something went wrong inside; the log says what."},
    502: {"model": ErrorBody, "description": "The model's server answered what cannot be used."},
    503: {"model": ErrorBody, "description": "No model's server, or not the store, can be reached now."},
    504: {"model": ErrorBody, "description": "The model's server took too long."},
}


def described(
    body: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    *,
    streams: bool = False,
    errors: tuple[int, ...] = (400, 413, 500),
    more: Answers | None = None,
) -> dict[str, Any]:
    """FastAPI's arguments for an endpoint that reads `body` and answers with `answer` (streams: also as events).

    errors: the statuses it can fail with; more: further answers."""
    told: Answers = {status: ERRORS[status] for status in errors}
    if answer is not None:
        told[200] = {"model": answer, "description": "The answer."}
        if streams:
            told[200]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    arguments: dict[str, Any] = {"responses": told | (more or {}), "response_model": None}
    if body is not None:
        schema = {"$ref": _REF.format(model=body.__name__)}
        arguments["openapi_extra"] = {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        }
    return arguments


def _without_validation(told: dict[str, Any]) -> None:
    """Take out what FastAPI adds of its own to every path with a parameter: what is wrong is told as 400 here."""
    for path in told["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        told["components"]["schemas"].pop(name, None)


def install(app: FastAPI) -> None:
    """Add the bodies' schemas to the application's description."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, schemas = models_json_schema([(body, "validation") for body in BODIES], ref_template=_REF)
            told["components"]["schemas"] |= schemas["$defs"]
            _without_validation(told)
            app.openapi_schema = told
        return app.openapi_schema

    app.openapi = openapi  # FastAPI's own way: its documentation, "Extending OpenAPI"
