"""Ollama by its own API, on a stub that behaves as its documents and code say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from ollama_stub import JSON_ANSWER, NAME, TOO_LONG, OllamaStub
from stub import ANSWER, THOUGHT

from pointsman.backends import Engine, ModelConfig, Thought, ToolCallDelta, create
from pointsman.domain import Call, Enforcement, Finish, Usage
from pointsman.errors import BackendRejected, BackendUnavailable

ASK = ({"role": "user", "content": "How much is one and one?"},)
CHAT, RAW = "/api/chat", "/api/generate"
TEMPLATE = """{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}<assistant><think>
{% if enable_thinking is defined and not enable_thinking %}

</think>

{% endif %}"""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
async def server() -> AsyncIterator[OllamaStub]:
    stub = OllamaStub()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def at() -> AsyncIterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(server: OllamaStub, **settings: Any) -> Engine:
        given = {"url": f"{server.url}/v1", "dialect": "ollama", "model": NAME, **settings}
        made.append(create("stub", ModelConfig.model_validate(given)))
        return made[-1]

    yield make
    for engine in made:
        await engine.aclose()


def chat(**more: Any) -> Call:
    return Call(ASK, **more)


@pytest.mark.parametrize("bare", [False, True])
async def test_thinking_is_on_or_off_as_asked(server, at, collect, bare: bool) -> None:
    """By `think`, to the native path, whether the url ends in /v1 or not; counts are of thought and answer."""
    engine = at(server, url=server.url if bare else f"{server.url}/v1")
    on = await collect(engine, chat())
    assert (on.thought, on.answer, on.done.finish) == (THOUGHT, ANSWER, Finish.STOP)
    assert on.done.usage == Usage(on.done.usage.prompt, 0, len(THOUGHT), len(ANSWER))
    off = await collect(engine, chat(thinking_budget=0))
    assert (off.thought, off.answer, off.done.enforced) == ("", ANSWER, Enforcement.NATIVE)
    assert off.done.usage.output == len(ANSWER)
    assert off.done.usage.prompt > len(ASK[0]["content"])
    assert off.done.timings.prompt_ms == 2
    assert [body["think"] for body in server.bodies(CHAT)] == [True, False]
    assert all(body["truncate"] is False for body in server.bodies(CHAT))


async def test_a_model_that_cannot_be_off_is_found_out(server, at, collect) -> None:
    """gpt-oss ignores `think: false`: the answer's own word is `none`, and what it can do says so before."""
    server.name, server.always, server.values = "gpt-oss:20b", True, ["low", "medium", "high"]
    engine = at(server, model=server.name)
    assert (await engine.capabilities()).switchable is False
    reply = await collect(engine, chat(thinking_budget=0))
    assert reply.done.enforced is Enforcement.NONE
    assert any("went on thinking" in warning for warning in reply.done.warnings)


@pytest.mark.parametrize("told", [True, False])
async def test_a_model_that_does_not_think_is_never_asked_to(server, at, collect, told: bool) -> None:
    """A truthy `think` would be a 400. Where the server does not tell, one refusal is enough."""
    server.thinks, server.able = False, told
    engine = at(server)
    for budget in (None, 7, 0):
        reply = await collect(engine, chat(thinking_budget=budget))
        assert (reply.answer, reply.done.enforced) == (ANSWER, Enforcement.NATIVE)
    asked = [body.get("think") for path, body in server.requests if path == CHAT]
    assert [one for one in asked if one] == ([] if told else [True])


async def test_thoughts_that_the_server_does_not_know_of_are_kept_within_budgets(server, at, collect) -> None:
    """A model brought in without its template: the server refuses `think`, the owner says that it thinks."""
    server.thinks, server.inline = False, True
    engine = at(server, thinks=True)
    for budget in (7, 7, None):
        reply = await collect(engine, chat(thinking_budget=budget))
        assert (reply.thought, reply.answer) == (THOUGHT[: budget and budget - 1], ANSWER)
        assert reply.done.enforced is (Enforcement.TWO_PASS if budget else Enforcement.NATIVE)
    asked = [body.get("think") for path, body in server.requests if path == CHAT]
    assert [one for one in asked if one] == [True], "one refusal is enough"
    assert (await engine.capabilities()).switchable is True
    off = await collect(engine, chat(thinking_budget=0))
    assert (off.thought, off.done.enforced) == ("", Enforcement.TWO_PASS), "the thought is closed in the prompt"
    assert off.answer == ANSWER


async def test_the_context_goes_with_every_request_and_never_changes(server, at, collect) -> None:
    """Another num_ctx would load the model anew: also probes, raw passes, rendering and the caller's own fields keep
    it."""
    engine = at(server, context=512, keep_alive="30m")
    await collect(engine, chat(max_tokens=5, extra={"options": {"num_ctx": 9999, "mirostat": 1}}))
    await collect(engine, chat(thinking_budget=4, max_tokens=400))
    await collect(engine, chat(thinking_budget=0))
    sent = [body for path, body in server.requests if path in (CHAT, RAW)]
    assert len(sent) > 3
    assert {body["options"]["num_ctx"] for body in sent} == {512}
    assert {body["keep_alive"] for body in sent} == {"30m"}
    assert server.loads == 1
    assert any(body["options"].get("mirostat") == 1 for body in sent)
    assert (await engine.capabilities()).context == 512


