"""Reading a request's body: bounded, JSON by orjson, then one pydantic model at the edge."""

from __future__ import annotations

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from ..errors import BadRequest, BodyTooLarge
from .disconnect import ClientGone
from .errors import invalid

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model], limit: int) -> Model:
    """The body as a model. limit in bytes.

    Raises BodyTooLarge as soon as more than the limit was announced or has come (what still comes is thrown away by
    the server, never kept), BadRequest for what is no JSON or not the model's, ClientGone."""
    raw = await read_bytes(request, limit)
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(values, dict):
        raise BadRequest("The body must be a JSON object.", code="invalid_json")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False)) from None


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body's bytes, of which at most `limit` are ever held."""
    _check_type(request)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge(limit)
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(limit)
            pieces.append(piece)
    except ClientDisconnect:
        raise ClientGone from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_type(request: Request) -> None:
    """Only JSON: a page in a browser can post plain text to this machine without asking, JSON it cannot (CORS)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise BadRequest(
            f"The body must be JSON: send the header content-type: application/json (it is {kind or 'missing'!r}).",
            code="unsupported_content_type",
        )
