"""OpenAI's forms: whatever the events, a stream's pieces come to the whole answer, and all of it is JSON."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as OpenAICompletion
from openai.types.chat import ChatCompletionChunk

from pointsman.api.completion import LOWEST_LOGPROB, Completion
from pointsman.api.sse import event
from pointsman.backends import Text, Thought, TokenLogprob, ToolCallDelta
from pointsman.domain import Decision, Enforcement, Finish, Objective, Price, Route, Usage
from pointsman.router.live import Answered, Decided

DECISION = Decision(
    "dec_abc", datetime(2030, 1, 1, tzinfo=UTC), Route("r", "m", "think", None, Price(1, 0, 1)), "why", Objective(), "p"
)
ANSWERED = Answered(DECISION, (), Finish.STOP, Usage(9, 4, 3, 2), "m", Enforcement.NATIVE, ())

words = st.text(max_size=20)
logprobs = st.builds(TokenLogprob, words, st.floats(max_value=0, allow_nan=False), st.just((("x", -math.inf),)))
texts = st.builds(Text, words, logprobs=st.lists(logprobs, max_size=2).map(tuple))
thoughts = st.builds(Thought, words)
calls = st.builds(ToolCallDelta, st.integers(0, 2), st.none(), st.none(), words)


def parsed(piece: bytes) -> Any:
    """The JSON of one event's bytes, which are one line and a blank one."""
    assert piece.endswith(b"\n\n")
    assert piece.count(b"\n") == 2
    return orjson.loads(piece.removeprefix(b"data: "))


@given(st.lists(texts | thoughts | calls, max_size=12))
def test_the_pieces_of_a_stream_come_to_the_whole_answer(events: list[Any]) -> None:
    """Also with line separators and minus infinity in them; openai's own types read all of it."""
    completion = Completion(DECISION, "reasoning_content")
    whole = orjson.loads(orjson.dumps(completion.whole([Decided(DECISION), *events, ANSWERED], ANSWERED)))
    OpenAICompletion.model_validate(whole)
    deltas = []
    for one in events:
        chunk = parsed(event(completion.piece(one)))
        ChatCompletionChunk.model_validate(chunk)
        deltas.append(chunk["choices"][0])
    message = whole["choices"][0]["message"]
    content = "".join(d["delta"].get("content", "") for d in deltas)
    assert (message["content"] or "") == content
    assert message.get("reasoning_content", "") == "".join(d["delta"].get("reasoning_content", "") for d in deltas)
    arguments: dict[int, str] = {}
    for d in deltas:
        for call in d["delta"].get("tool_calls", []):
            arguments[call["index"]] = arguments.get(call["index"], "") + call["function"]["arguments"]
    assert [c["function"]["arguments"] for c in message.get("tool_calls", [])] == [
        arguments[i] for i in sorted(arguments)
    ]
    told = [token for d in deltas if d["logprobs"] for token in d["logprobs"]["content"]]
    assert (whole["choices"][0]["logprobs"] or {"content": []})["content"] == told
    assert all(token["logprob"] >= LOWEST_LOGPROB for token in told)


def test_an_answer_of_tool_calls_alone_has_no_content() -> None:
    whole = Completion(DECISION, "both").whole([ToolCallDelta(0, "c1", "f", "{}")], ANSWERED)
    assert whole["choices"][0]["message"]["content"] is None
    assert whole["choices"][0]["message"]["tool_calls"][0]["id"] == "c1"


def test_usage_counts_thought_as_completion_and_cached_as_prompt() -> None:
    usage = Completion(DECISION, "both").usage(replace(ANSWERED, usage=Usage(9, 4, 3, 2)))["usage"]
    assert usage == {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_the_opening_and_the_end_are_openais() -> None:
    completion = Completion(DECISION, "reasoning")
    first, last = completion.first(), completion.last(ANSWERED)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert completion.usage(ANSWERED)["choices"] == []
    assert {chunk["id"] for chunk in (first, last)} == {"chatcmpl-abc"}
