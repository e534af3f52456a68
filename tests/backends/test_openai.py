"""The engine for any OpenAI-compatible server, against a real small one that behaves and misbehaves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from pointsman.backends import Finished, Text, ToolCallDelta
from pointsman.domain import Call, Enforcement, Finish, Sampling, Usage
from pointsman.errors import BackendRejected, BackendUnavailable

ASK = ({"role": "user", "content": "What is one and one?"},)
CHAT = "/v1/chat/completions"


def chat(**fields: Any) -> Call:
    return Call(ASK, **fields)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
async def test_a_thought_is_read_under_every_name(stub, stubs, engine_at, collect, name: str) -> None:
    """And it never reaches the answer, however often its end marker is repeated."""
    stub.next.append(
        stubs.Reply(
            [
                stubs.sse(stubs.delta(role="assistant", content=None), stubs.delta(**{name: "let me "})),
                stubs.sse(stubs.delta(**{name: "see"}), stubs.delta(content="</thi"), stubs.delta(content="nk>\n")),
                stubs.sse(stubs.delta(content="two"), stubs.delta("stop"), stubs.usage(9, 6), b"[DONE]"),
            ]
        )
    )
    reply = await collect(engine_at(stub.url), chat())
    assert (reply.thought, reply.answer, reply.done.finish) == ("let me see", "two", Finish.STOP)
    assert reply.done.usage.prompt == 9
    assert reply.done.usage.output == 6
    assert reply.done.usage.thought >= 2


async def test_inline_markers_are_split_over_chunks_and_bytes(stub, stubs, engine_at, collect) -> None:
    """A server that parses nothing, sending one byte at a time: characters and markers come apart anywhere."""
    text = "<think>\nhm, größer 🧮</think>\n\nzwölf 🧮"
    stream = b"".join(
        b"data: " + json.dumps(stubs.delta(content=letter), ensure_ascii=False).encode() + b"\r\n\r\n"
        for letter in text
    )
    stream += stubs.sse(stubs.delta("stop"), b"[DONE]")
    stub.next.append(stubs.Reply([stream[place : place + 1] for place in range(len(stream))]))
    reply = await collect(engine_at(stub.url), chat())
    assert (reply.thought, reply.answer) == ("hm, größer 🧮", "zwölf 🧮")
    assert any("usage" in warning for warning in reply.done.warnings)
    assert reply.done.usage.prompt > 0


async def test_a_template_that_opens_the_thought_is_recognised_after_three_replies(
    stub, stubs, engine_at, collect
) -> None:
    """The first ones show it by an end marker without a beginning, and warn; the next does not leak."""
    whole = [stubs.delta(content="so two</think>"), stubs.delta(content="two"), stubs.delta("stop"), b"[DONE]"]
    stub.next += [stubs.Reply([stubs.sse(*whole)]) for _ in range(4)]
    engine = engine_at(stub.url)
    *before, last = [await collect(engine, chat()) for _ in range(4)]
    assert all(any("inline" in warning for warning in reply.done.warnings) for reply in before)
    assert (last.thought, last.answer) == ("so two", "two")


@pytest.mark.parametrize(
    ("told", "thought"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 40}}, 40),
        ({"reasoning_tokens": 41}, 41),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, 25),
        ({}, 25),
    ],
)
async def test_thoughts_are_counted_by_the_servers_word_or_by_ours(
    stub, stubs, engine_at, collect, told: dict[str, Any], thought: int
) -> None:
    """A count of 0 beside a thought is no word: then the server's total is shared out as the chunks came."""
    chunks = [stubs.delta(reasoning="a b"), stubs.delta(content="c d"), stubs.delta("stop")]
    stub.next.append(stubs.Reply([stubs.sse(*chunks, stubs.usage(9, 50, **told), b"[DONE]")]))
    reply = await collect(engine_at(stub.url), chat())
    assert reply.done.usage == Usage(9, 0, thought, 50 - thought)


