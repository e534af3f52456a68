"""An answer that was cut as evidence and is chosen: it goes on where it stopped, and is one answer to the caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from laddered import SURE, capped
from laddered import said as laddered_said
from scripted import says
from test_live_evidence import QUERY, World, routes, said, sure

from pointsman.backends import Event, Finished, Text
from pointsman.backends.outages import REST_S
from pointsman.domain import Call, Finish, Query, Usage
from pointsman.errors import BackendTimeout, BackendUnavailable
from pointsman.router.attempts import Watch
from pointsman.router.buying import Bought
from pointsman.router.live import Decided
from pointsman.router.run import Kept, Run

CUT = sure("Roses", 0.95, finish=Finish.LENGTH)
REST = sure(" are red", 0.5)


def world(*rest: Any, sign: float = 0.95, continues: bool | None = True, **more: Any) -> World:
    """The cheap answer is cut after five tokens; then come these replies."""
    made = World(sure("Roses", sign, finish=Finish.LENGTH), says("no"), model=capped(5), continues=continues, **more)
    made.cheap.scripts += list(rest)
    return made


async def test_a_cut_answer_that_is_sure_enough_goes_on_and_is_one_answer() -> None:
    made = world(REST)
    events, answered = await made.run()
    assert said(events) == "Roses are red"
    decision = answered.decision
    assert decision.reason == "cheap's answer has not ended by 5 tokens: 95% likely right, dear 90%"
    assert decision.confidence == pytest.approx(0.95)
    first, second = made.cheap.calls
    assert (first.max_tokens, second.max_tokens) == (5, None)
    assert (second.answer_prefix, second.thinking_budget) == ("Roses", 0)
    assert made.dear.calls == []
    (attempt,) = answered.attempts
    assert decision.evidence == ()
    # Both prompts of ten tokens are read, as the engine says that it had none of the second in its memory.
    assert attempt.usage == answered.usage == Usage(20, 0, 0, 13)
    assert attempt.cost == pytest.approx((20 * 0.1 + 13) / 1e6)
    assert (attempt.answer, attempt.finish) == ("Roses are red", Finish.STOP)
    (record,) = made.records
    assert record.attempts == answered.attempts


async def test_one_that_is_not_sure_enough_is_evidence() -> None:
    made = world(REST, sign=0.6)
    events, answered = await made.run()
    assert said(events) == "no"
    assert routes(answered.attempts) == ["cheap", "dear"]
    assert answered.decision.reason == "cheap's answer has not ended by 5 tokens: dear answers"


async def test_the_beginning_comes_with_the_decision() -> None:
    """The caller sees it as soon as the rest has begun, and not before: until then another route may answer."""
    made = world(REST)
    events = made.live.run(QUERY)
    decided = await anext(events)
    assert isinstance(decided, Decided)
    shown = [await anext(events) for _ in range(6)]
    assert "".join(event.text for event in shown if isinstance(event, Text)) == "Roses "
    assert made.records == []
    await events.aclose()
    (record,) = made.records
    (attempt,) = record.attempts
    assert (attempt.finish, attempt.answer) == (Finish.CANCELLED, "Roses ")
    assert attempt.usage.answer == 6


async def test_where_the_rest_fails_the_other_route_answers_and_both_calls_are_charged() -> None:
    made = world([BackendUnavailable("connection refused", backend="cheap")])
    events, answered = await made.run()
    assert said(events) == "no"
    lost, dear = answered.attempts
    assert (lost.route, lost.error) == ("cheap", "cheap: connection refused")
    assert lost.usage.answer == 5
    assert dear.route == "dear"
    assert "cheap failed" in answered.decision.reason


async def test_an_answer_that_had_just_ended_where_it_was_cut_has_an_empty_rest() -> None:
    events, answered = await world(says("")).run()
    assert said(events) == "Roses"
    assert (answered.finish, answered.decision.route.name) == (Finish.STOP, "cheap")


@pytest.mark.parametrize("continues", [False, None])
async def test_an_engine_that_cannot_go_on_answers_anew(continues: bool | None) -> None:
    """The beginning is evidence then, and paid for."""
    made = world(says("Violets are blue"), continues=continues)
    events, answered = await made.run()
    assert said(events) == "Violets are blue"
    assert routes(answered.attempts) == ["cheap", "cheap"]
    assert made.cheap.calls[1].answer_prefix == ""
    assert routes(answered.decision.evidence) == ["cheap"]


async def test_a_bound_answer_is_asked_for_anew() -> None:
    made = world(says("[1]"))
    events, _ = await made.run(Query(messages=QUERY.messages, response_format={"type": "json_object"}))
    assert said(events) == "[1]"


async def test_what_the_caller_limits_is_not_gone_on_with() -> None:
    """It was cut where the caller wanted it to be, and is given as it is."""
    made = world(REST)
    events, answered = await made.run(Query(messages=QUERY.messages, max_tokens=5))
    assert said(events) == "Roses"
    assert answered.finish is Finish.LENGTH
    assert len(made.cheap.calls) == 1


async def test_the_caller_sees_the_probabilities_that_were_asked_for_and_no_others() -> None:
    plain, _ = await world(REST).run()
    assert not any(event.logprobs for event in [e for e in plain if isinstance(e, Text)][:5])
    wanted, _ = await world(REST).run(Query(messages=QUERY.messages, logprobs=1))
    tokens = [token for event in wanted if isinstance(event, Text) for token in event.logprobs]
    assert len(tokens) == 13
    assert all(len(token.top) <= 1 for token in tokens[:5])


async def test_what_is_asked_about_a_beginning_stands_with_it() -> None:
    """The probe is evidence of the answer that goes on."""
    probe = says("80")
    made = world(probe, REST, bought=Bought(ask=("stated_confidence",)))
    events, answered = await made.run()
    assert said(events) == "Roses are red"
    assert [a.signs for a in answered.decision.evidence] == [{"stated_confidence": pytest.approx(0.8)}]
    answer = answered.attempts[-1]
    assert answer.answer == "Roses are red"
    assert answer.signs["stated_confidence"] == pytest.approx(0.8)
    assert answer.signs[SURE] == pytest.approx(0.95), "of the beginning, by which it was chosen"


async def test_whoever_leaves_before_the_rest_begins_lets_others_try() -> None:
    """The model went silent meanwhile, and this query is the one that tries it again."""
    made = world(REST)
    reached, plain = asyncio.Event(), made.cheap.stream

    async def stream(call: Call) -> AsyncGenerator[Event, None]:
        if call.answer_prefix:
            reached.set()
            await asyncio.Event().wait()
        async for event in plain(call):
            if isinstance(event, Finished):
                made.decider.outages.failed("cheap", BackendTimeout("silent", backend="cheap"))
            yield event

    made.cheap.stream = stream  # pyright: ignore[reportAttributeAccessIssue] - the same door, waiting
    running = asyncio.create_task(made.run())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert made.decider.outages._until["cheap"] - time.monotonic() <= REST_S


async def test_a_beginning_is_taken_out_of_the_evidence_and_the_rest_of_it_stays_in_place() -> None:
    """What stands after it moves up, with what is kept of it."""
    run = Run(World(CUT, says("no")).decider.consider(QUERY), signs=False)
    run.attempts = [laddered_said("cheap"), laddered_said("other"), laddered_said("third")]
    marks = {at: Kept(cast("Watch", object()), ()) for at in range(3)}
    run.kept = dict(marks)
    assert run.take(1).route == "other"
    assert [a.route for a in run.attempts] == ["cheap", "third"]
    assert run.kept == {0: marks[0], 1: marks[2]}


async def test_a_second_prompt_teaches_no_token_counts() -> None:
    made = world(REST)
    learnt: list[int] = []
    made.decider.counts.learn = lambda model, query, tokens: learnt.append(tokens)  # type: ignore[method-assign]
    await made.run()
    assert learnt == []
