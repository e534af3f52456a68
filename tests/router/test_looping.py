"""A looping mode as the serving driver runs it: one stream, every call charged, nothing before it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from math import log

import pytest
from scripted import ScriptedEngine, finished, says
from test_live import PRICE, QUERY

from pointsman.backends import Event, Finished, Text, Thought, TokenLogprob, ToolCallDelta, load_modes
from pointsman.classifiers import load_embedder
from pointsman.domain import Call, Capabilities, Enforcement, Finish, Objective, Query, Route, Usage, Wish
from pointsman.errors import BackendError, BackendTimeout, BackendUnavailable, BadRequest
from pointsman.router.decide import Decider, Standing
from pointsman.router.live import Answered, Decided, Live, LiveEvent, collect
from pointsman.store import Record

DOWN = BackendUnavailable("connection refused", backend="m")


class Gated(ScriptedEngine):
    """Each call plays its own script after `gates` lets it, and tells in `open` that it runs and in `left` that it was
    left."""

    def __init__(self, *scripts: list[Event | BackendError]) -> None:
        super().__init__("m", *scripts)
        self.gates = [asyncio.Event() for _ in scripts]
        self.all_open = asyncio.Event()
        self.left: list[int] = []

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        number = len(self.calls)
        self.calls.append(call)
        if len(self.calls) == len(self.scripts):
            self.all_open.set()
        *pieces, last = self.scripts[number]
        try:
            yield pieces[0]  # type: ignore[misc]
            await self.gates[number].wait()
            for event in pieces[1:]:
                yield event  # type: ignore[misc]
        except (asyncio.CancelledError, GeneratorExit):
            self.left.append(number)
            raise
        yield last  # type: ignore[misc]


class World:
    """One route in a looping mode on one engine."""

    def __init__(self, engine: ScriptedEngine, mode: str, *, deadline_ms: float | None = None) -> None:
        able = Capabilities(continues=True)
        self.routes = (Route("loop", "m", mode, None, PRICE, None, able), Route("plain", "n", "think", None, PRICE))
        self.records: list[Record] = []
        self.decider = Decider(Standing(self.routes, "loop", Objective()), load_embedder())
        self.engine, self.other = engine, ScriptedEngine("n", says("plain"))
        engines = {"m": engine, "n": self.other}
        self.live = Live(self.decider, engines, load_modes(), self._record, deadline_ms=deadline_ms)

    def _record(self, record: Record) -> bool:
        self.records.append(record)
        return True

    async def run(self, query: Query = QUERY, wish: Wish | None = None) -> tuple[list[LiveEvent], Answered]:
        return await collect(self.live.run(query, wish or Wish(route="loop")))


def said(events: list[LiveEvent], kind: type[Thought] | type[Text] = Text) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_a_vote_is_one_answer_and_everything_is_charged() -> None:
    engine = ScriptedEngine("m", says("8", thought="hm"), says("7", thought="three"), says("7", thought="four"))
    world = World(engine, "vote(3)")
    events, answered = await world.run()
    assert isinstance(events[0], Decided)
    assert (said(events, Thought), said(events)) == ("three", "7")
    assert answered.usage == Usage(prompt=30, cached=0, thought=2 + 5 + 4, answer=3)
    (attempt,) = answered.attempts
    assert attempt.cost == pytest.approx((30 * 0.1 + 14 * 1.0) / 1e6)
    assert (attempt.answer, attempt.finish, attempt.usage) == ("7", Finish.STOP, answered.usage)
    assert attempt.first_token_ms is not None
    assert 0 < attempt.first_token_ms <= attempt.latency_ms
    assert world.records[0].decision.route.mode == "vote(3)"


async def test_nothing_streams_before_it_is_decided() -> None:
    """The first sample has begun to answer; what the caller sees comes with the vote."""
    engine = Gated(says("7"), says("7"))
    world = World(engine, "vote(3)")
    async with aclosing(world.live.run(QUERY, Wish(route="loop"))) as events:
        first = asyncio.ensure_future(anext(events))
        await engine.all_open.wait()
        engine.gates[0].set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not first.done()
        engine.gates[1].set()
        assert isinstance(await first, Decided)
    assert len(engine.calls) == 2


async def test_the_first_that_finish_answer_and_the_others_are_cancelled() -> None:
    engine = Gated(says("1"), says("2"), says("3"), says("2"))
    world = World(engine, "first(3,4)")
    running = asyncio.ensure_future(world.run())
    await engine.all_open.wait()
    for number in (3, 1):
        engine.gates[number].set()
    events, answered = await running
    assert said(events) == "2"
    assert sorted(engine.left) == [0, 2]
    # Those two read the prompt, about as long as the query, and wrote a token each.
    assert answered.usage.answer == 4
    assert answered.usage.prompt > 20


async def test_who_leaves_cancels_all_and_pays_for_what_ran() -> None:
    engine = Gated(says("1"), says("2"), says("3"), says("2"))
    world = World(engine, "first(3,4)")
    running = asyncio.ensure_future(world.run())
    await engine.all_open.wait()
    engine.gates[2].set()
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert sorted(engine.left) == [0, 1, 3]
    (record,) = world.records
    (attempt,) = record.attempts
    assert attempt.finish is Finish.CANCELLED
    assert attempt.usage.answer == 4
    assert attempt.usage.prompt > 10
    assert attempt.cost > 0


async def test_an_error_of_one_sample_loses_no_other() -> None:
    engine = ScriptedEngine("m", [DOWN], says("7"))
    events, answered = await World(engine, "vote(3)").run()
    assert said(events) == "7"  # the third could only be a tie
    assert answered.warnings == ("1 of 2 calls failed: m: connection refused",)
    assert answered.usage.prompt == 10  # who refused has read nothing


async def test_where_all_fail_the_error_comes_out_and_another_route_answers() -> None:
    with pytest.raises(BackendUnavailable, match="connection refused"):
        await World(ScriptedEngine("m", [DOWN]), "vote(3)").run()
    _, answered = await World(ScriptedEngine("m", [DOWN]), "vote(3)").run(wish=Wish())
    assert answered.decision.route.name == "plain"
    assert [a.error is None for a in answered.attempts] == [False, True]


async def test_samples_that_say_nothing_are_an_empty_answer() -> None:
    world = World(ScriptedEngine("m", [Text("", 0), finished(prompt=10)]), "vote(3)")
    _, answered = await world.run(wish=Wish())
    assert answered.decision.route.name == "plain"
    assert "empty" in (answered.attempts[0].error or "")
    assert answered.attempts[0].usage.prompt == 30


async def test_the_time_limit_is_that_of_the_whole() -> None:
    late = BackendTimeout("no answer in time", backend="m")

    class Slow(ScriptedEngine):
        async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
            self.calls.append(call)
            await asyncio.sleep((call.deadline_ms or 0.0) / 1000)
            raise late
            yield  # a generator

    engine = Slow("m")
    world = World(engine, "early-exit(8,3)", deadline_ms=30.0)
    with pytest.raises(BackendTimeout):
        await world.run()
    assert len(engine.calls) == 1
    plain = ScriptedEngine("m", says("7"))
    await World(plain, "vote(3)", deadline_ms=60_000.0).run()
    assert all(0 < (call.deadline_ms or 0.0) <= 60_000.0 for call in plain.calls)


async def test_the_callers_wishes_reach_every_sample() -> None:
    engine = ScriptedEngine("m", says("7"))
    query = replace(QUERY, max_tokens=50, stop=("X",), extra={"user": "me"})
    await World(engine, "vote(3)").run(query, Wish(route="loop", thinking_budget=16))
    assert len(engine.calls) == 2
    for call in engine.calls:
        assert (call.max_tokens, call.stop, call.extra, call.thinking_budget) == (50, ("X",), {"user": "me"}, 16)


@pytest.mark.parametrize("wanted", [None, 0, 1])
async def test_a_caller_sees_the_probabilities_that_were_asked_for(wanted: int | None) -> None:
    token = TokenLogprob("7", log(0.9), (("7", log(0.9)), ("8", log(0.1))))
    script = [Text("7", 1, (token,)), finished(prompt=10, answer=1)]
    events, _ = await World(ScriptedEngine("m", script), "vote(3)").run(replace(QUERY, logprobs=wanted))
    (text,) = [event for event in events if isinstance(event, Text)]
    assert text.logprobs == (() if wanted is None else (replace(token, top=token.top[:wanted]),))


async def test_tools_that_the_samples_agree_on_are_called() -> None:
    def called(arguments: str) -> list[Event]:
        return [
            ToolCallDelta(0, "c", "f"),
            ToolCallDelta(0, arguments=arguments),
            finished(Finish.TOOL_CALLS, prompt=10),
        ]

    engine = ScriptedEngine("m", called('{"a":2}'), called('{"a": 1}'), called('{"a":1}'))
    events, answered = await World(engine, "vote(3)").run()
    assert [e.arguments for e in events if isinstance(e, ToolCallDelta)] == ["", '{"a": 1}']
    assert answered.finish is Finish.TOOL_CALLS


async def test_early_exit_asks_for_trials_and_shows_one_thought() -> None:
    def piece(thought: str) -> list[Event]:
        return [Thought(thought, 8), finished(Finish.LENGTH, prompt=10, thought=8)]

    engine = ScriptedEngine("m", piece("one "), says("5"), piece("two "), says("7"), piece("three"), says("7"))
    events, answered = await World(engine, "early-exit(8,2)").run()
    assert (said(events, Thought), said(events)) == ("one two three", "7")
    assert answered.usage == Usage(prompt=60, thought=24, answer=3)
    assert answered.enforced is Enforcement.TWO_PASS
    assert [call.thought_prefix for call in engine.calls] == [
        "",
        "one ",
        "one ",
        "one two ",
        "one two ",
        "one two three",
    ]


async def test_early_exit_leaves_the_unable_to_others_or_is_refused() -> None:
    engine = ScriptedEngine("m", says("7"))
    world = World(engine, "early-exit(8,2)")
    tools = replace(QUERY, tools=({"type": "function", "function": {"name": "f"}},))
    _, answered = await world.run(tools, Wish())
    assert answered.decision.route.name == "plain"
    with pytest.raises(BadRequest, match="tools or a response format"):
        await world.run(tools)
    assert engine.calls == []


async def test_what_is_read_several_times_teaches_no_prompt_length() -> None:
    world = World(ScriptedEngine("m", says("7")), "vote(3)")
    before = world.decider.counts.prompt_tokens("m", QUERY)
    await world.run()
    assert world.decider.counts.prompt_tokens("m", QUERY) == before


async def test_a_bug_in_a_call_is_not_waited_for() -> None:
    class Broken(ScriptedEngine):
        async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
            yield Text("7", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await World(Broken("m"), "vote(3)").run()


async def test_the_end_of_the_stream_is_the_end_of_the_chosen() -> None:
    cut: list[Event] = [Text("7", 1), finished(Finish.LENGTH, prompt=10, answer=1)]
    events, answered = await World(ScriptedEngine("m", cut), "vote(3)").run()
    assert isinstance(events[-1], Answered)
    assert not any(isinstance(event, Finished) for event in events)
    assert (answered.finish, answered.usage.prompt, answered.model) == (Finish.LENGTH, 30, "served-name")