async def test_tool_calls_log_probabilities_and_cached_tokens_come_through(stub, stubs, engine_at, collect) -> None:
    """Pieces of a tool call keep their order; a token's alternatives keep their names."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    logprobs = {"content": [{"token": "hi", "logprob": -0.5, "top_logprobs": [{"token": "ho", "logprob": -1.5}]}]}
    text = stubs.delta(content="hi")
    text["choices"][0]["logprobs"] = logprobs
    details = {"prompt_tokens_details": {"cached_tokens": 5}}
    chunks = [text, stubs.delta(tool_calls=[call]), stubs.delta(tool_calls=[rest]), stubs.delta("tool_calls")]
    stub.next.append(stubs.Reply([stubs.sse(*chunks, stubs.usage(9, 7, **details), b"[DONE]")]))
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    reply = await collect(engine_at(stub.url), chat(tools=(tool,), tool_choice="auto", logprobs=1))
    assert reply.tools == [ToolCallDelta(0, "c1", "add", '{"a"'), ToolCallDelta(0, None, None, ": 1}")]
    assert isinstance(reply.events[0], Text)
    assert reply.events[0].logprobs[0].top == (("ho", -1.5),)
    assert (reply.done.finish, reply.done.usage.cached) == (Finish.TOOL_CALLS, 5)
    sent = stub.bodies(CHAT)[0]
    assert (sent["tools"], sent["tool_choice"], sent["logprobs"], sent["top_logprobs"]) == ([tool], "auto", True, 1)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("ids", [("c1", "c2"), (None, None)])
async def test_tool_calls_without_an_index_are_kept_apart(
    stub, stubs, engine_at, collect, ids: tuple[str | None, str | None], apart: bool
) -> None:
    """A new id, or a name without one, begins another; what follows goes on with the last. In one chunk or several."""
    one = {"id": ids[0], "function": {"name": "add", "arguments": "{}"}}
    two = {"id": ids[1], "function": {"name": "sub", "arguments": '{"a"'}}
    rest = {"function": {"arguments": ": 1}"}}
    pieces = [[one], [two], [rest]] if apart else [[one, two], [rest]]
    chunks = [stubs.delta(tool_calls=calls) for calls in pieces]
    stub.next.append(stubs.Reply([stubs.sse(*chunks, stubs.delta("tool_calls"), b"[DONE]")]))
    reply = await collect(engine_at(stub.url), chat())
    assert [(call.index, call.name, call.arguments) for call in reply.tools] == [
        (0, "add", "{}"),
        (1, "sub", '{"a"'),
        (1, None, ": 1}"),
    ]


async def test_content_as_a_list_of_parts_is_read(stub, stubs, engine_at, collect) -> None:
    """Mistral's shape: thinking parts, then text parts."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    text = [{"type": "text", "text": "two"}]
    stub.next.append(
        stubs.Reply(
            [stubs.sse(stubs.delta(content=thinking), stubs.delta(content=text), stubs.delta("stop"), b"[DONE]")]
        )
    )
    reply = await collect(engine_at(stub.url), chat())
    assert (reply.thought, reply.answer) == ("hm", "two")


async def test_the_request_is_spelled_as_the_dialect_says(stub, engine_at, collect) -> None:
    """Sampling, limits and the switch go under the engine's names; `extra` passes but cannot take over ours."""
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=3, repetition_penalty=1.1, seed=7)
    extra = {"stream": False, "n": 4, "max_tokens": 1, "user": "me", "chat_template_kwargs": {"lang": "de"}}
    call = chat(thinking_budget=0, max_tokens=20, stop=("\n",), sampling=sampling, extra=extra)
    await collect(engine_at(stub.url, dialect="vllm"), call)
    sent = stub.bodies(CHAT)[0]
    assert sent["chat_template_kwargs"] == {"lang": "de", "enable_thinking": False, "thinking": False}
    assert (sent["max_completion_tokens"], sent["stop"], sent["seed"], sent["top_k"]) == (20, ["\n"], 7, 3)
    assert sent["repetition_penalty"] == 1.1
    assert sent["stream"] is True
    assert (sent["user"], sent["model"]) == ("me", "stub")
    assert not {"n", "max_tokens", "thinking_token_budget"} & set(sent)


