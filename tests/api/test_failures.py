"""Model servers that fail, clients that leave, a database that breaks: what the client gets and what is kept."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest

from pointsman.api.errors import ErrorBody


def told(response: Any) -> Any:
    """The error of an answer, its shape checked."""
    return ErrorBody.model_validate(response.json()).error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["broken", "busy", "empty"])
def test_a_route_that_fails_before_its_first_token_gives_way_to_another(
    stubbed: Callable[..., Any], kind: str, stream: bool
) -> None:
    """The client sees one good answer; the failed attempt is in the record and in the count."""
    with stubbed(kind, "good") as proxy:
        response = proxy.ask(stream=stream)
        record = proxy.get(f"/v1/decisions/{response.headers['x-pointsman-decision-id']}").json()
    assert response.status_code == 200
    assert "Grüße" in response.text
    assert response.headers["x-pointsman-route"] == "r-good"
    assert response.headers["x-pointsman-attempts"] == "2"
    assert f"r-{kind} failed" in response.headers["x-pointsman-reason"]
    assert [bool(attempt["error"]) for attempt in record["attempts"]] == [True, False]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("broken", 503, "backend_unavailable"),
        ("busy", 503, "backend_unavailable"),
        ("refuses", 400, "backend_rejected"),
        ("locked", 502, "backend_error"),
    ],
)
def test_a_route_asked_for_by_name_fails_with_its_status_before_the_stream(
    stubbed: Callable[..., Any], kind: str, status: int, code: str, stream: bool
) -> None:
    with stubbed(kind, "good") as proxy:
        response = proxy.ask(model=kind, stream=stream)
    assert (response.status_code, told(response).code) == (status, code)
    assert response.headers["content-type"] == "application/json"
    assert response.headers.get("retry-after") == ("7" if kind == "busy" else None)


def test_a_stream_that_breaks_after_its_first_token_ends_with_an_error_event(stubbed: Callable[..., Any]) -> None:
    """Never a silent end: an event with the error and no [DONE], for which OpenAI's client raises."""
    with stubbed("cut", "good") as proxy:
        response = proxy.ask(model="cut", stream=True)
        events = [line for line in response.text.split("\n\n") if line]
        with openai.OpenAI(base_url=f"{proxy.base}/v1", api_key="none", max_retries=0) as client:
            stream = client.chat.completions.create(
                model="cut", messages=[{"role": "user", "content": "x"}], stream=True
            )
            with pytest.raises(openai.APIError, match="broke off"):
                list(stream)
        record = proxy.get(f"/v1/decisions/{response.headers['x-pointsman-decision-id']}").json()
    assert response.status_code == 200
    assert "half an ans" in events[-2]
    assert events[-1].startswith('data: {"error":{"message":')
    assert "[DONE]" not in response.text
    assert record["attempts"][-1]["error"]


def test_an_answer_that_breaks_and_is_not_streamed_is_an_error(stubbed: Callable[..., Any]) -> None:
    with stubbed("cut") as proxy:
        response = proxy.ask(model="cut")
    assert (response.status_code, told(response).code) == (503, "backend_unavailable")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["silent", "endless"])
def test_a_client_that_leaves_ends_the_generation_upstream(
    stubbed: Callable[..., Any], upstream: Any, wait_until: Callable[..., Any], kind: str, stream: bool
) -> None:
    """Before the first token and after it, streamed or not; the attempt is recorded as cancelled."""
    with stubbed(kind) as proxy:
        client = _half_asked(proxy.base, {"model": kind, "stream": stream})
        wait_until(lambda: upstream.bodies, "the model is asked")
        if stream and kind == "endless":
            assert client.recv(200).startswith(b"HTTP/1.1 200")
        assert not upstream.left.is_set()
        client.close()
        assert upstream.left.wait(5), "the model's server still generates"
        recorded = proxy.router.store
        wait_until(lambda: recorded.flush() and recorded.stats().written, "the run is recorded")
        (record,) = recorded.records()
    assert record.attempts[-1].finish == "cancelled"


def test_a_client_that_leaves_frees_the_llama_cpp_slot(
    proxy: Any, engines: Any, wait_until: Callable[..., Any]
) -> None:
    """Seen at the real engine: busy while the client listens, idle soon after it left, streamed or not."""
    at = engines["smollm2"]
    key = {"authorization": f"Bearer {at.api_key}"}

    with httpx.Client(base_url=at.url.removesuffix("/v1"), headers=key) as engine:

        def busy() -> int:
            return sum(slot["is_processing"] for slot in engine.get("/slots").json())

        for stream in (False, True):
            wait_until(lambda: busy() == 0, "the engine is idle")
            body = {"model": "chat", "stream": stream, "max_tokens": 1900, "ignore_eos": True}
            client = _half_asked(proxy.base, body)
            wait_until(lambda: busy() == 1, "the engine works")
            if stream:
                assert client.recv(200).startswith(b"HTTP/1.1 200")
            client.close()
            wait_until(lambda: busy() == 0, "the engine has stopped", 3)


def test_a_database_that_becomes_unusable_fails_no_request_and_losses_are_counted(
    stubbed: Callable[..., Any], tmp_path: Any, wait_until: Callable[..., Any]
) -> None:
    """Another process locks it: answers go on, what is queued can be read and spoken of, /ready stays 200, says what is
    wrong and counts; when the lock goes, what waited is written."""
    store = {"url": f"sqlite:///{tmp_path / 'x.db'}?timeout=0.1", "queue_capacity": 3}
    with stubbed("good", store=store) as proxy:
        proxy.ask()
        assert proxy.router.store.flush()
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answers = [proxy.ask() for _ in range(8)]
            assert {answer.status_code for answer in answers} == {200}
            wait_until(lambda: proxy.get("/ready").json()["store"]["failing"], "the store says that it fails")
            ready = proxy.get("/ready")
            assert (ready.status_code, ready.json()["store"]["dropped"]) == (200, 5)
            ids = [answer.headers["x-pointsman-decision-id"] for answer in answers]
            assert proxy.get(f"/v1/decisions/{ids[0]}").status_code == 200
            assert proxy.get(f"/v1/decisions/{ids[-1]}").status_code == 404  # dropped, and nowhere else
        wait_until(lambda: proxy.get("/ready").json()["store"]["depth"] == 0, "what waited is written")
        assert proxy.get("/ready").json()["store"]["failing"] is None
        assert proxy.get(f"/v1/decisions/{ids[0]}").status_code == 200


def _half_asked(base: str, fields: dict[str, Any]) -> socket.socket:
    """A client that has sent its request and not read the answer."""
    body = httpx.Request("POST", base, json={"messages": [{"role": "user", "content": "Tell a long story."}], **fields})
    host, port = base.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    client.sendall(f"{head}content-length: {len(body.content)}\r\n\r\n".encode() + body.content)
    return client
