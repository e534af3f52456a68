"""Chat completions with OpenAI's own client, unmodified, on real models; and what passes through unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from pointsman.api.responses import ChatCompletion

LIMIT = 16
QUESTION = [{"role": "user", "content": "3+4*2"}]
NAMES = {  # what is asked for -> route, model, mode and budget of the answer (None: the router chooses)
    "auto": None,
    "auto:0.9": None,
    "auto:full": ("full", "digits", "think", "unlimited"),
    "digits": ("full", "digits", "think", "unlimited"),
    "digits(17)": ("budgeted", "digits", "think", "17"),
    "digits(9)": ("digits(9)", "digits", "think", "9"),
    "digits(off)": ("small", "digits", "direct", "off"),
    "small": ("small", "digits", "direct", "off"),
    "chat": ("chat", "smollm2", "direct", "off"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_name_is_answered_by_what_it_says(client: openai.OpenAI, name: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=name, messages=QUESTION, max_tokens=LIMIT)
    told, answer = raw.headers, raw.parse()
    got = tuple(told[f"x-pointsman-{what}"] for what in ("route", "mode", "thinking-budget"))
    if (wanted := NAMES[name]) is not None:
        assert (got[0], answer.model, *got[1:]) == wanted
        assert told["x-pointsman-reason"] == "asked for"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.choices[0].message.content
    assert answer.id == f"chatcmpl-{told['x-pointsman-decision-id'].removeprefix('dec_')}"


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_comes_to_the_same_as_a_whole_answer(client: openai.OpenAI, name: str) -> None:
    """Greedy and seeded: the same text, thought, usage, end and headers, whichever way it is sent."""
    asked: dict[str, Any] = {"model": name, "messages": QUESTION, "max_tokens": LIMIT, "temperature": 0, "seed": 1}
    raw = client.chat.completions.with_raw_response.create(**asked)
    whole = raw.parse()
    with client.chat.completions.with_streaming_response.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ) as streamed:
        headers = streamed.headers
        chunks = list(streamed.parse())
    assert headers["content-type"].startswith("text/event-stream")
    for told in ("route", "mode", "thinking-budget", "reason", "policy", "attempts"):
        assert headers[f"x-pointsman-{told}"] == raw.headers[f"x-pointsman-{told}"]
    assert "x-pointsman-thinking-enforced" not in headers  # not known before the end
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    message = whole.choices[0].message
    assert "".join(delta.content or "" for delta in deltas) == message.content
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == (getattr(message, "reasoning_content", None) or "")
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert usage.prompt_tokens == whole.usage.prompt_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_says_usage_only_when_asked(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="small", messages=QUESTION, max_tokens=20, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason


def test_usage_adds_up_and_thought_is_part_of_the_completion(client: openai.OpenAI) -> None:
    usage = client.chat.completions.create(model="full", messages=QUESTION, max_tokens=LIMIT).usage
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens_details is not None
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    assert 0 <= usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens


@pytest.mark.parametrize("budget", [1, 4, 9, 17])
def test_a_budget_is_kept_and_the_answer_is_never_empty(client: openai.OpenAI, budget: int) -> None:
    answer = client.chat.completions.create(model=f"digits({budget})", messages=QUESTION)
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert 0 < answer.usage.completion_tokens_details.reasoning_tokens <= budget + 2
    assert answer.choices[0].message.content


@pytest.mark.parametrize("name", ["digits", "digits(17)", "digits(off)"])
def test_thought_and_its_marks_never_reach_the_answer(client: openai.OpenAI, name: str) -> None:
    message = client.chat.completions.create(model=name, messages=QUESTION, max_tokens=LIMIT).choices[0].message
    content, thought = message.content or "", getattr(message, "reasoning_content", None)
    assert "think>" not in content
    assert bool(thought) == (name != "digits(off)")
    assert "think>" not in (thought or "")


def test_off_is_off_by_effort_and_by_field_too(proxy: Any) -> None:
    """`reasoning_effort: none`, `thinking_budget: 0` and `off` are one wish: no token of thought."""
    for wish in ({"reasoning_effort": "none"}, {"thinking_budget": 0}, {"thinking_budget": "off"}):
        response = proxy.ask(model="digits", **wish)
        assert response.headers["x-pointsman-thinking-budget"] == "off"
        assert response.json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
        assert "reasoning_content" not in response.json()["choices"][0]["message"]


def test_pointsmans_own_fields_are_wishes(proxy: Any) -> None:
    budgeted = proxy.ask(model="digits", thinking_budget=5)
    assert budgeted.headers["x-pointsman-thinking-budget"] == "5"
    assert proxy.ask(model="small", thinking_budget="unlimited").headers["x-pointsman-thinking-budget"] == "unlimited"
    for mode, told in (("concise", "concise(60)"), ("concise(25)", "concise(25)"), ("solve", "solve")):
        assert proxy.ask(model="chat", mode=mode, max_tokens=3).headers["x-pointsman-mode"] == told
    objective = proxy.ask(objective={"max_cost": 0.5}, max_tokens=3)
    decision = proxy.get(f"/v1/decisions/{objective.headers['x-pointsman-decision-id']}").json()
    assert decision["objective"] == {"kind": "max_cost", "value": 0.5}


def test_the_full_thought_gets_an_easy_chain_right(client: openai.OpenAI) -> None:
    """(3 + 4) * 2, modulo 10: what comes through the proxy is the model's answer, in the right field."""
    answer = client.chat.completions.create(model="auto:full", messages=QUESTION, temperature=0)
    assert (answer.choices[0].message.content or "").strip() == "4"


