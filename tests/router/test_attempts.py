"""A watched call, and one that goes on from it: both as one attempt."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from laddered import ROUTES

from pointsman.backends import Event, Finished, Text, Thought, Timings, TokenLogprob
from pointsman.domain import Call, Enforcement, Finish, Usage
from pointsman.router.attempts import Watch

CALL = Call(messages=({"role": "user", "content": "?"},))
ROUTE = ROUTES[0]


async def play(events: Sequence[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


def done(finish: Finish, usage: Usage, enforced: Enforcement = Enforcement.NATIVE, *warnings: str) -> Finished:
    return Finished(finish, usage, Timings(100.0, 7.0), enforced, "served-name", warnings=warnings)


async def watched(events: Sequence[Event], before: Watch | None = None, *, cap: int | None = None) -> Watch:
    """A watch over all of these events."""
    watch = Watch(ROUTE, CALL, play(events), 10.0, before, cap)
    async for event in watch:
        if isinstance(event, Finished):
            break
    return watch


def token(text: str, logprob: float) -> Text:
    return Text(text, 1, (TokenLogprob(text, logprob),))


BEGINNING = [
    Thought("hm", 1),
    token("Ro", -0.5),
    token("ses", -0.25),
    done(Finish.LENGTH, Usage(10, 2, 1, 2), Enforcement.PROMPT, "only asked to"),
]
REST = [token(" red", -3.0), done(Finish.STOP, Usage(13, 12, 0, 1), Enforcement.NATIVE, "slow")]


async def test_both_calls_are_one_attempt() -> None:
    """The prompt is charged once, with what the second call had to read anew; times and warnings are of both; what
    holds of both is how well the budget was kept; the first token is the first call's."""
    first = await watched(BEGINNING)
    watch = await watched(REST, first)
    both = watch.attempt()
    assert both.usage == Usage(10 + 13 - 12, 2, 1, 3)
    assert (both.answer, watch.thought) == ("Roses red", "hm")
    assert (both.finish, both.enforced) == (Finish.STOP, Enforcement.PROMPT)
    assert both.latency_ms == 200.0
    assert both.first_token_ms == first.attempt().first_token_ms
    assert both.warnings == ("only asked to", "slow")
    assert [t.logprob for t in watch.logprobs] == [-0.5, -0.25, -3.0]
    assert watch.finished is not None
    assert watch.finished.usage == both.usage
    assert watch.finished.timings.first_token_ms == 7.0


async def test_what_was_known_of_the_beginning_is_known_of_the_whole() -> None:
    """What it was chosen by, not what its end would say."""
    watch = await watched(REST, await watched(BEGINNING))
    assert watch.attempt().signs["least_probability"] == pytest.approx(0.0498, abs=1e-3)
    watch.signs = {"p_right": 0.75, "least_probability": 0.6}
    assert watch.attempt().signs == {"p_right": 0.75, "least_probability": 0.6}


async def test_a_rest_that_broke_off_is_charged_what_came_and_no_second_prompt() -> None:
    """What the engine read again is not known: nothing is made up."""
    watch = Watch(ROUTE, CALL, play(REST), 10.0, await watched(BEGINNING))
    assert not watch.begun
    assert watch.attempt().usage == Usage(10, 2, 1, 2), "nothing of it has come"
    await anext(watch)
    assert watch.begun
    watch.cancelled = True
    left = watch.attempt()
    assert left.usage == Usage(10, 2, 1, 3)
    assert (left.answer, left.finish) == ("Roses red", Finish.CANCELLED)


async def test_signs_tell_of_as_many_tokens_as_evidence_would_have() -> None:
    whole, capped = await watched(BEGINNING), await watched(BEGINNING, cap=2)
    assert whole.attempt().signs["mean_probability"] < 0.75
    assert capped.attempt().signs["mean_probability"] == pytest.approx(0.6065, abs=1e-3)
    assert capped.beginning()[0] == "Ro"
    assert whole.beginning()[0] == capped.text == "Roses"


async def test_an_end_that_brings_no_more_is_an_end() -> None:
    watch = await watched([replace(done(Finish.STOP, Usage(13, 13, 0, 0)))], await watched(BEGINNING))
    assert not watch.empty
    assert watch.attempt().answer == "Roses"