async def test_what_an_engine_ignores_is_said(stub, engine_at, collect) -> None:
    """Nothing is dropped without a word."""
    call = chat(sampling=Sampling(top_k=3), grammar="root ::= [0-9]")
    reply = await collect(engine_at(stub.url), call)
    assert any("top_k" in warning for warning in reply.done.warnings)
    assert any("grammar" in warning for warning in reply.done.warnings)


@pytest.mark.parametrize("budget", [1, 5, 20, 51, 52, 53, 60, 200])
@pytest.mark.parametrize("how", ["keep", "ignore", "refuse"])
async def test_a_budget_is_real_whatever_the_server_makes_of_it(
    stub, stubs, engine_at, collect, budget: int, how: str
) -> None:
    """Kept natively, refused, or ignored: at most N tokens of thought (and the slack where it had to be found out),
    the same answer, and a truthful report."""
    stub.budget = how
    engine = engine_at(stub.url, dialect="vllm")
    reply = await collect(engine, chat(thinking_budget=budget))
    slack = 32 if how == "ignore" else 0
    assert stubs.THOUGHT.startswith(reply.thought.strip())
    assert len(reply.thought) <= budget + slack
    assert reply.answer == stubs.ANSWER
    cut = how == "ignore" and len(stubs.THOUGHT) >= budget + 32
    two = how == "refuse" or cut
    assert reply.done.enforced is (Enforcement.TWO_PASS if two else Enforcement.NATIVE)
    assert reply.done.usage.thought <= budget + 33
    if how == "keep":
        assert reply.done.usage.answer == len(stubs.ANSWER), "the closing marker is thought, not answer"
    if cut:
        assert any("ignored the thinking budget" in warning for warning in reply.done.warnings)
        again = await collect(engine, chat(thinking_budget=budget))
        assert len(again.thought) <= budget, "what was found out once is known from then on"


@pytest.mark.parametrize("dialect", ["lmstudio", "openai"])
async def test_a_limit_that_the_thought_may_eat_is_not_called_kept(
    stub, stubs, engine_at, collect, dialect: str
) -> None:
    """Where nothing but max_tokens can be sent: `none`, and a warning where the thought left too little."""
    reply = await collect(engine_at(stub.url, dialect=dialect), chat(max_tokens=20))
    assert (reply.answer, reply.done.finish, reply.done.enforced) == ("", Finish.LENGTH, Enforcement.NONE)
    assert any("share of the limit" in warning for warning in reply.done.warnings)
    roomy = await collect(engine_at(stub.url, dialect=dialect), chat(max_tokens=900))
    assert (roomy.answer, roomy.done.enforced) == (stubs.ANSWER, Enforcement.NONE)
    assert not any("limit" in warning for warning in roomy.done.warnings)


async def test_calls_beside_each_other_learn_together_that_budgets_are_refused(stub, stubs, engine_at, collect) -> None:
    """Each of them was planned before the first refusal; none of them fails by it."""
    stub.budget = "refuse"
    engine = engine_at(stub.url, dialect="vllm")
    replies = await asyncio.gather(*(collect(engine, chat(thinking_budget=5)) for _ in range(4)))
    assert {reply.answer for reply in replies} == {stubs.ANSWER}
    assert {reply.done.enforced for reply in replies} == {Enforcement.TWO_PASS}


async def test_calls_beside_each_other_learn_together_the_name_of_the_limit(stub, stubs, engine_at, collect) -> None:
    refusal = b'{"error": {"message": "Use max_completion_tokens instead."}}'
    stub.next += [stubs.Reply([refusal], status=400) for _ in range(4)]
    engine = engine_at(stub.url)
    replies = await asyncio.gather(*(collect(engine, chat(max_tokens=90)) for _ in range(4)))
    assert {reply.answer for reply in replies} == {stubs.ANSWER}