def test_a_whole_answer_is_what_the_description_says(proxy: Any) -> None:
    response = proxy.ask(model="full")
    assert ChatCompletion.model_validate(response.json()).object == "chat.completion"
    assert response.headers["x-pointsman-thinking-enforced"] in ("native", "two-pass")
    assert float(response.headers["x-pointsman-overhead-ms"]) < 1000


@pytest.mark.parametrize(
    ("field", "names"), [("reasoning", ["reasoning"]), ("both", ["reasoning_content", "reasoning"])]
)
def test_thought_is_sent_under_the_name_that_is_set(stubbed: Callable[..., Any], field: str, names: list[str]) -> None:
    with stubbed("thinker", server={"reasoning_field": field}) as proxy:
        message = proxy.ask(model="thinker").json()["choices"][0]["message"]
        stream = proxy.ask(model="thinker", stream=True).text
    assert {name: message.get(name) for name in ("reasoning_content", "reasoning")} == {
        name: "let me see" if name in names else None for name in ("reasoning_content", "reasoning")
    }
    assert ('"reasoning_content"' in stream) == ("reasoning_content" in names)
    assert '"reasoning":"let me "' in stream


def test_tool_calls_come_through_whole_and_in_pieces(stubbed: Callable[..., Any]) -> None:
    """Two parallel calls, their arguments cut anywhere, reach OpenAI's client as they were meant."""
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    with stubbed("tools") as proxy, openai.OpenAI(base_url=f"{proxy.base}/v1", api_key="none") as client:
        whole = client.chat.completions.create(model="tools", messages=QUESTION, tools=tools)
        with client.chat.completions.stream(model="tools", messages=QUESTION, tools=tools) as stream:
            streamed = stream.get_final_completion()
    for answer in (whole, streamed):
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or []]  # type: ignore[union-attr]
        assert calls == [("c1", "weather", '{"city": "Bern"}'), ("c2", "time", "{}")]
    assert whole.choices[0].message.content is None


def test_what_the_request_says_reaches_the_models_server(stubbed: Callable[..., Any], upstream: Any) -> None:
    """Known fields by their meaning, unknown ones as they are; ours stay with us."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    with stubbed("good") as proxy:
        response = proxy.ask(
            model="good",
            max_completion_tokens=7,
            stop="END",
            temperature=0.5,
            top_p=0.9,
            seed=3,
            presence_penalty=1,
            response_format=schema,
            logprobs=True,
            top_logprobs=0,
            user="u",
            metadata={"session": "s"},
            parallel_tool_calls=False,
            reasoning_effort="low",
            chat_template_kwargs={"x": 1},
            thinking_budget=0,
            mode="direct",
            objective="quality=0.9",
        )
    sent = upstream.bodies[-1]
    wanted: dict[str, Any] = {
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "presence_penalty": 1,
        "response_format": schema,
        "logprobs": True,
        "user": "u",
        "metadata": {"session": "s"},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
    }
    assert wanted.items() <= sent.items()
    assert sent["chat_template_kwargs"]["x"] == 1
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert not {"thinking_budget", "mode", "objective"} & set(sent)
    choice = response.json()["choices"][0]
    assert choice["message"]["content"] == "Grüße"
    token = choice["logprobs"]["content"][0]
    assert (token["token"], token["logprob"], bytes(token["bytes"]).decode()) == ("Grüße", -0.5, "Grüße")


@pytest.mark.parametrize(
    ("asked", "told"), [("vote(3)", "vote(3)"), ("first(2, 3)", "first(2,3)"), ("early-exit(8)", "early-exit(8,3)")]
)
def test_a_mode_that_loops_is_one_answer(client: openai.OpenAI, proxy: Any, asked: str, told: str) -> None:
    """Streamed or not; every call of it is in the usage, and in the decision's attempt."""
    wish: dict[str, Any] = {"model": "digits(17)", "messages": QUESTION, "extra_body": {"mode": asked}}
    raw = client.chat.completions.with_raw_response.create(**wish)
    assert (raw.headers["x-pointsman-mode"], raw.headers["x-pointsman-thinking-budget"]) == (told, "17")
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    decision = proxy.get(f"/v1/decisions/{raw.headers['x-pointsman-decision-id']}").json()
    assert decision["route"]["mode"] == told
    chunks = list(client.chat.completions.create(**wish, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]).strip()
    assert chunks[-1].usage is not None
    least = 1 if told.startswith("early") else 2
    assert answer.usage.completion_tokens > least
    assert answer.usage.prompt_tokens >= least * len("3+4")


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("ponder", "Known: direct, think"),
        ("concise(0)", "words must be a whole number from 5 to 2000"),
        ("direct(5)", "takes no parameter"),
        ("vote(99)", "vote takes samples from 3 to 32"),
        ("think(8)", "they contradict"),
    ],
)
def test_a_mode_that_cannot_be_is_a_bad_request(proxy: Any, mode: str, says: str) -> None:
    response = proxy.ask(model="digits(17)", mode=mode)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "mode"
    assert says in response.json()["error"]["message"]


def test_early_exit_is_refused_where_an_answer_cannot_be_gone_on_with(proxy: Any) -> None:
    response = proxy.ask(model="digits", mode="early-exit", response_format={"type": "json_object"})
    assert response.status_code == 400
    assert "response format" in response.json()["error"]["message"]
