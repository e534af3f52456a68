"""Thoughts that a server passes on in the text, with nothing but their end marked."""

from __future__ import annotations

from typing import Any

from pointsman.backends import Text
from pointsman.domain import Call, Finish

ASK = Call(({"role": "user", "content": "What is one and one?"},))
SPEAKS_OF_IT = "the marker </think> ends a thought"


def replies(stub: Any, stubs: Any, *texts: str, finish: str = "stop") -> None:
    """Let the server answer with these texts, unparsed, one reply each."""
    for text in texts:
        words = [stubs.delta(content=word + " ") for word in text.split(" ")]
        stub.next.append(stubs.Reply([stubs.sse(*words, stubs.delta(finish), b"[DONE]")]))


async def test_an_answer_that_speaks_of_the_marker_changes_nothing_for_the_next(
    stub, stubs, engine_at, collect
) -> None:
    """Nor do many markers in one answer; whoever asks next gets an answer, not a thought."""
    engine = engine_at(stub.url)
    replies(stub, stubs, SPEAKS_OF_IT, SPEAKS_OF_IT, "</think> " + SPEAKS_OF_IT + SPEAKS_OF_IT, "Hello there")
    for _ in range(3):
        assert (await collect(engine, ASK)).thought == ""
    last = await collect(engine, ASK)
    assert (last.thought, last.answer.strip()) == ("", "Hello there")


async def test_not_even_the_first_reply_leaks_where_the_prompt_shows_an_open_thought(
    stub, stubs, engine_at, collect
) -> None:
    replies(stub, stubs, "so two</think>two", "so two</think>two")
    engine = engine_at(stub.url, dialect="vllm")
    for _ in range(2):
        reply = await collect(engine, ASK)
        assert (reply.thought, reply.answer.strip()) == ("so two", "two")
        assert not any("inline" in warning for warning in reply.done.warnings)


async def test_the_familys_table_tells_it_where_no_prompt_is_shown(stub, stubs, engine_at, collect) -> None:
    replies(stub, stubs, "so two</think>two", "so three</think>three")
    engine = engine_at(stub.url, dialect="openai", model="Qwen3.5-9B")
    for said in ("two", "three"):
        reply = await collect(engine, ASK)
        assert (reply.thought, reply.answer.strip()) == (f"so {said}", said)


async def test_a_server_that_keeps_thoughts_apart_is_known_by_its_first_thought(
    stub, stubs, engine_at, collect
) -> None:
    """Its text is the answer, marker or not; replies without a thought are answers, too."""
    engine = engine_at(stub.url, dialect="vllm")
    replies(stub, stubs, "Hello there")
    assert (await collect(engine, ASK)).answer.strip() == "Hello there"
    apart = [stubs.delta(reasoning="hm"), stubs.delta(content=SPEAKS_OF_IT), stubs.delta("stop")]
    stub.next.append(stubs.Reply([stubs.sse(*apart, b"[DONE]")]))
    first = await collect(engine, ASK)
    assert (first.thought, first.answer) == ("hm", SPEAKS_OF_IT)
    replies(stub, stubs, SPEAKS_OF_IT)
    assert (await collect(engine, ASK)).answer.strip() == SPEAKS_OF_IT


async def test_replies_that_never_have_a_thought_are_held_back_no_more(stub, stubs, engine_at) -> None:
    """After three of them the text comes as it is made."""
    engine = engine_at(stub.url, dialect="vllm")
    pieces = []
    for _ in range(4):
        replies(stub, stubs, "one two three")
        pieces.append(len([event async for event in engine.stream(ASK) if isinstance(event, Text)]))
    assert pieces == [1, 1, 1, 3]


async def test_what_was_cut_before_its_marker_is_a_thought(stub, stubs, engine_at, collect) -> None:
    engine = engine_at(stub.url, dialect="vllm")
    replies(stub, stubs, "so I think", finish="length")
    stub.next.append(stubs.Reply([stubs.sse(stubs.delta(content="two"), stubs.delta("stop"), b"[DONE]")]))
    reply = await collect(engine, ASK)
    assert reply.thought == "so I think"


