"""Every error has a row of the table and OpenAI's shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from pointsman import errors
from pointsman.api.disconnect import ClientGone
from pointsman.api.errors import TABLE, ErrorBody, error_response, install, kind_of

ALL = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PointsmanError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_class_of_our_errors_has_its_own_row(kind: type[errors.PointsmanError]) -> None:
    assert kind in TABLE


@pytest.mark.parametrize(
    ("error", "status", "param", "code"),
    [
        (errors.BadRequest("x", field="messages[0].role"), 400, "messages[0].role", None),
        (errors.UnknownModel("a", ("auto", "b")), 404, "model", "model_not_found"),
        (errors.ContextTooLong("x"), 400, "messages", "context_length_exceeded"),
        (errors.BodyTooLarge(10), 413, None, "body_too_large"),
        (errors.NotFound("x"), 404, None, "not_found"),
        (errors.BackendTimeout("x", backend="b"), 504, None, "backend_timeout"),
        (errors.BackendUnavailable("x", backend="b", status=500), 503, None, "backend_unavailable"),
        (errors.BackendRejected("x", backend="b", status=422), 400, None, "backend_rejected"),
        (errors.StoreError("x"), 503, None, "store_unavailable"),
    ],
)
def test_an_error_becomes_its_status_and_openais_body(error: Any, status: int, param: str | None, code: str) -> None:
    response = error_response(error)
    body = ErrorBody.model_validate(orjson.loads(response.body)).error
    assert (response.status_code, body.param, body.code) == (status, param, code)
    assert body.message == str(error)
    assert body.type == ("invalid_request_error" if status < 500 else "server_error")


@pytest.mark.parametrize("status", [301, 401, 403])
def test_a_wrong_key_or_address_of_a_model_server_is_not_the_callers_fault(status: int) -> None:
    assert kind_of(errors.BackendRejected("bad key", backend="b", status=status)).status == 502


def test_the_servers_wish_to_wait_is_passed_on_in_whole_seconds() -> None:
    response = error_response(errors.BackendUnavailable("x", backend="b", retry_after=1.2))
    assert response.headers["retry-after"] == "2"


def test_a_client_that_left_gets_no_body() -> None:
    assert (error_response(ClientGone()).status_code, error_response(ClientGone()).body) == (499, b"")


@pytest.fixture
def app() -> FastAPI:
    """An application with endpoints that fail."""
    made = FastAPI()
    install(made)

    @made.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret words")

    @made.get("/typed")
    async def typed(count: int) -> None: ...

    return made


def test_an_unforeseen_error_says_nothing_of_its_inside(app: FastAPI) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.get("/bug")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert ErrorBody.model_validate(response.json()).error.code == "internal_error"


def test_the_frameworks_own_refusals_have_the_same_shape(app: FastAPI) -> None:
    with TestClient(app) as client:
        told = [client.get("/nowhere"), client.post("/bug"), client.get("/typed?count=many")]
    assert [one.status_code for one in told] == [404, 405, 400]
    bodies = [ErrorBody.model_validate(one.json()).error for one in told]
    assert [body.code for body in bodies] == ["not_found", "method_not_allowed", None]
    assert bodies[2].param == "count"
    assert "'many'" in bodies[2].message
