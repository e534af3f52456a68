"""Providers through LiteLLM, each against a stub that speaks its protocol: what is sent, what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hosted_stub import ANSWER, CACHED, PROMPT, SIGNATURE, THOUGHT, TOOL, HostedStub

from pointsman.backends import Engine, ModelConfig, Text, Thought, create
from pointsman.domain import Call, Enforcement, Finish, Json, Sampling, Usage
from pointsman.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable, ConfigError

pytestmark = [  # which LiteLLM itself silences at its import, where pytest does not put its own filters back
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance is deprecated"),
]
KEY = "sk-very-secret"
ASK = ({"role": "user", "content": "What is one and one?"},)
TOOLS = (
    {
        "type": "function",
        "function": {
            "name": TOOL["name"],
            "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
        },
    },
)
CLAUDE, OPUS, GPT, GPT5 = "anthropic/claude-sonnet-4-5", "anthropic/claude-opus-4-8", "openai/gpt-5.1", "openai/gpt-5"
FLASH, PRO, PRO3 = "gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro", "gemini/gemini-3-pro-preview"
DEEPSEEK, ROUTER, MISTRAL = "deepseek/deepseek-chat", "openrouter/qwen/qwen3-32b", "mistral/mistral-small-latest"
ONE_OF_EACH = [CLAUDE, GPT, FLASH, DEEPSEEK, ROUTER, MISTRAL]
GEMINI = "generationConfig.thinkingConfig"


@pytest.fixture
async def server() -> AsyncIterator[HostedStub]:
    server = HostedStub()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def at(server: HostedStub, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Engine]]:
    """Makes engines of models at the stub."""
    monkeypatch.setenv("THE_KEY", KEY)
    made: list[Engine] = []

    def make(model: str, **settings: object) -> Engine:
        path = "" if model.startswith(("anthropic", "gemini")) else "/v1"
        given = {"engine": "hosted", "model": model, "url": server.url + path, "api_key_env": "THE_KEY", **settings}
        made.append(create("m", ModelConfig.model_validate(given)))
        return made[-1]

    yield make
    for engine in made:
        await engine.aclose()


def field(body: Any, path: str) -> Any:
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


Put = Callable[..., Any]


@pytest.mark.parametrize(
    ("model", "path", "off"),
    [
        (CLAUDE, "thinking", {"type": "disabled"}),
        (OPUS, "thinking", {"type": "disabled"}),
        (GPT, "reasoning_effort", "none"),
        (FLASH, GEMINI, {"thinkingBudget": 0}),
        (DEEPSEEK, "thinking", {"type": "disabled"}),
        (ROUTER, "reasoning", {"enabled": False}),
        (MISTRAL, "reasoning_effort", "none"),
        ("openai/gpt-4o", "reasoning_effort", None),
    ],
)
async def test_off_is_off_in_the_providers_own_words(server, at, collect: Put, model: str, path: str, off: Any) -> None:
    reply = await collect(at(model), Call(ASK, thinking_budget=0))
    assert field(server.body, path) == off
    assert (reply.thought, reply.answer) == ("", "".join(ANSWER))
    assert reply.done.usage == Usage(PROMPT, CACHED, 0, len(ANSWER))
    assert (reply.done.enforced, reply.done.warnings, reply.done.finish) == (Enforcement.NATIVE, (), Finish.STOP)


async def test_a_provider_that_thinks_in_spite_of_off_is_told_on(server, at, collect: Put) -> None:
    server.always_on = True
    done = (await collect(at(DEEPSEEK), Call(ASK, thinking_budget=0))).done
    assert done.enforced is Enforcement.NONE
    assert "thinking was to be off, but DeepSeek went on thinking" in done.warnings


@pytest.mark.parametrize("model", [GPT5, PRO, PRO3, "deepseek/deepseek-reasoner", "mistral/magistral-medium-latest"])
async def test_what_cannot_be_off_is_refused_and_nothing_is_sent(server, at, collect: Put, model: str) -> None:
    with pytest.raises(BackendRejected, match=r"cannot be turned off.*mode `least`") as caught:
        await collect(at(model), Call(ASK, thinking_budget=0))
    assert caught.value.status == 400
    assert server.requests == []


@pytest.mark.parametrize(
    ("model", "path", "least"),
    [
        (GPT5, "reasoning_effort", "minimal"),
        (PRO, f"{GEMINI}.thinkingBudget", 128),
        (PRO3, f"{GEMINI}.thinkingLevel", "low"),
        (OPUS, "output_config.effort", "low"),
    ],
)
async def test_the_least_is_asked_for_as_the_model_knows_it(server, at, collect: Put, model, path, least) -> None:
    reply = await collect(at(model), Call(ASK, least=True))
    assert field(server.body, path) == least
    assert reply.done.usage.thought > 0


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (CLAUDE, "thinking.budget_tokens"),
        ("anthropic/claude-opus-4-6", "thinking.budget_tokens"),
        (FLASH, f"{GEMINI}.thinkingBudget"),
        (PRO, f"{GEMINI}.thinkingBudget"),
        (ROUTER, "reasoning.max_tokens"),
    ],
)
async def test_a_budget_arrives_as_its_number_and_is_never_called_native(server, at, collect: Put, model, path) -> None:
    reply = await collect(at(model), Call(ASK, thinking_budget=1234))
    assert field(server.body, path) == 1234
    assert (reply.thought, reply.answer) == ("".join(THOUGHT), "".join(ANSWER))
    assert reply.done.usage == Usage(PROMPT, CACHED, len(THOUGHT), len(ANSWER))
    assert reply.done.enforced is Enforcement.PROMPT
    (warning,) = reply.done.warnings
    assert "guidance, not as a limit" in warning


@pytest.mark.parametrize(
    ("model", "path", "word"),
    [
        (GPT, "reasoning_effort", "medium"),
        (OPUS, "output_config.effort", "medium"),
        (PRO3, f"{GEMINI}.thinkingLevel", "low"),
        (DEEPSEEK, "reasoning_effort", "low"),
        (MISTRAL, "reasoning_effort", "high"),
    ],
)
async def test_where_there_is_no_budget_a_word_stands_for_it_and_says_so(
    server, at, collect: Put, model, path, word
) -> None:
    done = (await collect(at(model), Call(ASK, thinking_budget=3000))).done
    assert field(server.body, path) == word
    assert done.enforced is Enforcement.PROMPT
    assert f"has no thinking budget: effort {word} stands for 3000 tokens" in " ".join(done.warnings)
    assert done.usage.thought > 0


async def test_of_an_unknown_provider_a_budget_is_only_asked_for_in_the_prompt(server, at, collect: Put) -> None:
    done = (await collect(at("groq/llama-3.3-70b"), Call(ASK, thinking_budget=300))).done
    assert "at most 300 tokens" in server.body["messages"][0]["content"]
    assert done.enforced is Enforcement.PROMPT


async def test_a_budget_that_was_overrun_is_told(server, at, collect: Put) -> None:
    server.overshoot = 7
    done = (await collect(at(FLASH), Call(ASK, thinking_budget=16))).done
    assert done.usage.thought == 23
    assert "the thought took 23 tokens, over its budget of 16" in done.warnings


@pytest.mark.parametrize(("model", "budget"), [(CLAUDE, 1023), (PRO, 127), (FLASH, 24577)])
async def test_a_budget_that_the_provider_does_not_take_is_refused_here(
    server, at, collect: Put, model, budget
) -> None:
    with pytest.raises(BackendRejected, match="takes no budget"):
        await collect(at(model), Call(ASK, thinking_budget=budget))
    assert server.requests == []


async def test_a_limit_without_room_for_the_least_budget_turns_thinking_off(server, at, collect: Put) -> None:
    reply = await collect(at(CLAUDE), Call(ASK, max_tokens=900))
    assert (server.body["thinking"], server.body["max_tokens"]) == ({"type": "disabled"}, 900)
    assert "thinking is off: a limit of 900 tokens has no room" in " ".join(reply.done.warnings)
    assert reply.answer


async def test_the_answer_keeps_its_share_of_a_limit(server, at, collect: Put) -> None:
    await collect(at(CLAUDE), Call(ASK, thinking_budget=4000, max_tokens=2000))
    assert server.body["thinking"]["budget_tokens"] == 2000 - 256
    assert server.body["max_tokens"] == 2000


async def test_a_thought_without_a_budget_is_bounded_by_what_the_provider_demands(server, at, collect: Put) -> None:
    done = (await collect(at(CLAUDE), Call(ASK))).done
    assert server.body["max_tokens"] > server.body["thinking"]["budget_tokens"] >= 1024
    assert done.enforced is Enforcement.NONE  # nothing was asked to be enforced, and nothing was
    await collect(at(FLASH), Call(ASK))
    assert field(server.body, GEMINI) == {"includeThoughts": True, "thinkingBudget": -1}


async def test_geminis_thoughts_are_counted_beside_its_candidates(server, at, collect: Put) -> None:
    """Its candidatesTokenCount leaves the thought out; the answer's count must not lose it twice."""
    usage = (await collect(at(FLASH), Call(ASK, thinking_budget=10))).done.usage
    assert usage == Usage(PROMPT, CACHED, 10, len(ANSWER))


