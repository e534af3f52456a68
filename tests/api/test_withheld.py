"""Streams whose route does not stand yet: comments keep them alive, the last chunk tells what the headers could not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from pointsman.api.headers import WITHHELD
from pointsman.router.at_once import FORGONE

SOON = {"keep_alive_s": 0.02}
ASKED: Any = [{"role": "user", "content": "x"}]


class Stream:
    """A stream's headers and its events, comments as `:`, read one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self.headers, self.status = response.headers, response.status_code
        self._lines = response.iter_lines()

    def __next__(self) -> Any:
        line = next(one for one in self._lines if one)
        if line.startswith(":"):
            return ":"
        assert line.startswith("data: "), line
        return "DONE" if line == "data: [DONE]" else json.loads(line.removeprefix("data: "))

    def rest(self) -> list[Any]:
        """All that still comes but comments."""
        found: list[Any] = []
        while True:
            try:
                one = next(self)
            except StopIteration:
                return found
            found += [] if one == ":" else [one]


@contextmanager
def streaming(proxy: Any, model: str = "auto", **fields: Any) -> Iterator[Stream]:
    body = {"model": model, "messages": ASKED, "stream": True, **fields}
    with proxy.http.stream("POST", "/v1/chat/completions", json=body) as response:
        yield Stream(response)


def said(chunks: list[Any], field: str = "content") -> str:
    return "".join(chunk["choices"][0]["delta"].get(field) or "" for chunk in chunks if chunk != "DONE")


@pytest.fixture
def held(stubbed: Callable[..., Any], upstream: Any) -> Callable[..., Any]:
    """As `stubbed`, the kinds that wait waiting."""
    upstream.hold()
    return stubbed


def test_comments_come_until_the_route_stands_and_the_last_chunk_tells_what_it_is(held: Any, upstream: Any) -> None:
    with held("late", server=SOON) as proxy:
        with streaming(proxy) as stream:
            assert [next(stream) for _ in range(3)] == [":", ":", ":"]
            assert stream.status == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["x-pointsman-warnings"] == WITHHELD
            assert "x-pointsman-route" not in stream.headers, "nobody knows it yet"
            upstream.release()
            *chunks, last, done = stream.rest()
        record = proxy.get(f"/v1/decisions/{stream.headers['x-pointsman-decision-id']}").json()
    assert (said(chunks), done) == ("at last", "DONE")
    told = last["pointsman"]
    assert (told["route"], told["mode"], told["thinking_budget"], told["attempts"]) == ("r-late", "direct", "off", "1")
    assert told["thinking_enforced"] in ("native", "two-pass", "prompt", "none")
    assert told["decision_id"] == stream.headers["x-pointsman-decision-id"] == record["id"]
    assert last["id"] == f"chatcmpl-{told['decision_id'].removeprefix('dec_')}"