async def test_the_servers_own_context_is_told_where_it_is_known(server, at, collect) -> None:
    """Of the loaded model, or as its file sets it; what it could take at most is not what it has."""
    assert (await at(server).capabilities()).context is None
    server.parameters = 'stop    "<|im_end|>"\nnum_ctx                        16384\n'
    assert (await at(server).capabilities()).context == 16384
    await collect(at(server), chat())
    engine = at(server)
    assert (await engine.capabilities()).context == 4096
    assert await engine.loaded() == (NAME,)
    assert "num_ctx" not in server.bodies(CHAT)[0]["options"]
    assert "keep_alive" not in server.bodies(CHAT)[0]


async def test_a_prompt_that_is_too_long_is_an_error_and_not_cut(server, at, collect) -> None:
    engine = at(server, context=64)
    with pytest.raises(BackendRejected, match=TOO_LONG):
        await collect(engine, Call(({"role": "user", "content": "x" * 100},), thinking_budget=0))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("budget", [1, 4, 17, 5000])
async def test_a_budget_is_kept_by_two_passes(server, at, collect, tmp_path: Path, own: bool, budget: int) -> None:
    """On the prompt that the server renders, or that our template does; the second pass goes on from that text, as raw
    text that Ollama takes no thought out of."""
    settings: dict[str, Any] = {}
    if own:
        (tmp_path / "chat.jinja").write_text(TEMPLATE)
        settings["template"] = tmp_path / "chat.jinja"
        server.renders = False
    reply = await collect(at(server, **settings), chat(thinking_budget=budget))
    assert (reply.thought, reply.answer) == (THOUGHT[:budget], ANSWER)
    assert reply.done.enforced is Enforcement.TWO_PASS
    assert (reply.done.usage.thought, reply.done.usage.answer) == (min(budget, len(THOUGHT)), len(ANSWER))
    assert server.bodies(CHAT)[0]["options"]["num_predict"] == budget
    if budget < len(THOUGHT):
        (sent,) = server.bodies(RAW)
        assert sent["prompt"] == f"<user>{ASK[0]['content']}<assistant><think>\n{THOUGHT[:budget]}\n</think>\n\n"
        assert (sent["raw"], sent["think"]) == (True, False)


async def test_without_a_rendered_prompt_a_budget_is_only_asked_for(server, at, collect) -> None:
    """An old server ignores the request to render, and generates one token for it; the route says `prompt`."""
    server.renders = False
    engine = at(server)
    for _ in range(2):
        reply = await collect(engine, chat(thinking_budget=5))
        assert (reply.answer, reply.done.enforced) == (ANSWER, Enforcement.PROMPT)
        assert any("budget" in warning for warning in reply.done.warnings)
    asked = [body for _, body in server.requests if "_debug_render_only" in body]
    assert [body["options"]["num_predict"] for body in asked] == [1]
    assert "5 tokens" in server.bodies(CHAT)[0]["messages"][0]["content"]
    assert server.bodies(RAW) == []


async def test_a_limit_leaves_an_answer(server, at, collect) -> None:
    """num_predict is of thought and answer together, so the thought is cut for it."""
    reply = await collect(at(server), chat(max_tokens=30))
    assert reply.answer == ANSWER
    assert reply.done.usage.output <= 30
    assert reply.done.enforced is Enforcement.TWO_PASS


async def test_a_thought_and_an_answer_are_gone_on_with(server, at, collect) -> None:
    """From a kept thought, open; from the beginning of an answer."""
    engine = at(server)
    thought = await collect(engine, chat(thought_prefix=THOUGHT[:10], thinking_budget=500))
    assert (thought.thought, thought.answer) == (THOUGHT[10:], ANSWER)
    answer = await collect(engine, chat(thought_prefix=THOUGHT, thinking_budget=0, answer_prefix=ANSWER[:4]))
    assert (answer.thought, answer.answer) == ("", ANSWER[4:])


@pytest.mark.parametrize("budget", [None, 0, 6])
async def test_a_schema_binds_the_answer_and_counts_stay_true(server, at, collect, budget: int | None) -> None:
    """Ollama asks twice and counts the second time alone: the thought's tokens are added."""
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    reply = await collect(at(server), chat(thinking_budget=budget, response_format=wanted))
    assert reply.thought == THOUGHT[:budget]
    assert json.loads(reply.answer) == {"n": 2}
    assert reply.done.usage.thought == len(reply.thought)
    assert reply.done.usage.answer == len(JSON_ANSWER)
    assert (server.bodies(RAW) or server.bodies(CHAT))[-1]["format"] == SCHEMA
    plain = await collect(at(server), chat(thinking_budget=0, response_format={"type": "json_object"}))
    assert plain.answer == JSON_ANSWER
    assert server.bodies(CHAT)[-1]["format"] == "json"


