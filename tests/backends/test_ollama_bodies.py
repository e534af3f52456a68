"""Bodies and replies between OpenAI's shapes and Ollama's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.ollama_bodies import Chunks, least, level, native_request
from pointsman.errors import BackendRejected

USER = {"role": "user", "content": "?"}
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "seed")
OTHERS = ("stream_options", "tool_choice", "max_tokens", "reasoning_effort", "response_format", *SAMPLING, "stop")


def sent(path: str = "chat/completions", num_ctx: int | None = None, **body: Any) -> dict[str, Any]:
    asked = {
        "model": "m",
        "stream": True,
        **({"prompt": "p"} if path == "completions" else {"messages": [USER]}),
        **body,
    }
    return native_request(path, asked, num_ctx, "stub")[1]


@given(
    st.dictionaries(st.sampled_from([*SAMPLING, "max_tokens"]), st.integers(0, 9)),
    st.none() | st.integers(64, 10**6),
    st.none() | st.dictionaries(st.sampled_from(["num_ctx", "mirostat", "top_k"]), st.integers()),
    st.sampled_from(["completions", "chat/completions"]),
)
def test_options_hold_what_is_asked_and_the_context_is_the_models_alone(
    asked: dict[str, int], num_ctx: int | None, options: dict[str, int] | None, path: str
) -> None:
    """Nothing of it is left where Ollama would ignore it."""
    body = sent(path, num_ctx, **asked, stream_options={}, **({"options": options} if options is not None else {}))
    told = body["options"]
    assert told.get("num_ctx") == num_ctx
    assert told.get("num_predict") == asked.get("max_tokens")
    for name in SAMPLING:
        assert told.get(name) == asked.get(name, (options or {}).get(name))
    assert not set(OTHERS) & body.keys()
    assert (body["truncate"], body["shift"], body["stream"]) == (False, False, True)


def test_paths_are_the_native_ones_and_raw_text_is_left_alone() -> None:
    """Fields that nobody translates, such as keep_alive, go along."""
    asked = {"model": "m", "prompt": "<think>", "logprobs": 3, "keep_alive": 60, "response_format": {"type": "text"}}
    path, body = native_request("completions", asked, None, "stub")
    assert path == "/api/generate"
    assert (body["prompt"], body["raw"], body["think"], body["keep_alive"]) == ("<think>", True, False, 60)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert "format" not in body
    assert native_request("chat/completions", {"model": "m", "messages": []}, None, "stub")[0] == "/api/chat"
    with pytest.raises(BackendRejected, match="not as token ids"):
        native_request("completions", {"model": "m", "prompt": [1, 2]}, None, "stub")


def test_the_history_keeps_its_thoughts_calls_and_images() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "see "}, image, {"type": "text", "text": "this"}]},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "c1", "name": "add"},
    ]
    assert sent(messages=messages)["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "see this", "images": ["aGk="]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1", "tool_name": "add"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{broken"}}]},
    ],
)
def test_what_ollama_has_no_word_for_is_refused(message: dict[str, Any]) -> None:
    """Rather than left out in silence."""
    with pytest.raises(BackendRejected, match="Ollama takes"):
        sent(messages=[message])


@pytest.mark.parametrize(
    ("think", "effort", "told"),
    [(True, None, True), (False, "high", False), (True, "high", "high"), (None, "high", None), (None, None, None)],
)
def test_thinking_is_a_switch_or_a_level(think: bool | None, effort: str | None, told: Any) -> None:
    """Off wins over a level; a model that does not think is told nothing."""
    body = sent(**{key: value for key, value in (("think", think), ("reasoning_effort", effort)) if value is not None})
    assert body.get("think") == told


def test_a_level_is_one_that_the_model_has() -> None:
    three = ("low", "medium", "high")
    assert [level(word, three) for word in ("minimal", "low", "high", "xhigh", "none", "None")] == [
        *("low", "low", "high"),
        *(None, None, None),
    ]
    assert level("ultra", ("low", "max")) == "max"
    assert [least(known) for known in (("high", "low"), three, ("deep",), ())] == ["low", "low", "deep", None]


def test_only_the_last_line_ends_the_reply() -> None:
    """What came with it is told too; Ollama's nanoseconds are milliseconds here."""
    chunks = Chunks()
    first = chunks.read({"model": "m", "message": {"thinking": "hm"}, "done": False})
    assert first["choices"][0] == {"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}
    assert "usage" not in first
    line = {"message": {"content": "two"}, "done": True, "done_reason": "length", "prompt_eval_count": 9}
    last = chunks.read({**line, "eval_count": 7, "prompt_eval_duration": 1_500_000})
    assert last["choices"][0]["delta"] == {"content": "two"}
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["usage"] == {"prompt_tokens": 9, "completion_tokens": 7}
    assert last["timings"] == {"prompt_ms": 1.5}


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 5))
def test_a_thought_that_is_not_counted_is_added(thought: int, answer: int, more: int) -> None:
    """A line is at least a token: fewer tokens than lines mean that the answer alone was counted."""
    chunks = Chunks()
    for _ in range(thought):
        chunks.read({"message": {"thinking": "x"}})
    for _ in range(answer):
        chunks.read({"message": {"content": "x"}})
    usage = chunks.read({"message": {}, "done": True, "done_reason": "stop", "eval_count": answer + more})["usage"]
    counted = answer + more >= thought + answer
    assert usage["completion_tokens"] == answer + more + (0 if counted else thought)
    details = usage.get("completion_tokens_details")
    assert details == (None if counted else {"reasoning_tokens": thought})


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_that_was_only_loaded_answered_nothing(reason: str) -> None:
    assert f"{reason}ed" in Chunks().read({"done": True, "done_reason": reason})["error"]


def test_an_error_stays_one_and_calls_are_numbered() -> None:
    chunks = Chunks()
    assert chunks.read({"error": "out of memory"}) == {"error": "out of memory"}
    call = {"function": {"index": 0, "name": "f", "arguments": {"a": "ü"}}}
    told = [chunks.read({"message": {"tool_calls": [call]}})["choices"][0]["delta"]["tool_calls"][0] for _ in range(2)]
    assert [one["index"] for one in told] == [0, 1]
    assert json.loads(told[0]["function"]["arguments"]) == {"a": "ü"}
    assert chunks.read({"done": True, "done_reason": "stop"})["choices"][0]["finish_reason"] == "tool_calls"