async def test_a_server_that_parses_thoughts_is_not_taken_for_one_that_does_not(
    stub, stubs, engine_at, collect
) -> None:
    """Its template opens the thought too, but one of its answers, without a thought, spoke of the marker."""
    replies(stub, stubs, SPEAKS_OF_IT)
    engine = engine_at(stub.url, dialect="vllm")
    await collect(engine, ASK)
    for _ in range(2):
        reply = await collect(engine, ASK)
        assert (reply.thought, reply.answer) == (stubs.THOUGHT, stubs.ANSWER)


async def test_what_was_taken_for_a_thought_without_an_end_is_the_answer(stub, stubs, engine_at, collect) -> None:
    """After replies that all had a marker: the text is given out as the answer, with a warning, and it ends there."""
    engine = engine_at(stub.url)
    replies(stub, stubs, *[SPEAKS_OF_IT] * 3, "Hello there", "Hello again")
    for _ in range(3):
        await collect(engine, ASK)
    healed, next_one = await collect(engine, ASK), await collect(engine, ASK)
    assert (healed.answer.strip(), healed.done.usage.thought, healed.done.continuation) == ("Hello there", 0, None)
    assert any("no end marker" in warning for warning in healed.done.warnings)
    assert (next_one.thought, next_one.answer.strip()) == ("", "Hello again")


async def test_a_thought_that_ran_into_the_limit_stays_a_thought(stub, stubs, engine_at, collect) -> None:
    """Its marker was still to come."""
    engine = engine_at(stub.url)
    replies(stub, stubs, *["so two</think>two"] * 3)
    replies(stub, stubs, "so I think", finish="length")
    for _ in range(3):
        await collect(engine, ASK)
    reply = await collect(engine, ASK)
    assert (reply.thought.strip(), reply.answer, reply.done.finish) == ("so I think", "", Finish.LENGTH)


async def test_markers_are_asked_for_until_it_is_known_that_the_server_keeps_thoughts_apart(
    stub, stubs, engine_at, collect
) -> None:
    """vLLM drops control tokens from its text, the markers of a thought among them."""
    engine = engine_at(stub.url, dialect="vllm")
    await collect(engine, ASK)
    await collect(engine, ASK)
    first, second = stub.bodies("/v1/chat/completions")
    assert first["skip_special_tokens"] is False
    assert "skip_special_tokens" not in second, "it came apart"
    replies(stub, stubs, "so two</think>two", "so two</think>two")
    unparsed = engine_at(stub.url, dialect="vllm")
    for _ in range(2):
        await collect(unparsed, ASK)
    assert [body["skip_special_tokens"] for body in stub.bodies("/v1/chat/completions")[2:]] == [False, False]


async def test_empty_thoughts_do_not_end_telling_apart(stub, stubs, engine_at, collect) -> None:
    engine = engine_at(stub.url, dialect="openai", model="Qwen3.5-9B")
    replies(stub, stubs, *["\n</think>\n\n7"] * 3, "secret sum</think>7")
    for _ in range(3):
        assert (await collect(engine, ASK)).answer.strip() == "7"
    last = await collect(engine, ASK)
    assert (last.thought, last.answer.strip()) == ("secret sum", "7")


async def test_what_was_held_back_is_counted(stub, stubs, engine_at, collect) -> None:
    words = [stubs.delta(content=one) for one in (*["so "] * 40, "</think>", *["7"] * 5)]
    stub.next.append(stubs.Reply([stubs.sse(*words, stubs.delta("stop"), stubs.usage(9, 46), b"[DONE]")]))
    usage = (await collect(engine_at(stub.url, dialect="openai", model="Qwen3.5-9B"), ASK)).done.usage
    assert (usage.thought, usage.answer) == (41, 5)