async def test_two_passes_go_on_from_the_same_text(stub, stubs, engine_at, collect) -> None:
    """The second request is the first's prompt, the thought so far, its end in the template's manner."""
    reply = await collect(engine_at(stub.url, dialect="vllm", budget="two-pass"), chat(thinking_budget=7))
    assert reply.thought == stubs.THOUGHT[:7]
    (sent,) = stub.bodies("/v1/completions")
    text = "".join(map(chr, sent["prompt"]))
    assert text == f"<user>{ASK[0]['content']}<assistant><think>\n{stubs.THOUGHT[:7]}\n</think>\n\n"
    assert stub.bodies(CHAT)[0]["max_completion_tokens"] == 7


@pytest.mark.parametrize("limit", [5, 8, 12, 40, 120])
async def test_a_limit_bounds_thought_and_answer_and_leaves_an_answer(stub, engine_at, collect, limit: int) -> None:
    """Also where the model would think without end: the answer has its share."""
    for how in ("auto", "two-pass"):
        reply = await collect(engine_at(stub.url, dialect="vllm", budget=how), chat(max_tokens=limit))
        assert reply.answer
        assert reply.done.usage.output <= limit
        assert len(reply.thought) <= limit - min(256, (limit + 1) // 2)


async def test_an_empty_answer_to_a_closed_thought_is_asked_for_again(stub, stubs, engine_at, collect) -> None:
    """With the engine's own way of forbidding an empty answer."""
    stub.mute = True
    reply = await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=5))
    assert reply.answer == stubs.ANSWER
    assert stub.bodies("/v1/completions")[-1]["min_tokens"] == 1


async def test_a_server_that_cannot_keep_a_budget_is_asked_to_and_says_so(stub, stubs, engine_at, collect) -> None:
    """`prompt`, with a warning: never `native`."""
    reply = await collect(engine_at(stub.url, dialect="lmstudio"), chat(thinking_budget=5))
    assert reply.done.enforced is Enforcement.PROMPT
    assert any("budget" in warning for warning in reply.done.warnings)
    assert "5 tokens" in stub.bodies(CHAT)[0]["messages"][0]["content"]


async def test_a_server_that_goes_on_thinking_is_found_out(stub, stubs, engine_at, collect) -> None:
    """Thinking off that was not obeyed is reported as none."""
    reply = await collect(engine_at(stub.url), chat(thinking_budget=0))
    assert reply.thought == stubs.THOUGHT
    assert reply.done.enforced is Enforcement.NONE
    assert any("went on thinking" in warning for warning in reply.done.warnings)


async def test_off_is_sent_as_off_never_as_a_budget_of_nothing(stub, stubs, engine_at, collect) -> None:
    """Budget 0 is lost on some engines, so the template's switch is what is sent."""
    reply = await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=0))
    assert (reply.thought, reply.answer, reply.done.usage.thought) == ("", stubs.ANSWER, 0)
    assert "thinking_token_budget" not in stub.bodies(CHAT)[0]


@pytest.mark.parametrize("how", ["auto", "two-pass"])
async def test_an_open_thought_and_an_answer_are_gone_on_with(stub, stubs, engine_at, collect, how: str) -> None:
    """Prefixes are where the model goes on from, and are not repeated."""
    engine = engine_at(stub.url, dialect="vllm", budget=how)
    thinking = await collect(engine, chat(thought_prefix=stubs.THOUGHT[:10], thinking_budget=6))
    assert stubs.THOUGHT[:10] + thinking.thought == stubs.THOUGHT[:16]
    assert thinking.answer == stubs.ANSWER
    assert thinking.done.continuation is not None
    assert thinking.done.continuation.thought.startswith(stubs.THOUGHT[:10])
    answering = await collect(engine, chat(answer_prefix=stubs.ANSWER[:4]))
    assert answering.answer == stubs.ANSWER[4:]


async def test_stop_sequences_end_the_answer_not_the_thought(stub, stubs, engine_at, collect) -> None:
    """'so' occurs in the thought; ',' ends the answer."""
    reply = await collect(engine_at(stub.url, dialect="vllm"), chat(stop=("so", ",")))
    assert (reply.thought, reply.answer, reply.done.finish) == (stubs.THOUGHT, "two", Finish.STOP)