def test_openais_client_reads_such_a_stream_and_the_late_facts(held: Any, upstream: Any) -> None:
    with held("late", server=SOON) as proxy, openai.OpenAI(base_url=f"{proxy.base}/v1", api_key="none") as client:
        create = client.chat.completions.with_streaming_response.create
        options: Any = {"include_usage": True}
        with create(model="late", messages=ASKED, stream=True, stream_options=options) as response:
            assert response.headers["x-pointsman-warnings"] == WITHHELD, "it is open before there is anything to read"
            upstream.release()
            chunks = list(response.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "at last"
    last = next(chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason)
    assert (last.model_extra or {})["pointsman"]["route"] == "late(unlimited)"
    assert chunks[-1].usage is not None


@pytest.mark.parametrize("keep_alive_s", [0, 60])
def test_a_route_that_stands_soon_is_in_the_headers_and_no_comment_is_sent(
    held: Any, upstream: Any, keep_alive_s: float, wait_until: Callable[..., Any]
) -> None:
    got: list[httpx.Response] = []
    with held("late", server={"keep_alive_s": keep_alive_s}) as proxy:
        asking = threading.Thread(target=lambda: got.append(proxy.ask(stream=True)))
        asking.start()
        wait_until(lambda: upstream.bodies, "the model is asked")
        upstream.release()
        asking.join(20)
    (response,) = got
    assert response.headers["x-pointsman-route"] == "r-late"
    assert not any(line.startswith(":") for line in response.text.splitlines())
    assert '"pointsman":{"decision_id"' in response.text, "its end tells the same, and what was not known before it"


def test_a_client_that_leaves_while_the_answer_is_withheld_ends_the_generation(
    held: Any, upstream: Any, wait_until: Callable[..., Any]
) -> None:
    with held("late", server=SOON) as proxy:
        with streaming(proxy) as stream:
            assert next(stream) == ":"
            assert not upstream.left.is_set()
        assert upstream.left.wait(5), "the model's server still generates"
        store = proxy.router.store
        wait_until(lambda: store.flush() and store.stats().written, "the run is recorded")
        (record,) = store.records()
    assert record.attempts[-1].finish == "cancelled"
    assert record.decision.id == stream.headers["x-pointsman-decision-id"]


def test_an_error_after_the_stream_was_opened_is_an_event_in_openais_shape(held: Any, upstream: Any) -> None:
    with held("late-broken", server=SOON) as proxy:
        with streaming(proxy, "late-broken") as stream:
            assert (next(stream), stream.status) == (":", 200)
            upstream.release()
            (error,) = stream.rest()
        assert (error["error"]["code"], error["error"]["type"]) == ("backend_unavailable", "server_error")
        upstream.hold()
        with openai.OpenAI(base_url=f"{proxy.base}/v1", api_key="none", max_retries=0) as client:
            chunks = client.chat.completions.create(model="late-broken", messages=ASKED, stream=True)
            upstream.release()
            with pytest.raises(openai.APIError, match="out of memory"):
                list(chunks)


def test_a_bad_request_is_an_http_error_however_soon_streams_are_opened(held: Any) -> None:
    with held("late", server={"keep_alive_s": 0.001}) as proxy:
        response = proxy.ask(model="late", stream=True, tools=[], mode="ponder")
        assert response.status_code == 400
        too_long = proxy.ask("x " * 20_000, stream=True)
    assert (too_long.status_code, too_long.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_a_route_that_fails_after_the_stream_was_opened_gives_way_and_the_last_chunk_says_so(
    held: Any, upstream: Any
) -> None:
    with held("late-broken", "good", server=SOON) as proxy, streaming(proxy) as stream:
        assert next(stream) == ":"
        upstream.release()
        *chunks, last, _ = stream.rest()
    assert said(chunks) == "Grüße"
    assert (last["pointsman"]["route"], last["pointsman"]["attempts"]) == ("r-good", "2")
    assert "r-late-broken failed" in last["pointsman"]["reason"]


MUSES: dict[str, Any] = {
    "routes": {"r-muses": {"model": "muses", "mode": "think"}, "r-good": {"model": "good", "mode": "think"}},
    "safe_route": "r-muses",
    "escalate": True,
}


def test_a_thought_is_withheld_while_another_route_may_follow(held: Any, upstream: Any) -> None:
    with held("muses", "good", server=SOON, **MUSES) as proxy, streaming(proxy) as stream:
        assert [next(stream) for _ in range(3)] == [":", ":", ":"]
        upstream.release()
        *chunks, _, _ = stream.rest()
    assert (said(chunks, "reasoning_content"), said(chunks)) == ("let me see", "yes")


@pytest.mark.parametrize(
    ("server", "field"),
    [
        ({}, {"stream_thoughts": True}),
        ({"stream_thoughts": True}, {}),
        ({"stream_thoughts": False}, {"stream_thoughts": True}),
    ],
)
def test_a_streamed_thought_comes_at_once_and_the_header_says_that_nothing_follows(
    held: Any, upstream: Any, server: dict[str, Any], field: dict[str, Any]
) -> None:
    """The model has not ended its thought when the caller reads of it."""
    with held("muses", "good", server=server, **MUSES) as proxy:
        with streaming(proxy, **field) as stream:
            first, thought = next(stream), next(stream)
            assert (stream.headers["x-pointsman-route"], stream.headers["x-pointsman-warnings"]) == ("r-muses", FORGONE)
            assert (said([first]), said([thought], "reasoning_content")) == ("", "let me ")
            upstream.release()
            *chunks, _, _ = stream.rest()
        assert said(chunks) == "yes"
    assert "stream_thoughts" not in upstream.bodies[-1]


def test_a_requests_own_word_goes_before_the_servers(held: Any, upstream: Any) -> None:
    settings = {**SOON, "stream_thoughts": True}
    with (
        held("muses", "good", server=settings, **MUSES) as proxy,
        streaming(proxy, stream_thoughts=False) as stream,
    ):
        assert next(stream) == ":"
        upstream.release()
        stream.rest()


def test_a_mode_that_asks_several_times_is_kept_alive_on_a_real_server(make_proxy: Callable[..., Any]) -> None:
    with make_proxy(server={"keep_alive_s": 0.001}) as proxy:
        with streaming(proxy, "digits(17)", mode="vote(3)") as stream:
            assert next(stream) == ":"
            *chunks, last, done = stream.rest()
        record = proxy.get(f"/v1/decisions/{last['pointsman']['decision_id']}").json()
    assert said(chunks).strip()
    assert done == "DONE"
    told = last["pointsman"]
    assert (told["mode"], told["thinking_budget"], told["thinking_enforced"]) == ("vote(3)", "17", "native")
    assert [attempt["kept"] for attempt in record["attempts"]] == [0]


def test_a_thought_that_is_gone_on_with_is_one_to_the_caller_and_an_attempt_tells_what_it_kept(
    make_proxy: Callable[..., Any], tmp_path: Path
) -> None:
    empty = tmp_path / "own.yaml"
    empty.write_text("")
    settings: dict[str, Any] = {
        "models": {"digits": {"engine": "llamacpp", "embedded": "digits"}},
        "routes": {
            "short": {"model": "digits", "mode": "think", "thinking_budget": 4},
            "whole": {"model": "digits", "mode": "think"},
        },
        "safe_route": "short",
        "escalate": {"cut_thoughts": True},
    }
    with make_proxy(path=empty, **settings) as proxy:
        alone = proxy.ask(model="whole", max_tokens=None, temperature=0).json()
        answer = proxy.ask(max_tokens=None, temperature=0)
        record = proxy.get(f"/v1/decisions/{answer.headers['x-pointsman-decision-id']}").json()
    assert answer.json()["choices"][0]["message"] == alone["choices"][0]["message"]
    assert answer.json()["usage"]["completion_tokens"] == alone["usage"]["completion_tokens"]
    assert [(a["route"], a["kept"]) for a in record["attempts"]] == [("short", 0), ("whole", 4)]
    assert answer.headers["x-pointsman-reason"].endswith("goes on with short's thought of 4 tokens")
