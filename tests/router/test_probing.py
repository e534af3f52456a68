"""What is asked about an answer while a query is under way: charged, recorded, and never more than its cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from math import log

import pytest
from laddered import SURE
from scripted import finished, says
from test_live_evidence import QUERY, World, sure

from pointsman.backends import Event, Text, TokenLogprob
from pointsman.domain import Call, Finish, Purpose, Wish
from pointsman.errors import BackendError, BackendTimeout
from pointsman.router.buying import Bought
from pointsman.router.live import collect

ASK = Bought(ask=("p_right", "stated_confidence"))


def yes(probability: float) -> list[Event]:
    """The reply to "Is it right?", its one token with this probability of yes."""
    top = (("Yes", log(probability)), ("No", log(1 - probability)))
    return [Text("Yes", 1, (TokenLogprob("Yes", top[0][1], top),)), finished(Finish.LENGTH, prompt=30, answer=1)]


def asking(world: World, *replies: Sequence[Event | BackendError]) -> World:
    """The cheap model answers, then replies to what is asked about the answer."""
    world.cheap.scripts += [list(reply) for reply in replies]
    return world


async def test_what_is_asked_stands_before_the_answer_is_charged_and_its_signs_are_the_answers() -> None:
    """The whole way: the answer, both questions about it, the dear route."""
    world = asking(World(sure("41", 0.6), says("42"), bought=ASK), yes(0.75), says("80"))
    _, answered = await world.run()
    assert [(a.route, a.purpose) for a in answered.attempts] == [
        ("cheap", Purpose.PROBE),
        ("cheap", Purpose.PROBE),
        ("cheap", Purpose.ANSWER),
        ("dear", Purpose.ANSWER),
    ]
    right, stated, cheap, _ = answered.attempts
    assert right.signs == {"p_right": pytest.approx(0.75)}
    assert stated.signs == {"stated_confidence": pytest.approx(0.8)}
    assert cheap.signs["p_right"] == pytest.approx(0.75)
    assert cheap.signs["stated_confidence"] == pytest.approx(0.8)
    assert cheap.signs[SURE] == pytest.approx(0.6)
    assert right.cost == pytest.approx((30 * 0.1 + 1) / 1e6)
    assert answered.decision.evidence == answered.attempts[:3]
    (record,) = world.records
    assert record.attempts == answered.attempts
    answer, *asked = world.cheap.calls
    for call in asked:
        assert call.messages[: len(answer.messages)] == answer.messages
        assert call.deadline_ms == ASK.deadline_ms


async def test_an_answer_that_was_asked_about_can_be_kept() -> None:
    """It is replayed as it came; what was asked about it is evidence."""
    world = asking(World(sure("42", 0.95), says("no"), bought=ASK), yes(0.75), says("80"))
    events, answered = await world.run()
    assert "".join(e.text for e in events if isinstance(e, Text)) == "42"
    assert [a.purpose for a in answered.decision.evidence] == [Purpose.PROBE] * 2
    assert answered.attempts[-1].answer == "42"
    assert world.dear.calls == []


async def test_a_probe_that_fails_costs_its_limit_and_nothing_else() -> None:
    """The route goes on, its server is not taken for down, the sign is not known."""
    lost = BackendTimeout("no reply within 50 ms", backend="cheap")
    world = asking(World(sure("42", 0.95), says("no"), bought=ASK), [lost], says("no idea"))
    _, answered = await world.run()
    assert answered.decision.route.name == "cheap"
    assert answered.decision.reason == "cheap has answered: 95% likely right, dear 90%"
    failed, unread, answer = answered.attempts
    assert failed.error == str(lost)
    assert (failed.finish, failed.signs) == (Finish.ERROR, {})
    assert (unread.error, unread.signs) == (None, {})
    assert set(answer.signs) & {"p_right", "stated_confidence"} == set()
    assert not world.decider.outages.resting("cheap")


async def test_of_an_answer_that_was_cut_off_the_beginning_is_asked_about() -> None:
    """But no second answer is drawn: there is no whole one to compare it with. Of a thought alone nothing is asked."""
    limits = Bought(ask=("p_right", "again"))
    world = asking(World(sure("41", 0.6, finish=Finish.LENGTH), says("42"), bought=limits), yes(0.75))
    _, answered = await world.run()
    assert [(a.route, a.purpose) for a in answered.attempts] == [
        ("cheap", Purpose.PROBE),
        ("cheap", Purpose.ANSWER),
        ("dear", Purpose.ANSWER),
    ]
    assert answered.attempts[1].signs["p_right"] == pytest.approx(0.75)
    assert world.cheap.calls[1].messages[-2:][0]["content"] == "41"
    thinking = World(sure("", 0.6, finish=Finish.LENGTH, thought="hm"), says("42"), bought=limits)
    _, answered = await thinking.run()
    assert [a.purpose for a in answered.attempts] == [Purpose.ANSWER] * 2


async def test_what_is_learnt_of_a_long_answer_is_what_its_beginning_would_have_shown() -> None:
    """Recorded for training: as far as a bought answer goes before it is cut."""
    long = [*sure("41", 0.9)[:2], *sure("99", 0.1)]
    long[-1] = finished(prompt=10, answer=4)
    world = asking(World(long, says("no"), bought=Bought(max_tokens=2, ask=("p_right", "again"))), yes(0.75))
    events = world.live.run(QUERY, Wish(route="cheap"), signs=True)
    _, answered = await collect(events)
    asked, answer = answered.attempts
    assert (asked.purpose, answer.answer) == (Purpose.PROBE, "4199")
    assert answer.signs[SURE] == pytest.approx(0.9)
    assert answer.signs["p_right"] == pytest.approx(0.75)
    assert world.cheap.calls[1].messages[-2]["content"] == "41"


async def test_a_caller_who_leaves_meanwhile_stops_what_is_asked() -> None:
    """It is charged and recorded as left, with the answer that it was about."""
    world = World(sure("41", 0.6), says("42"), bought=ASK)
    reached = asyncio.Event()
    plain = world.cheap.stream

    async def stream(call: Call) -> AsyncGenerator[Event, None]:
        if call.purpose is Purpose.PROBE:
            yield Text("Y", 1)
            reached.set()
            await asyncio.Event().wait()
        async for event in plain(call):
            yield event

    world.cheap.stream = stream  # pyright: ignore[reportAttributeAccessIssue] - the same door, waiting
    running = asyncio.create_task(world.run())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (record,) = world.records
    assert [(a.purpose, a.finish) for a in record.attempts] == [
        (Purpose.PROBE, Finish.CANCELLED),
        (Purpose.ANSWER, Finish.STOP),
    ]
    assert record.attempts[0].cost > 0
    assert world.dear.calls == []


async def test_signs_are_learnt_of_a_route_that_was_asked_for_too() -> None:
    """As a calibration wants them: nothing is bought, the answer has what it would have had as evidence."""
    world = asking(World(sure("41", 0.6), says("42"), bought=ASK), yes(0.25), says("30"))
    events, answered = await collect(world.live.run(QUERY, Wish(route="cheap"), signs=True))
    assert "".join(e.text for e in events if isinstance(e, Text)) == "41"
    answer = answered.attempts[-1]
    assert answer.purpose is Purpose.ANSWER
    assert answer.signs["p_right"] == pytest.approx(0.25)
    assert answer.signs[SURE] == pytest.approx(0.6)
    assert [a.purpose for a in answered.attempts[:-1]] == [Purpose.PROBE] * 2
    (record,) = world.records
    assert record.attempts == answered.attempts
    assert record.decision.evidence == ()


async def test_without_being_wanted_nothing_is_asked_of_a_committed_route() -> None:
    """A caller's own choice of route costs what it always did."""
    world = World(sure("41", 0.6), says("42"), bought=ASK)
    _, answered = await world.run(wish=Wish(route="cheap"))
    assert len(answered.attempts) == len(world.cheap.calls) == 1


async def test_the_query_can_be_put_again_within_the_limits() -> None:
    """The second answer is drawn by chance, and whether it says the same is a sign; one cut off says nothing."""
    limits = Bought(max_tokens=7, ask=("again",))
    world = asking(World(sure("42", 0.95), says("no"), bought=limits), says("42"))
    _, answered = await world.run()
    assert answered.attempts[-1].signs["again"] == 1.0
    first, second = world.cheap.calls
    assert second.messages == first.messages
    assert (second.max_tokens, second.deadline_ms) == (7, limits.deadline_ms)
    cut = asking(World(sure("42", 0.95), says("no"), bought=limits), says("42", finish=Finish.LENGTH))
    _, answered = await cut.run()
    assert "again" not in answered.attempts[-1].signs