async def test_a_stop_sequence_is_seen_though_the_reply_is_cut_in_its_middle(stub, stubs, engine_at, collect) -> None:
    """Where the call will be gone on with, and between the passes of a call: what could become one is made anew."""
    engine, thought = engine_at(stub.url, dialect="vllm"), len(stubs.THOUGHT) + 1
    over = await collect(engine, chat(thinking_budget=5, max_tokens=13, stop=(", I s",)))
    assert (over.answer, over.done.finish) == ("two, I ", Finish.LENGTH), "nothing goes on from it, so all is given out"
    for limit in range(1, 8):
        for budget, tokens in ((None, thought + limit), (0, limit)):
            call = chat(thinking_budget=budget, stop=(", I s", "Z"))
            cut = await collect(engine, replace(call, max_tokens=tokens, resumable=True))
            assert (cut.answer, cut.done.finish) == ("two"[:limit], Finish.LENGTH)
            assert cut.done.usage.output == tokens
            rest = replace(call, thinking_budget=0, thought_prefix=cut.thought, answer_prefix=cut.answer)
            more = await collect(engine, rest)
            assert (cut.answer + more.answer, more.done.finish) == ("two", Finish.STOP)
            assert stub.requests[-1][1]["stop"] == [", I s", "Z"]
        passes = engine_at(stub.url, dialect="vllm", budget="two-pass")
        both = await collect(passes, chat(thinking_budget=thought + limit, stop=(", I s",)))
        assert (both.thought, both.answer, both.done.finish) == (stubs.THOUGHT, "two", Finish.STOP)
        assert both.done.enforced is Enforcement.TWO_PASS


async def test_the_usage_is_read_although_the_answer_was_cut_here(stub, stubs, engine_at, collect) -> None:
    """It comes last, after the stop sequence; what is made on the way to it counts, but is not passed on."""
    texts = [stubs.delta(content=text) for text in ("two", ",", " I", " say")]
    stub.next.append(stubs.Reply([stubs.sse(*texts, stubs.delta("stop"), stubs.usage(777, 4), b"[DONE]")]))
    reply = await collect(engine_at(stub.url), chat(stop=(",",)))
    assert (reply.answer, reply.done.finish, reply.done.usage) == ("two", Finish.STOP, Usage(777, 0, 0, 4))
    assert reply.done.warnings == ()


async def test_an_answer_that_goes_on_long_after_its_stop_sequence_is_left(
    stub, stubs, engine_at, collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what comes and by time: the generation is cancelled, the prompt is estimated."""
    monkeypatch.setattr("pointsman.backends.exchange.READ_ON_S", 0.1)
    endless = [stubs.sse(stubs.delta(content=text)) for text in ("two", ",", *"abc")]
    for pieces in ([*endless, stubs.STALL], endless[:2] + [stubs.sse(stubs.delta(content="x"))] * 5000):
        stub.next.append(stubs.Reply(pieces))
        reply = await collect(engine_at(stub.url), chat(stop=(",",)))
        assert (reply.answer, reply.done.finish) == ("two", Finish.STOP)
        assert reply.done.usage.answer < 50
        await asyncio.wait_for(stub.gone.wait(), 2)
        stub.gone.clear()


async def test_an_answer_is_bounded_alone(stub, stubs, engine_at, collect) -> None:
    """max_answer_tokens leaves the thought as it is."""
    reply = await collect(engine_at(stub.url, dialect="vllm"), chat(max_answer_tokens=3))
    assert (reply.thought, reply.answer, reply.done.finish) == (stubs.THOUGHT, "two", Finish.LENGTH)


async def test_closing_the_stream_cancels_at_the_server(stub, stubs, engine_at) -> None:
    """The server sees its client go while it is still generating."""
    stub.next.append(stubs.Reply([stubs.sse(stubs.delta(content="a")), stubs.STALL]))
    stream = engine_at(stub.url).stream(chat())
    assert await anext(stream) == Text("a", 1)
    await stream.aclose()
    await asyncio.wait_for(stub.gone.wait(), 2)


async def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(stub, stubs, engine_at, collect) -> None:
    """OpenAI's reasoning models refuse max_tokens; elsewhere the newer name may be ignored, so the old one is first."""
    refusal = b'{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
    stub.next.append(stubs.Reply([refusal], status=400))
    engine = engine_at(stub.url)
    for _ in range(2):
        assert (await collect(engine, chat(max_tokens=50))).done.usage.output <= 50
    limits = [{"max_tokens", "max_completion_tokens"} & set(body) for body in stub.bodies(CHAT)]
    assert limits == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]