async def test_mistrals_thought_is_counted_by_its_pieces(server, at, collect: Put) -> None:
    """Mistral tells no count of it, and LiteLLM makes one up that is the whole reply."""
    reply = await collect(at(MISTRAL), Call(ASK))
    assert reply.thought == "".join(THOUGHT[:20])
    assert reply.done.usage == Usage(PROMPT, CACHED, 20, len(ANSWER))


async def test_sampling_that_is_refused_is_not_sent_and_said_so(server, at, collect: Put) -> None:
    hot = Call(ASK, sampling=Sampling(temperature=0.2, top_k=5, seed=1))
    done = (await collect(at(CLAUDE), hot)).done
    assert not {"temperature", "top_k", "seed"} & set(server.body)
    assert "Anthropic does not heed temperature, top_k, seed: not sent" in done.warnings
    done = (await collect(at(CLAUDE), Call(ASK, thinking_budget=0, sampling=hot.sampling))).done
    assert (server.body["temperature"], server.body["top_k"], "seed" in server.body) == (0.2, 5, False)
    assert done.warnings == ("Anthropic does not heed seed: not sent",)
    await collect(at(GPT), Call(ASK, thinking_budget=0, sampling=Sampling(temperature=0.2)))
    assert server.body["temperature"] == 0.2


