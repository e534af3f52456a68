"""From tokens to events."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest
from tiny_llamas import HELLO, OPENS, chained_model, engine, holding, run, tokenizer

from pointsman.backends.engine import Text, Thought
from pointsman.domain import Call, Finish

BROKEN = "q\N{REPLACEMENT CHARACTER}"


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


@pytest.mark.parametrize("limit", range(1, 18))
async def test_a_reply_that_is_cut_anywhere_and_gone_on_with_is_the_reply_in_one_piece(tmp_path, limit):
    """Also where the cut falls into a character or a stop sequence: what is not certain is made anew, and both calls
    are charged for what they made."""
    word = tokenizer(OPENS).encode("é€", add_special_tokens=False)
    chain = ["<think>", "a", *word[:2], "b", "</think>", "\n", "q", *word[2:], "r", *"zxvu", "<|end|>"]
    call = Call(HELLO, stop=("vw", "zxv"))
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        whole = await run(made, call)
        assert whole[:2] == ("aéb", "q€r")
        thought, answer, done, _ = await run(made, replace(call, max_tokens=limit, resumable=True))
        assert (done.finish, done.usage.output) == (
            (Finish.LENGTH, limit) if limit < whole[2].usage.output else (Finish.STOP, whole[2].usage.output)
        )
        if done.finish is Finish.LENGTH:
            budget = 0 if done.continuation.ended else None
            rest = replace(call, thought_prefix=thought, answer_prefix=answer, thinking_budget=budget)
            more_thought, more_answer, last, _ = await run(made, rest)
            assert last.finish is Finish.STOP
            thought, answer = thought + more_thought, answer + more_answer
    assert (thought, answer) == whole[:2]


async def test_a_reply_that_nothing_goes_on_from_is_given_out_to_its_last_byte(tmp_path):
    """Where the answer's own limit ends it, or the context; only the limit of the whole is gone on from."""
    first = tokenizer(OPENS).encode("é", add_special_tokens=False)[0]
    folder = chained_model(tmp_path, OPENS, ["</think>", "q", first, "z"])
    call = Call(HELLO, thinking_budget=0, max_tokens=2)
    async with engine(folder) as made:
        _, answer, done, _ = await run(made, call)
        assert (answer, done.finish) == (BROKEN, Finish.LENGTH)
        for total in (2, 9):
            bounded = replace(call, max_tokens=total, max_answer_tokens=2, resumable=True)
            assert (await run(made, bounded))[1] == BROKEN
        assert (await run(made, replace(call, resumable=True)))[1] == "q"
    for room, limit, said in ((2, 9, BROKEN), (2, 2, BROKEN), (3, 2, "q")):
        async with engine(folder, context=done.usage.prompt + room) as made:
            assert (await run(made, replace(call, max_tokens=limit, resumable=True)))[1] == said