async def test_another_refusal_is_not_taken_for_one_of_the_budget(stub, stubs, engine_at, collect) -> None:
    """A 400 about anything else is the caller's."""
    stub.next.append(stubs.Reply([b'{"error": {"message": "no such thing"}}'], status=400))
    with pytest.raises(BackendRejected, match="no such thing"):
        await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=5))


async def test_a_stream_without_an_end_is_an_error_not_an_answer(stub, stubs, engine_at) -> None:
    """What came is given out, then the break is told."""
    stub.next.append(stubs.Reply([stubs.sse(stubs.delta(content="half"))]))
    stream = engine_at(stub.url).stream(chat())
    assert await anext(stream) == Text("half", 1)
    with pytest.raises(BackendUnavailable, match="broke off"):
        await anext(stream)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [5]},
        {"choices": {"a": 1}},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {"tool_calls": ["zzz"]}}]},
        {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]},
        {"choices": [], "usage": {"completion_tokens": "many"}},
        {"choices": [], "timings": "fast", "usage": [1]},
    ],
)
async def test_a_reply_of_another_shape_is_the_servers_failure(
    stub, stubs, engine_at, collect, chunk: dict[str, Any]
) -> None:
    """BackendUnavailable, so that another route can answer; never a KeyError."""
    stub.next.append(stubs.Reply([stubs.sse(chunk, stubs.delta("stop"), b"[DONE]")]))
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        await collect(engine_at(stub.url, dialect="vllm"), chat())


async def test_log_probabilities_without_alternatives_are_read(stub, stubs, engine_at, collect) -> None:
    """Some servers leave `top_logprobs` out where none were asked for."""
    text = stubs.delta(content="hi")
    text["choices"][0]["logprobs"] = {"content": [{"token": "hi", "logprob": -0.5}]}
    stub.next.append(stubs.Reply([stubs.sse(text, stubs.delta("stop"), b"[DONE]")]))
    reply = await collect(engine_at(stub.url), chat(logprobs=0))
    assert (reply.events[0].logprobs[0].logprob, reply.events[0].logprobs[0].top) == (-0.5, ())


@pytest.mark.parametrize("body", [b"{}", b"[]", b"5", b'{"data": [7]}'])
async def test_side_endpoints_that_answer_something_else_are_the_servers_failure(
    stub, stubs, engine_at, body: bytes
) -> None:
    """Such as the address of a web application that says yes to everything."""
    stub.always = body
    for dialect in ("llamacpp", "vllm"):
        engine = engine_at(stub.url, dialect=dialect)
        with pytest.raises(BackendUnavailable):
            await engine.capabilities()
        with pytest.raises(BackendUnavailable):
            await engine.count_tokens("four")
        with pytest.raises(BackendUnavailable):
            await engine.render(ASK)


async def test_models_capabilities_health_render_and_count(stub, engine_at) -> None:
    """What a vLLM-shaped server tells of itself."""
    engine = engine_at(stub.url, dialect="vllm")
    assert [info.id for info in await engine.models()] == ["stub"]
    assert (await engine.capabilities()).context == 2048
    assert (await engine.health()).ready
    assert await engine.render(ASK, thinking=False) == ("<user>What is one and one?<assistant><think>\n\n</think>\n\n")
    assert await engine.count_tokens("four") == 4
    with pytest.raises(BackendRejected, match="cannot count"):
        await engine_at(stub.url).count_tokens("four")