@pytest.mark.parametrize("model", ONE_OF_EACH)
async def test_a_callers_further_fields_never_become_litellms_arguments(server, at, collect: Put, model: str) -> None:
    """Among those are the address that the key is sent to, and the model."""
    extra: Json = {
        "api_base": "http://127.0.0.1:9/elsewhere",
        "base_url": "http://127.0.0.1:9/elsewhere",
        "api_key": "another",
        "mock_response": "no call was made",
        "custom_llm_provider": "openai",
        "fallbacks": ["openai/gpt-4o"],
        "extra_body": {"model": "the-dearest", "max_tokens": 10**6},
        "extra_headers": {"x-from": "caller"},
        "thinking": {"type": "enabled", "budget_tokens": 9999},
        "model": "the-dearest",
    }
    reply = await collect(at(model), Call(ASK, thinking_budget=0, max_tokens=77, extra=extra))
    assert reply.answer == "".join(ANSWER)
    assert len(server.requests) == 1
    sent = f"{server.requests[0]} {dict(server.headers[0])}"
    assert "dearest" not in sent
    assert "9999" not in sent
    assert "x-from" not in sent
    assert "77" in sent
    assert any("api_base" in warning for warning in reply.done.warnings)


async def test_a_callers_word_of_effort_wins_where_the_provider_has_words(server, at, collect: Put) -> None:
    await collect(at(GPT), Call(ASK, extra={"reasoning_effort": "high"}))
    assert server.body["reasoning_effort"] == "high"
    done = (await collect(at(CLAUDE), Call(ASK, thinking_budget=2000, extra={"reasoning_effort": "high"}))).done
    assert server.body["thinking"]["budget_tokens"] == 2000
    assert "not sent to Anthropic: reasoning_effort 'high'" in done.warnings


