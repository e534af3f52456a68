"""From tokens to events."""

from __future__ import annotations

from contextlib import aclosing

from tiny_llamas import HELLO, OPENS, chained_model, engine, holding, run, tokenizer

from pointsman.backends.engine import Text, Thought
from pointsman.domain import Call, Finish


async def test_characters_come_whole(tmp_path):
    """A character of several tokens is one event, with all its tokens."""
    words = tokenizer(OPENS)
    euro = words.encode("€", add_special_tokens=False)
    assert len(euro) == 3
    folder = chained_model(tmp_path, OPENS, ["</think>", "x", *euro, "<|end|>"])
    async with engine(folder) as made:
        _, answer, done, events = await run(made, Call(HELLO, thinking_budget=0))
    assert answer == "x€"
    assert [(event.text, event.tokens) for event in events if isinstance(event, Text)] == [("x", 1), ("€", 3)]
    assert done.usage.answer == 5


async def test_blanks_round_the_marks_belong_to_neither_side(tmp_path):
    chain = ["<think>", "\n", "a", " ", "b", "\t", "</think>", "\r", "c", "\v", "<|end|>"]
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        thought, answer, done, _ = await run(made, Call(HELLO))
    assert (thought, answer) == ("a b", "c\v")
    assert done.continuation.thought == "\na b\t"  # verbatim, to go on from


async def test_a_stop_sequence_ends_the_answer_and_not_the_thought(tmp_path):
    """Text that may become one is held back; what stands before it is given; the thought may hold it."""
    folder = chained_model(tmp_path, OPENS, ["<think>", *"xyz", "</think>", *"abcd", "<|end|>"])
    async with engine(folder) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, stop=("cd", "yz")))
        assert (thought, answer, done.finish) == ("xyz", "ab", Finish.STOP)
        assert done.usage.answer == 4
        _, answer, _, _ = await run(made, Call(HELLO, stop=("dz",)))
        assert answer == "abcd"


async def test_tokens_come_as_they_are_made(thinker):
    """The first event arrives while the model waits to make the next tokens."""
    call = Call(HELLO, thinking_budget=400, max_answer_tokens=3)
    async with engine(thinker) as made, holding() as gate, aclosing(made.stream(call)) as stream:
        first = await anext(stream)
        gate.open.clear()
        assert isinstance(first, Thought)
        assert gate.passes < 400
