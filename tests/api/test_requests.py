"""Bad input over HTTP: each gets the stated clear answer in OpenAI's shape, and nothing reaches a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from pointsman.api.errors import ErrorBody

USER = {"role": "user", "content": "3+4"}
PLAIN = {"model": "small", "messages": [USER]}


def nested(levels: int) -> Any:
    """Objects in each other."""
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


WRONG: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    # what: (the body, status, param, words of the message)
    "no messages": ({"model": "auto"}, 400, "messages", "missing"),
    "empty messages": ({"messages": []}, 400, "messages", "at least one"),
    "blank messages": ({"messages": [{"role": "user", "content": "  "}]}, 400, "messages", "empty"),
    "messages of the wrong kind": ({"messages": "hello"}, 400, "messages", "list"),
    "unknown role": ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages[0].role", "assistant"),
    "content missing": ({"messages": [{"role": "user"}]}, 400, "messages[0].content", "missing"),
    "content a number": ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content", "text"),
    "a part that is no object": ({"messages": [{**USER, "content": ["x"]}]}, 400, "messages[0].content[0]", "object"),
    "a part's text a number": (
        {"messages": [{**USER, "content": [{"type": "text", "text": 5}]}]},
        400,
        "messages[0].content",
        "text",
    ),
    "tool calls in words": (
        {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": "zzz"}]},
        400,
        "messages[1].tool_calls",
        "list",
    ),
    "metadata without end": ({**PLAIN, "metadata": nested(300)}, 400, "metadata", "cannot be sent"),
    "tools without end": (
        {**PLAIN, "tools": [{"type": "function", "function": {"name": "f", "parameters": nested(300)}}]},
        400,
        "tools",
        "cannot be sent",
    ),
    "unknown model": ({"model": "gpt-9", "messages": [USER]}, 404, "model", "auto, auto:small"),
    "unknown tier": ({"model": "auto:huge", "messages": [USER]}, 404, "model", "auto:full"),
    "quality out of range": ({"model": "auto:1.5", "messages": [USER]}, 400, "objective", "at most 1"),
    "budget in a name": ({"model": "digits(much)", "messages": [USER]}, 400, "model", "(2048)"),
    "negative budget in a name": ({"model": "digits(-5)", "messages": [USER]}, 400, "thinking_budget", "-5"),
    "negative budget": ({**PLAIN, "thinking_budget": -1}, 400, "thinking_budget", "-1"),
    "absurd budget": ({**PLAIN, "thinking_budget": 10**9}, 400, "thinking_budget", "1000000"),
    "a budget in words": ({**PLAIN, "thinking_budget": "lots"}, 400, "thinking_budget", "lots"),
    "budget against effort": (
        {**PLAIN, "thinking_budget": 9, "reasoning_effort": "none"},
        400,
        "reasoning_effort",
        "9",
    ),
    "unknown mode": ({**PLAIN, "mode": "shout"}, 400, "mode", "direct"),
    "unknown objective": ({**PLAIN, "objective": {"speed": 1}}, 400, "objective", "quality"),
    "two objectives": ({**PLAIN, "objective": {"quality": 1, "max_cost": 1}}, 400, "objective", "exactly one"),
    "no tokens": ({**PLAIN, "max_tokens": 0}, 400, "max_tokens", "1 or more"),
    "more tokens than a number holds": ({**PLAIN, "max_tokens": 2**40}, 400, "max_tokens", "2147483647"),
    "temperature": ({**PLAIN, "temperature": 3}, 400, "temperature", "2"),
    "top_p": ({**PLAIN, "top_p": 0}, 400, "top_p", "greater than 0"),
    "top_logprobs": ({**PLAIN, "logprobs": True, "top_logprobs": 50}, 400, "top_logprobs", "20"),
    "top_logprobs alone": ({**PLAIN, "top_logprobs": 5}, 400, "top_logprobs", "logprobs: true"),
    "several answers": ({**PLAIN, "n": 2}, 400, "n", "only one"),
    "a nameless tool": ({**PLAIN, "tools": [{"type": "function"}]}, 400, "tools", "[0].function.name"),
}


def told(response: Any) -> Any:
    """The error of an answer, its shape checked."""
    return ErrorBody.model_validate(response.json()).error


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_field_is_named_and_what_is_allowed(proxy: Any, what: str) -> None:
    body, status, param, words = WRONG[what]
    response = proxy.post("/v1/chat/completions", body)
    error = told(response)
    assert (response.status_code, error.param) == (status, param), error
    assert words in error.message
    assert error.type == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_sees_its_own_kinds_of_error(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-9", messages=[USER], stream=stream)  # type: ignore[call-overload]
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="auto", messages=[], stream=stream)  # type: ignore[call-overload]
    assert bad.value.param == "messages"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":',
        b"",
        b"[1, 2]",
        b"null",
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"temperature": NaN, "messages": [{"role": "user", "content": "x"}]}',
        b'{"temperature": Infinity, "messages": [{"role": "user", "content": "x"}]}',
        b'{"temperature": 1e999, "messages": [{"role": "user", "content": "x"}]}',
        b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=["cut", "empty", "list", "null", "utf-8", "surrogate", "NaN", "Infinity", "overflow", "deep"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route", "/v1/feedback"])
def test_what_is_no_json_object_is_refused(proxy: Any, path: str, body: bytes) -> None:
    response = proxy.http.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert told(response).code == "invalid_json"


def test_a_body_must_say_that_it_is_json(proxy: Any) -> None:
    """A page in a browser may send plain text to this machine unasked; it must not reach a model."""
    response = proxy.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, told(response).code) == (400, "unsupported_content_type")


@pytest.fixture
def narrow(stubbed: Callable[..., Any]) -> Iterator[Any]:
    """A proxy that takes 4 kB."""
    with stubbed("good", server={"max_body_bytes": 4096}) as proxy:
        yield proxy


def test_a_body_over_the_limit_is_refused_however_it_is_sent(narrow: Any, upstream: Any) -> None:
    big = b'{"messages": [{"role": "user", "content": "' + b"x" * 8192 + b'"}]}'
    json = {"content-type": "application/json"}
    announced = narrow.http.post("/v1/chat/completions", content=big, headers=json)
    chunked = narrow.http.post(
        "/v1/chat/completions", content=(big[i : i + 999] for i in range(0, 9000, 999)), headers=json
    )
    for response in (announced, chunked):
        assert (response.status_code, told(response).code) == (413, "body_too_large")
        assert "4096" in told(response).message
    assert upstream.bodies == []
    assert narrow.ask(model="good").status_code == 200  # the connection is still good


def test_a_body_without_end_is_answered_at_the_limit(narrow: Any) -> None:
    """The refusal comes while the client still sends: what is over the limit is not waited for."""
    import socket

    host, port = narrow.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        connection.sendall((head + "transfer-encoding: chunked\r\n\r\n").encode())
        piece = b"400\r\n" + b"x" * 0x400 + b"\r\n"
        for _ in range(5):
            connection.sendall(piece)
        assert b"413" in connection.recv(4096).split(b"\r\n")[0]


def test_a_query_too_long_for_every_route_names_the_longest(stubbed: Callable[..., Any]) -> None:
    with stubbed("good") as proxy:
        response = proxy.ask("word " * 5000)
    error = told(response)
    assert (response.status_code, error.code) == (400, "context_length_exceeded")
    assert "4096" in error.message
    assert "r-good" in error.message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_wrong_method_or_path_has_openais_shape_too(proxy: Any, method: str) -> None:
    assert told(proxy.http.request(method, "/v1/chat/completions")).code == "method_not_allowed"
    assert told(proxy.http.request(method, "/v1/nothing")).code == "not_found"