async def test_the_owners_extra_is_for_litellm(server, at, collect: Put) -> None:
    await collect(at(GPT, extra={"extra_headers": {"x-team": "blue"}}), Call(ASK))
    assert server.headers[-1]["x-team"] == "blue"


@pytest.mark.parametrize("model", [CLAUDE, GPT, FLASH, DEEPSEEK, MISTRAL])
async def test_markers_in_text_are_text_on_the_way_in_and_out(server, at, collect: Put, model: str) -> None:
    """The thought comes apart from it, so `<think>` is what an answer, or a question, says about HTML."""
    server.answer = ["<think>", "a", "</think>", " and </think> /no_think"]
    asked = ({"role": "user", "content": "What are <think>, </think> and /no_think?"},)
    engine = at(model)
    for budget in (0, 4096, 4096, 4096):
        reply = await collect(engine, Call(asked, thinking_budget=budget))
        assert reply.answer == "<think>a</think> and </think> /no_think"
        assert asked[0]["content"] in json.dumps(server.body, ensure_ascii=False)


async def test_words_that_switch_an_open_model_behind_a_provider_are_broken_and_restored(
    server, at, collect: Put
) -> None:
    """Qwen3 reads /no_think in a user's text, whoever serves it."""
    server.answer = ["keep ", "/no_think"]
    reply = await collect(at(ROUTER), Call(({"role": "user", "content": "see /no_think"},), thinking_budget=0))
    assert "/no_think" not in server.body["messages"][0]["content"]
    assert reply.answer == "keep /no_think"


# Tool loops


def answered(reply: Any) -> tuple[Json, ...]:
    """The conversation after the tool's result, as a client of OpenAI's API sends it: without any thought."""
    first, *rest = reply.tools
    call = {
        "id": first.id,
        "type": "function",
        "function": {
            "name": first.name,
            "arguments": first.arguments + "".join(piece.arguments for piece in rest),
        },
    }
    return (
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": first.id, "content": "a number"},
    )


async def test_anthropics_signed_thought_goes_back_with_the_tools_result(server, at, collect: Put) -> None:
    engine, server.calls_tool = at(CLAUDE), True
    reply = await collect(engine, Call(ASK, thinking_budget=2000, tools=TOOLS))
    assert reply.done.finish is Finish.TOOL_CALLS
    assert reply.tools[0].name == TOOL["name"]
    server.calls_tool = False
    await collect(engine, Call(answered(reply), thinking_budget=2000, tools=TOOLS))
    (turn,) = [message for message in server.body["messages"] if message["role"] == "assistant"]
    thought = {"type": "thinking", "thinking": "".join(THOUGHT), "signature": SIGNATURE}
    assert [part["type"] for part in turn["content"]] == ["thinking", "tool_use"]
    assert turn["content"][0] == thought


async def test_a_signed_thought_that_the_caller_sends_back_is_passed_on(server, at, collect: Put) -> None:
    engine, server.calls_tool = at(CLAUDE), True
    reply = await collect(engine, Call(ASK, thinking_budget=2000, tools=TOOLS))
    messages = list(answered(reply))
    messages[1] = {**messages[1], "thinking_blocks": [{"type": "thinking", "thinking": "mine", "signature": "c2ln"}]}
    server.calls_tool = False
    await collect(engine, Call(tuple(messages), thinking_budget=2000, tools=TOOLS))
    (turn,) = [message for message in server.body["messages"] if message["role"] == "assistant"]
    assert turn["content"][0] == {"type": "thinking", "thinking": "mine", "signature": "c2ln"}


async def test_deepseeks_thought_goes_back_with_the_tools_result(server, at, collect: Put) -> None:
    engine, server.calls_tool = at(DEEPSEEK), True
    reply = await collect(engine, Call(ASK, tools=TOOLS))
    server.calls_tool = False
    await collect(engine, Call(answered(reply), tools=TOOLS))
    assert server.body["messages"][1]["reasoning_content"] == reply.thought != ""