async def test_tool_calls_come_whole_and_are_told_apart(server, at, collect) -> None:
    """Their arguments are JSON text, as OpenAI has them; a choice of `none` leaves the tools out, as it is ignored."""
    reply = await collect(at(server), chat(tools=(TOOL,), tool_choice="auto"))
    assert reply.tools == [ToolCallDelta(0, "call_0", "add", '{"a":1}'), ToolCallDelta(1, "call_x", "add", '{"a":1}')]
    assert reply.done.finish is Finish.TOOL_CALLS
    assert "tool_choice" not in server.bodies(CHAT)[0]
    must = await collect(at(server), chat(tools=(TOOL,), tool_choice="required", thinking_budget=0))
    assert (must.answer, must.tools[0].name, must.done.finish) == ("", "add", Finish.TOOL_CALLS)
    assert server.bodies(CHAT)[-1]["format"] == TOOL["function"]["parameters"], "bound by the function's own schema"
    none = await collect(at(server), chat(tools=(TOOL,), tool_choice="none"))
    assert (none.tools, none.answer) == ([], ANSWER)


async def test_log_probabilities_and_sampling_are_spelled_as_options(server, at, collect) -> None:
    sampling = {"temperature": 0.0, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "seed": 7, "repetition_penalty": 1.1}
    from pointsman.domain import Sampling

    call = chat(thinking_budget=0, logprobs=2, stop=("say",), sampling=Sampling(**sampling))
    reply = await collect(at(server), call)
    assert reply.answer == ANSWER.partition("say")[0]
    assert [text.logprobs[0].token for text in reply.events] == list(reply.answer)
    assert len(reply.events[0].logprobs[0].top) == 2
    (sent,) = server.bodies(CHAT)
    assert sent["options"] == {
        **{key: value for key, value in sampling.items() if key != "repetition_penalty"},
        "repeat_penalty": 1.1,
        "stop": ["say"],
    }
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 2)
    assert not {"stream_options", "temperature", "max_tokens", "reasoning_effort"} & sent.keys()


@pytest.mark.parametrize(
    ("effort", "values", "think"),
    [
        ("high", ["low", "medium", "high"], "high"),
        ("minimal", ["low", "medium", "high"], "low"),
        ("xhigh", ["low", "high", "max"], "max"),
        ("xhigh", ["low", "medium", "high"], True),
        ("high", [True, False], True),
        ("high", None, True),
    ],
)
async def test_an_effort_is_sent_in_the_models_own_words_only(
    server, at, collect, effort: str, values: list[Any] | None, think: Any
) -> None:
    """Another word is a 400 on some versions: then thinking is just on."""
    server.values = values
    await collect(at(server), chat(extra={"reasoning_effort": effort}))
    assert server.bodies(CHAT)[0]["think"] == think


@pytest.mark.parametrize(("values", "think"), [(["high", "low", "medium"], "low"), ([True, False], True), (None, True)])
async def test_the_least_thought_is_the_lowest_level(server, at, collect, values: list[Any] | None, think: Any) -> None:
    """Of those that the server lists: what is known of the family is no word that it must understand."""
    server.name, server.values, server.always = "gpt-oss:20b", values, True
    await collect(at(server, model=server.name), chat(least=True, extra={"reasoning_effort": "high"}))
    assert server.bodies(CHAT)[0]["think"] == think


async def test_an_error_in_the_stream_is_an_error(server, at) -> None:
    """With what came before it passed on."""
    server.breaks_after = 5
    seen: list[str] = []

    async def listened() -> None:
        async for event in at(server).stream(chat()):
            assert isinstance(event, Thought)
            seen.append(event.text)

    with pytest.raises(BackendUnavailable, match="while running the model"):
        await listened()
    assert "".join(seen) == THOUGHT[:5]


async def test_a_full_queue_is_unavailable_and_an_unknown_model_is_named(server, at, collect) -> None:
    engine = at(server)
    await engine.capabilities()
    server.full = True
    with pytest.raises(BackendUnavailable, match="maximum pending") as caught:
        await collect(engine, chat(thinking_budget=0))
    assert caught.value.status == 503
    with pytest.raises(BackendRejected, match="'qwen9' not found"):
        await collect(at(server, model="qwen9"), chat())


async def test_a_call_that_is_closed_is_cancelled_at_the_server(server, at) -> None:
    server.stalls = True
    async with aclosing(at(server).stream(chat())) as events:
        async for _ in events:
            break
    await asyncio.wait_for(server.gone.wait(), 5)


async def test_models_and_health_are_told(server, at) -> None:
    """Also with a bare address, and the first model is taken where none is named."""
    engine = at(server, url=server.url, model=None)
    (model,) = await engine.models()
    assert (model.id, model.parameters) == (NAME, 0.6)
    assert (await engine.health()).ready
    able = await engine.capabilities()
    assert (able.thinks, able.switchable, able.tools, able.continues) == (True, True, True, True)
    assert (await engine.render(ASK)).endswith("<think>\n")
    assert await engine.loaded() == (NAME,)
