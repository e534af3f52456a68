"""Looping modes on digits, on a real llama.cpp server: right answers, budgets kept, calls cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from embedded import ask, embedded_router

from pointsman.backends import Text, Thought
from pointsman.backends.llamacpp import LlamaCppEngine
from pointsman.domain import Enforcement, Finish, Query, Sampling
from pointsman.router import Router
from pointsman.router.jobs.questions import chains
from pointsman.router.live import Answered, Decided, LiveEvent

CHAIN = "3+4*2-7+5*6-1"
GREEDY = Sampling(temperature=0.0)
EASY = [q for length in (1, 2, 3) for q in chains(4, (length,), seed=11)]


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with embedded_router(tmp_path_factory.mktemp("home")) as made:
        yield made


def run(
    router: Router, text: str, mode: str, *, budget: int | None = None, **fields: object
) -> tuple[list[LiveEvent], Answered]:
    query = Query(messages=({"role": "user", "content": text},), **fields)  # type: ignore[arg-type]
    return ask(router, query, router.wish("digits", mode=mode, thinking_budget=budget))


def said(events: list[LiveEvent], kind: type[Thought] | type[Text] = Text) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def test_a_vote_of_short_samples_is_right_where_most_are(router: Router) -> None:
    right = 0
    for question in EASY:
        events, answered = run(router, question.prompt, "vote(3)", budget=17)
        right += said(events).strip() == question.answer
        attempt = answered.attempts[-1]
        assert answered.decision.route.mode == "vote(3)"
        assert attempt.usage.answer >= 2
        assert attempt.usage.thought <= 3 * (17 + 2)
        assert attempt.answer == said(events)
        assert attempt.cost > 0
    assert right >= len(EASY) - 1


def test_a_vote_without_thought_has_none(router: Router) -> None:
    _, answered = run(router, "3+4", "vote(5)", budget=0)
    assert answered.usage.thought == 0
    assert answered.usage.answer >= 3


def test_a_vote_that_chance_has_no_say_in_is_the_plain_answer(router: Router) -> None:
    plain, direct = run(router, CHAIN, "think", sampling=GREEDY)
    events, answered = run(router, CHAIN, "vote(5)", sampling=GREEDY)
    assert (said(events), said(events, Thought)) == (said(plain), said(plain, Thought))
    assert answered.usage.output == direct.usage.output
    assert "one was asked for" in answered.warnings[0]


def test_the_first_to_finish_answer_and_the_server_stops_the_rest(router: Router) -> None:
    events, answered = run(router, CHAIN, "first(1,4)")
    _, direct = run(router, CHAIN, "think")
    assert said(events).strip()
    assert answered.finish is Finish.STOP
    assert answered.usage.thought < 4 * max(direct.usage.thought, answered.usage.thought)
    assert _idle(router)


def test_an_early_exit_is_right_and_thinks_less_than_the_whole(router: Router) -> None:
    """Greedy, the pieces are the whole thought's beginning; digits knows its result well before the thought's end."""
    right, thought, whole = 0, 0, 0
    for question in chains(12, (5, 6), seed=11):
        plain, direct = run(router, question.prompt, "think", sampling=GREEDY)
        events, answered = run(router, question.prompt, "early-exit(8,3)", sampling=GREEDY)
        right += said(events).strip() == question.answer
        shown, all_ = said(events, Thought), said(plain, Thought)
        assert shown
        assert all_.startswith(shown)
        assert answered.enforced is (Enforcement.TWO_PASS if len(shown) < len(all_) else Enforcement.NATIVE)
        thought += answered.usage.thought
        whole += direct.usage.thought
    assert right >= 11
    assert thought < 0.9 * whole


@pytest.mark.parametrize("budget", [4, 17, 32])
def test_an_early_exit_keeps_its_budget(router: Router, budget: int) -> None:
    for question in chains(4, (6, 8), seed=3):
        events, answered = run(router, question.prompt, "early-exit(8,2)", budget=budget)
        assert answered.usage.thought <= budget + 2
        assert said(events).strip()
        assert answered.finish is Finish.STOP


def test_a_limit_of_tokens_leaves_an_answer(router: Router) -> None:
    for limit in (1, 2, 8, 24):
        events, _ = run(router, CHAIN, "early-exit(4,2)", max_tokens=limit)
        assert said(events).strip()


def test_who_leaves_stops_every_sample(router: Router) -> None:
    async def leave() -> None:
        query = Query(messages=({"role": "user", "content": "Write a long story about the sea."},), max_tokens=400)
        wish = replace(router.wish("chat", mode="first(4,4)"), thinking_budget=0)
        async with aclosing(router.run(query, wish)) as events:
            first = asyncio.ensure_future(anext(events))
            engine = router.engines["smollm2"]
            assert isinstance(engine, LlamaCppEngine)
            while not any(slot.busy for slot in await engine.slots()):
                assert not first.done()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert first.cancelled()

    ask(router, Query(messages=({"role": "user", "content": "3+4"},)), router.wish("small"))  # the engines are open
    router.portal().call(leave)
    assert _idle(router, "smollm2")


def test_it_is_streamed_only_when_it_is_decided(router: Router) -> None:
    """What is first is the decision, and by then the mode has spent all that it will."""

    async def first() -> tuple[LiveEvent, float, float]:
        query = Query(messages=({"role": "user", "content": CHAIN},))
        started = time.perf_counter()
        async with aclosing(router.run(query, router.wish("digits", mode="vote(3)"))) as events:
            event = await anext(events)
            decided = time.perf_counter() - started
            async for _ in events:
                pass
        return event, decided, time.perf_counter() - started

    run(router, "3+4", "direct")
    event, decided, ended = router.portal().call(first)
    assert isinstance(event, Decided)
    assert decided > 0.5 * ended


def _idle(router: Router, model: str = "digits") -> bool:
    """Whether the server's slots all come to rest soon."""

    async def busy() -> bool:
        engine = router.engines[model]
        assert isinstance(engine, LlamaCppEngine)
        return any(slot.busy for slot in await engine.slots())

    until = time.monotonic() + 5
    while router.portal().call(busy):
        if time.monotonic() > until:
            return False
    return True