async def test_geminis_signature_goes_back_with_the_call_itself(server, at, collect: Put) -> None:
    """LiteLLM carries it in the call's id, so every client sends it back."""
    server.calls_tool = True
    reply = await collect(at(PRO), Call(ASK, tools=TOOLS))
    server.calls_tool = False
    await collect(at(PRO), Call(answered(reply), tools=TOOLS))  # another engine: nothing was kept
    (part,) = [
        part
        for turn in server.body["contents"]
        for part in turn["parts"]
        if "function_call" in part or "functionCall" in part
    ]
    assert SIGNATURE in str(part)


# Prefill


@pytest.mark.parametrize(("model", "marked"), [(CLAUDE, False), (DEEPSEEK, True), (MISTRAL, True)])
async def test_an_answers_beginning_is_gone_on_with_where_that_can_be(server, at, collect: Put, model, marked) -> None:
    await collect(at(model), Call(ASK, thinking_budget=0, answer_prefix="The answer"))
    last = server.body["messages"][-1]
    assert last["role"] == "assistant"
    assert "The answer" in str(last["content"])
    assert last.get("prefix", False) is marked


@pytest.mark.parametrize(
    "call",
    [Call(ASK, answer_prefix="The answer"), Call(ASK, thought_prefix="so"), Call(rendered="text")],
    ids=["prefill", "thought", "raw"],
)
async def test_what_cannot_be_gone_on_with_is_refused(server, at, collect: Put, call: Call) -> None:
    with pytest.raises(BackendRejected, match="takes no"):
        await collect(at(GPT), call)
    assert server.requests == []


# Failures


@pytest.mark.parametrize("model", ONE_OF_EACH)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BackendRejected),
        (401, BackendRejected),
        (404, BackendRejected),
        (429, BackendUnavailable),
        (503, BackendUnavailable),
    ],
)
async def test_an_error_is_ours_with_the_providers_sentence_and_never_the_key(
    server, at, collect: Put, model, status, kind
) -> None:
    said = {"error": {"message": f"It does not like {KEY} today."}}
    server.script = [(status, {"retry-after": "7"}, said)] * 3
    with pytest.raises(BackendError) as caught:
        await collect(at(model), Call(ASK))
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.problem.startswith("It does not like (key) today.")
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert caught.value.retry_after == (7 if kind is BackendUnavailable else None)
    assert len(server.requests) == 1  # retries are the router's


async def test_no_connection_is_unavailable(at, collect: Put) -> None:
    for model in (GPT, CLAUDE, FLASH):
        with pytest.raises(BackendUnavailable):
            await collect(at(model, url="http://127.0.0.1:9"), Call(ASK))


async def test_a_model_of_a_provider_that_litellm_does_not_know_is_rejected(at, collect: Put) -> None:
    with pytest.raises(BackendRejected, match="Provider NOT provided"):
        await collect(at("nowhere/x"), Call(ASK))


@pytest.mark.parametrize("model", ONE_OF_EACH)
async def test_the_deadline_holds_while_a_stream_stalls_and_the_provider_notices(
    server, at, collect: Put, model
) -> None:
    server.stall = 5
    server.thinks = True
    with pytest.raises(BackendTimeout, match="not finished in 700 ms"):
        await collect(at(model), Call(ASK, thinking_budget=1024, deadline_ms=700))
    async with asyncio.timeout(5):
        await server.gone.wait()


@pytest.mark.parametrize("model", ONE_OF_EACH)
async def test_closing_the_stream_cancels_at_the_provider(server, at, model) -> None:
    server.stall = 12
    stream = at(model).stream(Call(ASK, thinking_budget=4096))
    if model == GPT:  # which shows no thought
        server.stall = 3
    await anext(stream)
    assert not server.gone.is_set()
    await stream.aclose()
    async with asyncio.timeout(5):
        await server.gone.wait()


# The engine


async def test_what_it_can_do_is_told_without_asking_anybody(server, at) -> None:
    able = await at(CLAUDE).capabilities()
    assert (able.thinks, able.switchable, able.tools, able.continues) == (True, True, True, False)
    assert (able.context or 0) >= 200_000
    assert (await at(PRO).capabilities()).switchable is False
    assert (await at("groq/nothing-known").capabilities()).thinks is None
    health = await at(CLAUDE).health()
    (info,) = await at(CLAUDE).models()
    assert (health.ready, info.id, server.requests) == (True, "claude-sonnet-4-5", [])


