"""How tokens are shared out, and the passes that keep a budget, on a model that is a function."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends import Continuation, Event, Finished, Text, Thought, Timings, allot, two_pass
from pointsman.backends.budget import RESERVE, SLACK, Allotment, allot_call, watched
from pointsman.domain import Call, Enforcement, Finish, Usage

BUDGETS = st.one_of(st.none(), st.integers(0, 5000))
LIMITS = st.one_of(st.none(), st.integers(1, 5000))


@given(BUDGETS, LIMITS, st.integers(1, 512), st.integers(1, 16))
def test_an_allotment_keeps_every_promise(budget: int | None, limit: int | None, reserve: int, closing: int) -> None:
    """Thought within its budget, thought and reserve within the limit, no thought without room for its end, and off
    only where it was asked for or is warned of."""
    given_out = allot(budget, limit, reserve, closing=closing)
    assert given_out.total == limit
    assert given_out.off == (given_out.thought == 0)
    assert given_out.off == (budget == 0) or given_out.warning
    if given_out.thought is None:
        assert budget is None
        assert limit is None
    elif not given_out.off:
        assert budget is None or given_out.thought <= budget
        if limit is not None:
            kept = min(reserve, (limit + 1) // 2)
            assert given_out.thought == min(limit - kept, budget if budget is not None else limit)
            assert limit - given_out.thought > closing, "the closing words leave no room for an answer"


def test_the_shares_of_the_design_are_kept() -> None:
    """min(N, limit - reserve) with a reserve of min(256, half the limit)."""
    assert allot(100, 4000) == Allotment(100, 4000, off=False)
    assert allot(5000, 4000) == Allotment(4000 - RESERVE, 4000, off=False)
    assert allot(5000, 100) == Allotment(50, 100, off=False)
    assert allot(None, 100).thought == 50
    assert allot(0, 100) == Allotment(0, 100, off=True)
    small = allot(5000, 3)
    assert small.off
    assert small.warning


@dataclass
class Model:
    """A model of one-letter tokens that thinks `thought` and answers `answer`, as budget.Run wants it."""

    thought: str = "abcdefgh"
    answer: str = "xyz"
    obeys: bool = True
    mute: bool = False
    silence: Finish | None = None
    uncounted: int = 0
    calls: list[Call] = field(default_factory=list)

    async def run(self, call: Call) -> AsyncGenerator[Event, None]:
        self.calls.append(call)
        thought, answer, limit = "", self.answer[len(call.answer_prefix) :], call.max_tokens or 10**6
        if call.thinking_budget != 0 and not call.answer_prefix:
            thought = self.thought[len(call.thought_prefix) :]
            if call.thinking_budget is not None and self.obeys and len(thought) > call.thinking_budget:
                thought = thought[: call.thinking_budget]
                answer = "" if self.mute else answer
        left = limit
        for letter in thought[:left]:
            yield Thought(letter, 1)
        left -= len(thought[:left])
        for letter in answer[:left]:
            yield Text(letter, 1)
        given_out = min(left, len(answer))
        finish = Finish.LENGTH if given_out < len(answer) or left == 0 else Finish.STOP
        finish = finish if answer or self.silence is None else self.silence
        whole = len(thought) <= limit
        yield Finished(
            finish,
            Usage(10, 4, max(0, min(limit, len(thought)) - self.uncounted), given_out),
            Timings(1.0, 0.5),
            Enforcement.NATIVE,
            "model",
            Continuation(call.thought_prefix + thought[:limit], ended=whole),
        )


async def gather(events: AsyncGenerator[Event, None]) -> tuple[str, str, Finished]:
    thought, answer, done = "", "", None
    async for event in events:
        assert done is None, "an event after the last"
        if isinstance(event, Thought):
            thought += event.text
        elif isinstance(event, Text):
            answer += event.text
        elif isinstance(event, Finished):
            done = event
    assert done is not None
    return thought, answer, done


@pytest.mark.parametrize("budget", [1, 3, 7, 8, 9, 10, 11, 50])
@pytest.mark.parametrize("limit", [None, 30])
async def test_two_passes_cut_the_thought_and_bring_the_whole_answer(budget: int, limit: int | None) -> None:
    """At most N tokens of thought, the answer as without a cut, whichever pass it began in."""
    model = Model()
    call = Call(({"role": "user", "content": "?"},), thinking_budget=budget, max_tokens=limit)
    thought, answer, done = await gather(two_pass(model.run, call, allot(budget, limit)))
    assert thought == model.thought[:budget]
    assert answer == model.answer
    assert done.enforced is Enforcement.TWO_PASS
    assert done.usage.thought <= budget
    assert done.usage.answer >= len(answer)
    assert done.continuation is not None
    assert done.continuation.ended == (budget > len(model.thought) or budget == len(model.thought))


@pytest.mark.parametrize("limit", range(5, 14))
async def test_two_passes_stay_within_the_callers_limit(limit: int) -> None:
    """Thought and answer together, and the answer gets its share."""
    model = Model(answer="x" * 40)
    call = Call(({"role": "user", "content": "?"},), max_tokens=limit)
    thought, answer, done = await gather(two_pass(model.run, call, allot(None, limit)))
    assert len(thought) + len(answer) <= limit
    assert answer
    assert done.finish is Finish.LENGTH


@given(st.integers(1, 40), st.one_of(st.none(), st.integers(1, 40)), st.booleans())
async def test_what_will_be_gone_on_with_is_cut_at_its_limit_and_gets_no_second_pass(
    limit: int, budget: int | None, native: bool
) -> None:
    """It is the beginning of what would have come without the limit, and not a token more than that."""
    model = Model()
    free = Call(({"role": "user", "content": "?"},), thinking_budget=budget)
    run = watched if native or budget is None else two_pass
    whole = await gather(run(model.run, free, allot_call(free, None)))
    model.calls.clear()
    call = replace(free, max_tokens=limit, resumable=True)
    thought, answer, done = await gather(run(model.run, call, allot_call(call, limit)))
    assert whole[0].startswith(thought)
    assert whole[1].startswith(answer)
    assert len(thought) + len(answer) == min(limit, len(whole[0]) + len(whole[1]))
    if len(thought) < len(whole[0]):
        assert (answer, done.finish, len(model.calls)) == ("", Finish.LENGTH, 1)


@pytest.mark.parametrize("uncounted", [0, 1, 3])
@pytest.mark.parametrize(("run", "budget"), [*product((watched, two_pass), (None, 64, 100)), (watched, 40)])
async def test_an_engine_that_counts_too_little_gets_no_second_pass_either(
    run: Callable[..., AsyncGenerator[Event, None]], budget: int | None, uncounted: int
) -> None:
    """What its limit cut is cut, though its count does not come to the limit."""
    model = Model(thought="t" * 100, obeys=False, uncounted=uncounted)
    call = Call(({"role": "user", "content": "?"},), thinking_budget=budget, max_tokens=64, resumable=True)
    thought, answer, done = await gather(run(model.run, call, allot_call(call, 64)))
    assert (len(thought), answer, done.finish, len(model.calls)) == (64, "", Finish.LENGTH, 1)


async def test_a_thought_that_fills_its_limit_is_cut_there_whatever_the_engine_calls_it() -> None:
    """A server that does not tell a cut from an end."""
    model = Model(answer="", silence=Finish.STOP)
    call = Call(({"role": "user", "content": "?"},), max_tokens=5, resumable=True)
    assert (await gather(watched(model.run, call, allot_call(call, 5))))[:2] == ("abcde", "")
    assert len(model.calls) == 1


@pytest.mark.parametrize("uncounted", [0, 1])
async def test_a_thought_that_its_own_budget_cut_is_answered_though_it_will_be_gone_on_with(uncounted: int) -> None:
    """Whatever the engine calls the end of a thought that it was to cut."""
    call = Call(({"role": "user", "content": "?"},), thinking_budget=5, max_tokens=64, resumable=True)
    model = Model(uncounted=uncounted)
    thought, answer, done = await gather(two_pass(model.run, call, allot_call(call, 64)))
    assert (thought, answer, done.finish) == ("abcde", "xyz", Finish.STOP)
    for finish in (Finish.STOP, Finish.LENGTH):
        model = Model(mute=True, silence=finish, uncounted=uncounted if finish is Finish.STOP else 0)
        thought, answer, _ = await gather(watched(model.run, call, allot_call(call, 64)))
        assert (thought, answer) == ("abcde", "xyz")


async def test_a_schema_begins_with_the_answer_not_in_its_middle() -> None:
    """With a grammar the first pass brings the thought only, as a grammar cannot be taken up half-way."""
    model = Model()
    call = Call(({"role": "user", "content": "?"},), thinking_budget=9, response_format={"type": "json_object"})
    thought, answer, _ = await gather(two_pass(model.run, call, allot(9, None)))
    assert (thought, answer) == (model.thought, model.answer)
    first, second = model.calls
    assert first.response_format is None
    assert second.response_format == call.response_format
    assert second.answer_prefix == ""


async def test_an_engine_that_keeps_its_budget_is_left_alone() -> None:
    """One request, reported as native."""
    model = Model()
    call = Call(({"role": "user", "content": "?"},), thinking_budget=3)
    thought, answer, done = await gather(watched(model.run, call, allot(3, None)))
    assert (thought, answer, done.enforced) == ("abc", "xyz", Enforcement.NATIVE)
    assert len(model.calls) == 1


async def test_an_engine_that_ignores_its_budget_is_cut() -> None:
    """The thought ends within the slack, the answer comes from a second pass, and the report says two-pass."""
    model = Model(thought="t" * 500, obeys=False)
    call = Call(({"role": "user", "content": "?"},), thinking_budget=3)
    thought, answer, done = await gather(watched(model.run, call, allot(3, None)))
    assert len(thought) == 3 + SLACK
    assert answer == model.answer
    assert done.enforced is Enforcement.TWO_PASS
    assert done.continuation == Continuation(thought, ended=False)


async def test_a_cut_thought_that_ends_in_silence_gets_its_answer() -> None:
    """Some models end the turn where the engine closes their thought: the second pass asks again."""
    model = Model(mute=True)
    call = Call(({"role": "user", "content": "?"},), thinking_budget=3, max_answer_tokens=2)
    thought, answer, done = await gather(watched(model.run, call, allot(3, None)))
    assert (thought, answer) == ("abc", "xy")
    assert done.enforced is Enforcement.NATIVE
    assert model.calls[1].thought_prefix == "abc"


async def test_the_prompt_is_charged_once_plus_what_was_read_again() -> None:
    """The second pass's cached tokens are the first pass's work."""
    model = Model()
    call = Call(({"role": "user", "content": "?"},), thinking_budget=3)
    _, _, done = await gather(two_pass(model.run, call, allot(3, None)))
    assert (done.usage.prompt, done.usage.cached) == (10 + 10 - 4, 4)


async def test_the_second_pass_has_what_is_left_of_the_deadline() -> None:
    """A deadline is for the call, not for each of its passes."""
    model = Model()
    call = Call(({"role": "user", "content": "?"},), thinking_budget=3, deadline_ms=1000)
    await gather(two_pass(model.run, call, allot(3, None)))
    assert model.calls[1].deadline_ms is not None
    assert 0 < model.calls[1].deadline_ms < 1000
