"""What a mode promises, on every engine: off is off, a budget is a budget, nothing leaks, nothing is lost.

digits thinks in one way only: at temperature 0 a thought that is cut is the beginning of the whole one, and a character
is a token, so that all of it can be checked exactly.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import injections
import pytest
from real_engines import DIGITS, Opened
from tokenizers import Tokenizer

from pointsman.backends import Engine, Finished, Text, Thought, ToolCallDelta, prepare
from pointsman.domain import Call, Enforcement, Finish, Json, Price, Query, Route, Sampling

pytestmark = [  # LiteLLM's own
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance is deprecated"),
]

QUESTION = "3+4+9+1+2"
BUDGETS = (1, 4, 8, 17, 32)
GREEDY = Sampling(temperature=0.0)
COUNTER = Tokenizer.from_file(str(DIGITS / "tokenizer.json"))


class Reply:
    """What a call came to."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events[:-1]
        self.done: Finished = events[-1]
        assert isinstance(self.done, Finished)
        self.thought = "".join(one.text for one in events if isinstance(one, Thought))
        self.answer = "".join(one.text for one in events if isinstance(one, Text))
        self.arguments = "".join(one.arguments for one in events if isinstance(one, ToolCallDelta))


async def ask(engine: Engine, call: Call) -> Reply:
    async with aclosing(engine.stream(call)) as events:
        return Reply([event async for event in events])


def said(text: str = QUESTION, mode: str = "think", budget: int | None = None, **fields: Any) -> Call:
    """The call of a route in this mode with this budget."""
    query = Query(({"role": "user", "content": text},), sampling=GREEDY)
    made = prepare(query, Route("r", "m", mode, budget, Price(0, 0, 1)))
    return replace(made, **{"max_answer_tokens": 8, **fields})


async def test_off_is_off(engine: Any) -> None:
    """By the mode and by a budget of 0: no thought, by its marks and by its length."""
    for call in (said(mode="direct"), said(budget=0), said(mode="solve")):
        reply = await ask(engine(), call)
        assert (reply.thought, reply.done.usage.thought) == ("", 0)
        if call.messages[0]["role"] == "user":
            assert (len(reply.answer), reply.done.usage.answer <= 3) == (1, True)
        assert reply.done.enforced is not Enforcement.NONE


async def test_a_budget_is_kept_to_the_token_and_always_answered(engine: Any) -> None:
    one = engine()
    whole = await ask(one, said())
    assert whole.answer == "9", "thought to its end, it is right"
    assert len(whole.thought) > max(BUDGETS) + 2
    for budget in BUDGETS:
        reply = await ask(one, said(budget=budget))
        assert reply.thought == whole.thought[:budget]
        assert reply.done.usage.thought <= budget + 2
        assert reply.answer.isdigit()
        assert reply.done.enforced in (Enforcement.NATIVE, Enforcement.TWO_PASS)


async def test_a_limit_on_all_of_it_leaves_room_for_the_answer(engine: Any) -> None:
    for limit in (2, 6, 12, 40):
        reply = await ask(engine(), said(max_tokens=limit, max_answer_tokens=None))
        assert reply.answer.strip(), limit
        assert reply.done.usage.output <= limit + 2


async def test_counts_are_those_of_the_models_tokenizer(engine: Any) -> None:
    for budget in (0, 8, None):
        reply = await ask(engine(), said(budget=budget))
        usage, ended = reply.done.usage, reply.done.finish is Finish.STOP
        assert abs(usage.thought - counted(reply.thought)) <= 2
        assert abs(usage.answer - counted(reply.answer) - ended) <= 2
        assert usage.prompt >= len(QUESTION)


def counted(text: str) -> int:
    return len(COUNTER.encode(text, add_special_tokens=False).ids)


async def test_a_thought_is_gone_on_with(engine: Any) -> None:
    one = engine()
    if not (await one.capabilities()).continues:
        pytest.skip("it goes on with nothing")
    whole = await ask(one, said())
    rest = await ask(one, said(thought_prefix=whole.thought[:17]))
    assert whole.thought[:17] + rest.thought == whole.thought
    assert rest.answer == whole.answer
    closed = await ask(one, said(budget=0, thought_prefix=whole.thought))
    assert (closed.thought, closed.answer) == ("", whole.answer)


async def test_a_thought_is_gone_on_with_within_a_budget(engine: Any) -> None:
    """The budget is for what is new."""
    one = engine()
    if not (await one.capabilities()).continues:
        pytest.skip("it goes on with nothing")
    whole = await ask(one, said())
    more = await ask(one, said(budget=8, thought_prefix=whole.thought[:8]))
    assert more.thought == whole.thought[8:16]
    assert more.answer.isdigit()