async def test_events_come_while_the_provider_still_speaks(server, at) -> None:
    server.stall = 10
    stream = at(CLAUDE).stream(Call(ASK, thinking_budget=1024))
    first = await anext(stream)
    assert isinstance(first, Thought)
    await stream.aclose()


def test_an_engine_can_be_used_from_one_event_loop_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `asyncio.run` in a script does; LiteLLM keeps connections of the loop before."""
    monkeypatch.setenv("THE_KEY", KEY)

    async def once(model: str) -> str:
        server = HostedStub()
        await server.start()
        config = {"engine": "hosted", "model": model, "url": server.url, "api_key_env": "THE_KEY"}
        engine = create("m", ModelConfig.model_validate(config))
        events = [event async for event in engine.stream(Call(ASK, thinking_budget=0))]
        await engine.aclose()
        await server.stop()
        return "".join(event.text for event in events if isinstance(event, Text))

    for model in (CLAUDE, FLASH):
        for _ in range(3):
            assert asyncio.run(once(model)) == "".join(ANSWER)


async def test_many_at_once_are_kept_apart(server, at, collect: Put) -> None:
    engine = at(FLASH)
    replies = await asyncio.gather(*(collect(engine, Call(ASK, thinking_budget=n)) for n in range(1, 17)))
    assert [reply.done.usage.thought for reply in replies] == list(range(1, 17))


def test_litellm_is_loaded_with_the_first_engine_and_keeps_to_itself() -> None:
    """It speaks to nobody but the provider: left alone, it fetches tokenizers and tables of prices. And it does not
    take up connections of an event loop that is gone, though nobody closed them."""
    code = """
import asyncio, os, socket, sys
from hosted_stub import HostedStub
from pointsman.backends import ModelConfig, create
from pointsman.domain import Call

hosts, resolve = set(), socket.getaddrinfo
def told(host, *rest, **more):
    hosts.add(str(host))
    return resolve("127.0.0.1", *rest, **more)
socket.getaddrinfo = told

async def main(close):
    server = HostedStub()
    await server.start()
    for model in MODELS:
        path = "" if model.startswith(("anthropic", "gemini")) else "/v1"
        config = ModelConfig(engine="hosted", model=model, url=server.url + path)
        engine = create("m", config)
        call = Call(({"role": "user", "content": "?"},), thinking_budget=2048)
        assert [event async for event in engine.stream(call)]
        if close:
            await engine.aclose()
    await server.stop()
    assert len(server.requests) == len(MODELS)

assert "litellm" not in sys.modules
for close in (False, False, True):
    asyncio.run(main(close))
assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True" and os.environ["LITELLM_MODE"] == "PRODUCTION"
assert hosts <= {"127.0.0.1", "b'127.0.0.1'"}, hosts
"""
    models = [*ONE_OF_EACH, "groq/llama-3.3-70b", "openai/gpt-4o"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environ.pop("HF_HUB_OFFLINE", None)
    run = [sys.executable, "-c", f"MODELS = {models}\n{code}"]
    done = subprocess.run(run, check=False, capture_output=True, text=True, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "model: provider/model"),
        ({"model": "claude"}, "model: provider/model"),
        ({"model": CLAUDE, "path": "x.gguf"}, "takes a url at most"),
        ({"model": CLAUDE, "dialect": "vllm"}, "give its url"),
        ({"model": CLAUDE, "budget": "two-pass"}, "budget does nothing for a model at a provider"),
        ({"model": CLAUDE, "slots": 2}, "slots does nothing"),
    ],
)
def test_a_wrong_configuration_is_told(settings: Json, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ModelConfig.model_validate({"engine": "hosted", **settings})


def test_a_key_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(ConfigError, match="not set"):
        create("m", ModelConfig(engine="hosted", model=CLAUDE, api_key_env="NO_KEY"))
