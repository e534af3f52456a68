"""The in-process engine keeps its budgets and limits to the token, and goes on from what was said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_llamas import ALWAYS, HELLO, LEAVES, MARKS, OPENS, SILENT, chained_model, engine, random_model, run

from pointsman.backends.engine import Thought
from pointsman.domain import Call, Enforcement, Finish
from pointsman.errors import BackendRejected


@pytest.mark.parametrize("budget", [1, 2, 20])
async def test_a_cut_thought_has_exactly_its_budget_and_an_answer_follows(thinker, budget):
    """A model that never ends its thought thinks N tokens, plus the mark, and answers."""
    async with engine(thinker) as made:
        _, answer, done, events = await run(made, Call(HELLO, thinking_budget=budget, max_answer_tokens=5))
    assert done.usage.thought == budget + 1
    assert sum(event.tokens for event in events if isinstance(event, Thought)) <= budget
    assert answer.strip()
    assert done.enforced is Enforcement.NATIVE
    assert done.continuation is not None
    assert not done.continuation.ended
    assert not done.warnings


async def test_a_thought_that_ends_by_itself_is_not_cut(tmp_path):
    """The thought is what stands between the marks; the answer what follows; tokens are counted by id."""
    folder = chained_model(tmp_path, OPENS, ["<think>", "a", "b", "c", "</think>", "7", "<|end|>"])
    async with engine(folder) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, thinking_budget=30))
    assert (thought, answer, done.finish) == ("abc", "7", Finish.STOP)
    assert (done.usage.thought, done.usage.answer) == (4, 2)  # the mark and the end of turn are generated tokens
    assert done.continuation is not None
    assert (done.continuation.thought, done.continuation.ended) == ("abc", True)


async def test_a_model_that_opens_its_own_thought_is_cut_as_well(tmp_path):
    """Where the template leaves the mark to the model, blank tokens and the mark before the thought are no answer."""
    folder = chained_model(tmp_path, LEAVES, ["<|assistant|>", "\n", "<think>", "a", "b", "a"])
    async with engine(folder) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, thinking_budget=4, max_answer_tokens=2))
    assert thought == "abab"
    assert done.usage.thought == 4 + 2
    assert answer.strip()


@pytest.mark.parametrize("limit", [6, 7, 10])
async def test_blanks_before_a_thought_do_not_eat_the_answers_share(tmp_path, limit):
    """Tokens that the split of the limit could not foresee shorten the thought."""
    folder = chained_model(tmp_path, LEAVES, ["<|assistant|>", "\n", "\t", " ", "<think>", "a", "b", "a"])
    async with engine(folder) as made:
        _, answer, done, _ = await run(made, Call(HELLO, max_tokens=limit))
    assert done.usage.output == limit
    assert answer.strip()


async def test_an_end_of_turn_inside_the_thought_ends_the_thought_only(tmp_path):
    """A model that would stop before it has answered is made to answer."""
    folder = chained_model(tmp_path, OPENS, ["<think>", "a", "<|end|>", "x"])
    async with engine(folder) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, max_answer_tokens=3))
    assert thought == "a"
    assert answer.strip()
    assert done.usage.answer == 3


async def test_no_answer_is_empty_even_if_the_model_ends_at_once(tmp_path):
    """The end of turn cannot be drawn before there is text, nor a second closing mark."""
    folder = chained_model(tmp_path, OPENS, ["<think>", "a", "</think>", "<|end|>"])
    async with engine(folder) as made:
        for budget in (None, 0, 5):
            _, answer, done, _ = await run(made, Call(HELLO, thinking_budget=budget, max_answer_tokens=4))
            assert answer.strip()
            assert "think" not in answer
            assert done.usage.answer >= 1


async def test_marks_repeated_in_the_answer_cannot_come(tmp_path):
    """Neither an end nor a beginning of thought leaks into the answer, or opens another thought."""
    for repeated in MARKS:
        folder = chained_model(tmp_path / repeated[1:3], OPENS, ["<think>", "a", "</think>", "7", repeated])
        async with engine(folder) as made:
            _, answer, done, _ = await run(made, Call(HELLO, max_answer_tokens=3))
        assert answer.startswith("7")
        assert "think" not in answer
        assert (done.usage.thought, done.usage.answer) == (2, 3)


@pytest.mark.parametrize(("template", "prompt_end"), [(OPENS, "<think></think>"), (LEAVES, "</think>\n\n")])
async def test_budget_zero_uses_the_templates_switch(tmp_path, template, prompt_end):
    """Off renders with `enable_thinking` false, and a model that would think all the same cannot."""
    folder = chained_model(tmp_path, template, ["<|assistant|>", "<think>", "a", "</think>", "\n", "<think>", "a"])
    async with engine(folder) as made:
        assert (await made.render(HELLO, thinking=False)).endswith(prompt_end)
        thought, answer, done, _ = await run(made, Call(HELLO, thinking_budget=0, max_answer_tokens=4))
    assert thought == ""
    assert done.usage.thought == 0
    assert answer.strip()
    assert done.continuation is None


async def test_budget_zero_closes_the_thought_of_a_template_without_a_switch(tmp_path):
    """A model that always thinks is given a closed thought."""
    folder = chained_model(tmp_path, ALWAYS, ["<think>", "a", "b", "a"])
    async with engine(folder) as made:
        assert (await made.capabilities()).switchable is False
        thought, answer, done, _ = await run(made, Call(HELLO, thinking_budget=0, max_answer_tokens=2))
    assert (thought, done.usage.thought) == ("", 0)
    assert answer.strip()


async def test_budget_zero_writes_an_empty_thought_where_the_model_would_open_its_own(tmp_path):
    """No switch and no mark in the prompt: both marks are put in, and what a template writes after them."""
    folder = chained_model(tmp_path, SILENT, ["<|assistant|>", "<think>", "a", "b", "a"])
    async with engine(folder) as made:
        able = await made.capabilities()
        assert (able.thinks, able.switchable) == (True, False)
        prompt = await made.count_tokens(await made.render(HELLO))
        thought, answer, done, _ = await run(made, Call(HELLO, thinking_budget=0, max_answer_tokens=2))
    assert (thought, done.usage.thought) == ("", 0)
    assert done.usage.prompt == prompt + len(("<think>", "</think>", "\n", "\n"))
    assert answer.strip()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 24), budget=st.none() | st.integers(0, 30), answer=st.none() | st.integers(1, 10))
async def test_limits_hold_and_leave_an_answer(thinker_engine, limit, budget, answer):
    """`max_tokens` bounds thought and answer; the thought leaves half of it; every call has an answer."""
    call = Call(HELLO, thinking_budget=budget, max_tokens=limit, max_answer_tokens=answer)
    _, text, done, _ = await run(thinker_engine, call)
    assert done.usage.output <= limit
    assert done.usage.answer >= 1
    assert text.strip()
    assert done.usage.thought <= min(limit if budget is None else budget, limit - limit // 2) + 1
    assert answer is None or done.usage.answer <= answer
    assert done.finish is Finish.STOP or done.usage.output == limit or done.usage.answer == answer


async def test_a_limit_too_small_for_a_thought_turns_thinking_off_and_says_so(thinker_engine):
    _, answer, done, _ = await run(thinker_engine, Call(HELLO, thinking_budget=50, max_tokens=2))
    assert done.usage.thought == 0
    assert answer.strip()
    assert "thinking is off" in done.warnings[0]


async def test_the_context_bounds_the_thought_as_a_limit_does(tmp_path):
    """A thought without budget ends early enough that its answer fits the context; the usage adds up to it."""
    async with engine(random_model(tmp_path, OPENS, context=64)) as made:
        _, answer, done, _ = await run(made, Call(HELLO))
        assert done.usage.prompt + done.usage.output <= 64
        assert done.usage.thought > 5
        assert answer.strip()
        long = ({"role": "user", "content": "9" * 80},)
        with pytest.raises(BackendRejected, match="leaves no room"):
            await run(made, Call(long))


async def test_a_smaller_context_can_be_set(thinker):
    async with engine(thinker, context=48) as made:
        assert (await made.capabilities()).context == 48
        _, _, done, _ = await run(made, Call(HELLO))
        assert done.usage.prompt + done.usage.output <= 48


async def test_a_cut_thought_can_be_gone_on_with(tmp_path):
    """With the kept thought as prefix, the model goes on exactly where it was; the budget is of what is new."""
    chain = ["<think>", *"abcdefghij", "</think>", "7", "<|end|>"]
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        thought, _, first, _ = await run(made, Call(HELLO, thinking_budget=4, max_answer_tokens=1))
        assert thought == "abcd"
        kept = first.continuation.thought
        rest, answer, done, _ = await run(made, Call(HELLO, thought_prefix=kept))
        assert (rest, answer) == ("efghij", "7")
        assert (done.continuation.thought, done.continuation.ended) == ("abcdefghij", True)
        rest, _, done, _ = await run(made, Call(HELLO, thought_prefix=kept, thinking_budget=2, max_answer_tokens=1))
        assert rest == "ef"
        assert done.usage.prompt == first.usage.prompt + 4


async def test_a_thought_that_will_be_gone_on_with_is_cut_in_its_middle(tmp_path):
    chain = ["<think>", *"abcdefghij", "</think>", "7", "<|end|>"]
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, max_tokens=4, resumable=True))
        assert (thought, answer, done.finish, done.usage.output) == ("abcd", "", Finish.LENGTH, 4)
        assert not done.continuation.ended
        thought, answer, done, _ = await run(made, Call(HELLO, max_tokens=4))
        assert answer != "", "else room is kept for an answer"


async def test_an_answer_that_will_be_gone_on_with_may_be_blank_so_far(tmp_path):
    """Its last token is the model's own, not one that makes it text; unless the answer's own limit ends it."""
    chain = ["<think>", "a", "</think>", "\n", "7", "<|end|>"]
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        for closed in (Call(HELLO, max_tokens=3), Call(HELLO, max_tokens=1, thought_prefix="a", thinking_budget=0)):
            _, answer, done, _ = await run(made, replace(closed, resumable=True))
            assert (answer, done.finish, done.usage.output) == ("", Finish.LENGTH, closed.max_tokens)
            assert done.continuation.thought == "a"
        rest = Call(HELLO, thought_prefix="a", thinking_budget=0)
        assert (await run(made, rest))[1] == "7"
        for bounded in (replace(rest, max_tokens=1), replace(rest, max_tokens=5, max_answer_tokens=1, resumable=True)):
            assert (await run(made, bounded))[1].strip()


async def test_a_thought_that_the_context_will_end_leaves_room_for_an_answer(tmp_path):
    """Nothing can go on behind the context's end, whatever the call says."""
    folder = chained_model(tmp_path, OPENS, ["<think>", "a", "b", "a"])
    async with engine(folder) as made:
        call = Call(HELLO, max_tokens=8, resumable=True)
        _, answer, done, _ = await run(made, call)
        assert answer == ""
    for room, answered in ((7, 3), (8, 3), (9, 0)):
        async with engine(folder, context=done.usage.prompt + room) as made:
            _, answer, done_there, _ = await run(made, call)
            assert (done_there.usage.answer, bool(answer.strip())) == (answered, answered > 0)


async def test_a_thought_prefix_with_budget_zero_is_closed_and_answered(tmp_path):
    async with engine(chained_model(tmp_path, OPENS, ["<think>", "a", "</think>", "7", "<|end|>"])) as made:
        thought, answer, done, _ = await run(made, Call(HELLO, thought_prefix="zz", thinking_budget=0))
    assert (thought, answer, done.usage.thought) == ("", "7", 0)


async def test_an_answer_prefix_is_gone_on_with_and_not_repeated(tmp_path):
    """The thought is closed before the prefix, and blanks that go on from it stay."""
    chain = ["</think>", "q", "r", " ", "s", "<|end|>"]
    async with engine(chained_model(tmp_path, OPENS, chain)) as made:
        thought, answer, _, _ = await run(made, Call(HELLO, answer_prefix="It is r", thinking_budget=9))
        assert (thought, answer) == ("", " s")
        prefixed = Call(HELLO, thought_prefix="t", answer_prefix="q", thinking_budget=9)
        thought, answer, _, _ = await run(made, prefixed)
        assert (thought, answer) == ("", "r s")