async def test_a_reply_has_its_times(stub, engine_at, collect) -> None:
    """First token before the end, in milliseconds."""
    done = (await collect(engine_at(stub.url), chat())).done
    assert isinstance(done, Finished)
    assert done.timings.first_token_ms is not None
    assert 0 < done.timings.first_token_ms <= done.timings.total_ms
    assert done.model == "stub"


async def test_the_blanks_of_an_empty_thought_are_no_thought(stub, stubs, engine_at, collect) -> None:
    """transformers serve tells the empty thought that the template wrote as `\\n`."""
    chunks = [stubs.delta(reasoning_content="\n"), stubs.delta(content="two"), stubs.delta("stop"), stubs.usage(9, 3)]
    stub.next.append(stubs.Reply([stubs.sse(*chunks, b"[DONE]")]))
    reply = await collect(engine_at(stub.url), chat(thinking_budget=0))
    assert (reply.thought, reply.answer, reply.done.usage.thought) == ("", "two", 0)
    assert not reply.done.warnings


async def test_a_raw_call_without_a_limit_gets_what_the_context_leaves(stub, engine_at, collect) -> None:
    """The old endpoint's own limit is 16 tokens: a thought that is gone on with would end there."""
    engine = engine_at(stub.url, dialect="vllm", model="stub")
    reply = await collect(engine, chat(thought_prefix="one and"))
    (body,) = stub.bodies("/v1/completions")
    assert body["max_tokens"] == 2048 - len(body["prompt"])
    assert reply.answer == "two, I say"
    bounded = await collect(engine, chat(thought_prefix="one and", max_tokens=12))
    assert bounded.done.usage.output <= 12


async def test_a_blank_answer_is_asked_for_again_without_the_thought_where_it_cannot_be_forbidden(
    stub, stubs, engine_at, collect, tmp_path
) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}<think>\n")
    engine = engine_at(stub.url, dialect="transformers_serve", model="stub", thinks=True, template=template)
    thought = stubs.delta(reasoning_content="so two")
    stub.next.append(stubs.Reply([stubs.sse(thought, stubs.delta("length"), stubs.usage(9, 2), b"[DONE]")]))
    blank = {"choices": [{"index": 0, "text": "\n", "finish_reason": "stop"}]}
    stub.next.append(stubs.Reply([stubs.sse(blank, stubs.usage(12, 2), b"[DONE]")]))
    answer = [stubs.delta(content="two"), stubs.delta("stop"), stubs.usage(9, 2)]
    stub.next.append(stubs.Reply([stubs.sse(*answer, b"[DONE]")]))
    reply = await collect(engine, chat(thinking_budget=2))
    assert (reply.thought, reply.answer) == ("so two", "two")
    assert any("came out empty" in warning for warning in reply.done.warnings)
    assert reply.done.usage.answer == 4, "the blank one's tokens are charged, too"


async def test_a_refusal_that_comes_in_the_stream_is_a_refusal(stub, stubs, engine_at, collect) -> None:
    """vLLM says so after a status of 200; the budget is then kept in two passes."""
    refusal = {"error": {"message": "thinking_token_budget is set but …", "type": "BadRequestError", "code": 400}}
    stub.next.append(stubs.Reply([stubs.sse(refusal, b"[DONE]")]))
    reply = await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=5))
    assert (reply.done.enforced, reply.answer) == (Enforcement.TWO_PASS, stubs.ANSWER)
    stub.next.append(stubs.Reply([stubs.sse({"error": {"message": "wrong", "code": 422}}, b"[DONE]")]))
    with pytest.raises(BackendRejected, match="wrong"):
        await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=0))
    for busy in ({"message": "busy", "code": 429}, {"message": "broken", "code": 500}, "plain"):
        stub.next.append(stubs.Reply([stubs.sse({"error": busy}, b"[DONE]")]))
        with pytest.raises(BackendUnavailable, match="in the stream"):
            await collect(engine_at(stub.url, dialect="vllm"), chat(thinking_budget=0))
