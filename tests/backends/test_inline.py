"""Thoughts that a server passes on in the text, with nothing but their end marked."""

from __future__ import annotations

from typing import Any

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


async def test_one_sighting_is_settled_by_the_rendered_prompt(stub, stubs, engine_at, collect) -> None:
    """Where the server shows that the template opens the thought, the second reply is read right already."""
    replies(stub, stubs, "so two</think>two", "so two</think>two")
    engine = engine_at(stub.url, dialect="vllm")
    first, second = await collect(engine, ASK), await collect(engine, ASK)
    assert any("inline" in warning for warning in first.done.warnings)
    assert (second.thought, second.answer.strip()) == ("so two", "two")


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