async def test_it_comes_as_it_is_made(engine: Any) -> None:
    reply = await ask(engine(), said(budget=32))
    assert sum(isinstance(event, Thought) for event in reply.events) > 3


async def test_who_leaves_early_frees_the_engine(engine: Any) -> None:
    one = engine()
    for _ in range(12):
        async with aclosing(one.stream(said(max_answer_tokens=None))) as events:
            async for event in events:
                assert isinstance(event, Thought)
                break
    assert (await ask(one, said(budget=8))).answer.isdigit()


async def test_eight_at_once_have_each_its_own_budget(engine: Any) -> None:
    one = engine()
    whole = await ask(one, said())
    budgets = (0, 1, 4, 8, 8, 17, 32, 17)
    replies = await asyncio.gather(*(ask(one, said(budget=budget)) for budget in budgets))
    for budget, reply in zip(budgets, replies, strict=True):
        assert reply.thought == whole.thought[:budget]
        assert reply.done.usage.thought <= budget + 2
        assert reply.answer.isdigit()


@pytest.mark.parametrize("budget", [0, 8])
async def test_text_cannot_change_the_mode(engine: Any, budget: int) -> None:
    one, drawn = engine(), random.Random(budget)
    for _ in range(6):
        reply = await ask(one, said(QUESTION + injections.drawn(drawn, None), budget=budget))
        assert reply.done.usage.thought <= budget + 2 * bool(budget)
        assert len(reply.thought) <= budget
        assert reply.answer.strip()
        assert not any(mark in reply.answer for mark in ("<think>", "</think>", "<|"))


@pytest.mark.parametrize("budget", [0, 6])
async def test_a_schema_binds_the_answer_and_not_the_thought(engine: Any, budget: int) -> None:
    """Or it is said that the engine takes none."""
    number = {"type": "integer", "minimum": 0, "maximum": 9}
    schema = {"type": "object", "properties": {"n": number}, "required": ["n"], "additionalProperties": False}
    form: Json = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    reply = await ask(engine(), said(budget=budget, response_format=form, max_answer_tokens=60))
    if any("response_format" in told or "schema" in told for told in reply.done.warnings):
        pytest.skip(f"it says so: {reply.done.warnings}")
    assert isinstance(json.loads(reply.answer)["n"], int)
    assert len(reply.thought) == budget


async def test_a_function_that_must_be_called_is(engine: Any) -> None:
    """Or it is said that the engine does not see to it."""
    number = {"type": "integer", "minimum": 0, "maximum": 9}
    schema = {"type": "object", "properties": {"a": number}, "required": ["a"], "additionalProperties": False}
    tool: Json = {"type": "function", "function": {"name": "add", "parameters": schema}}
    choice: Json = {"type": "function", "function": {"name": "add"}}
    call = said(budget=6, tools=(tool,), tool_choice=choice, max_answer_tokens=60)
    reply = await ask(engine(), call)
    if any("tool" in told for told in reply.done.warnings):
        pytest.skip(f"it says so: {reply.done.warnings}")
    assert isinstance(json.loads(reply.arguments)["a"], int)
    assert reply.done.usage.thought <= 8


async def test_log_probabilities_name_the_answers_tokens(engine: Any) -> None:
    """Or it is said that there are none."""
    reply = await ask(engine(), said(budget=4, logprobs=2))
    named = [one for event in reply.events if isinstance(event, Text) for one in event.logprobs]
    if any("probabilit" in told or "logprobs" in told for told in reply.done.warnings):
        pytest.skip(f"it says so: {reply.done.warnings}")
    assert named
    assert named[0].token.strip() == reply.answer.strip()
    assert named[0].logprob <= 0


async def test_smollm2_never_ends_its_thought_and_is_cut(engine: Any, opened: Opened) -> None:
    """Under a template that opens a thought, an answer comes all the same."""
    call = said("Why is the sky blue?", budget=48, max_answer_tokens=12)
    reply = await ask(engine(), call)
    assert 0 < reply.done.usage.thought <= 48 + 32
    assert reply.answer.strip()
    assert reply.done.enforced in (Enforcement.NATIVE, Enforcement.TWO_PASS)
    off = await ask(engine(), replace(call, thinking_budget=0))
    assert (off.thought, off.done.usage.thought) == ("", 0)
    assert opened.model == "smollm2"
