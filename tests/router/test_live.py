"""The serving driver: what reaches the caller, what is recorded, what is cancelled."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest
from scripted import ScriptedEngine, finished, says

from pointsman.backends import Advice, Text, Thought, load_modes
from pointsman.classifiers import load_embedder
from pointsman.domain import Enforcement, Finish, Objective, Price, Query, Route, Sampling, Tier, Wish
from pointsman.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable, ContextTooLong
from pointsman.router.decide import Decider, Standing
from pointsman.router.live import Answered, Decided, Live, collect
from pointsman.store import Record, redacted

QUERY = Query(messages=({"role": "user", "content": "3+4"},))
PRICE = Price(0.1, 0.0, 1.0)
DOWN = BackendUnavailable("connection refused", backend="cheap")


class World:
    """Two routes on two scripted engines, the dearer one safe; what is recorded is kept in a list."""

    def __init__(
        self, cheap: ScriptedEngine, dear: ScriptedEngine, *, safe: str = "dear", escalate: bool = False
    ) -> None:
        self.routes = (
            Route("cheap", "cheap", "direct", 0, PRICE, Tier.SMALL),
            Route("dear", "dear", "think", None, Price(1.0, 0.0, 10.0), Tier.FULL),
        )
        self.records: list[Record] = []
        standing = Standing(self.routes, safe, Objective(), escalate=escalate)
        self.decider = Decider(standing, load_embedder())
        self.live = Live(self.decider, {"cheap": cheap, "dear": dear}, load_modes(), self._record)

    def contexts(self, *tokens: int) -> None:
        """Give the two models contexts of these many tokens."""
        able = [replace(r.capabilities, context=c) for r, c in zip(self.routes, tokens, strict=True)]
        routes = tuple(replace(r, capabilities=c) for r, c in zip(self.routes, able, strict=True))
        self.decider.standing = replace(self.decider.standing, routes=routes)

    def _record(self, record: Record) -> bool:
        self.records.append(record)
        return True


async def test_an_answer_is_decided_streamed_recorded_and_ends() -> None:
    world = World(ScriptedEngine("cheap", says("no")), ScriptedEngine("dear", says("7", thought="3+4=7")))
    events, answered = await collect(world.live.run(QUERY))
    assert isinstance(events[0], Decided)
    assert "".join(e.text for e in events if isinstance(e, Thought)) == "3+4=7"
    assert "".join(e.text for e in events if isinstance(e, Text)) == "7"
    assert isinstance(events[-1], Answered)
    (record,) = world.records
    assert record.decision == answered.decision
    assert record.attempts[-1].answer == "7"
    assert (answered.usage.thought, answered.usage.answer) == (5, 1)
    assert record.attempts[-1].cost == pytest.approx((10 * 1.0 + 6 * 10.0) / 1e6)
    assert record.features is not None
    assert record.embedding is not None


async def test_the_callers_route_is_run() -> None:
    cheap = ScriptedEngine("cheap", says("7"))
    world = World(cheap, ScriptedEngine("dear", says("no")))
    _, answered = await collect(world.live.run(QUERY, Wish(route="cheap")))
    assert answered.decision.route.name == "cheap"
    assert cheap.calls[0].thinking_budget == 0


async def test_each_route_is_sent_what_is_recommended_for_its_model() -> None:
    cheap, dear = ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", says("7"))
    world = World(cheap, dear)
    told = {"cheap": Advice(think=Sampling(top_k=1), direct=Sampling(temperature=0.7, top_k=20))}
    engines = world.live.engines
    world.live = Live(world.decider, engines, world.live.modes, world._record, advice=told)
    await collect(world.live.run(replace(QUERY, sampling=Sampling(temperature=0.0)), Wish(route="cheap")))
    await collect(world.live.run(QUERY, Wish(route="dear")))
    assert cheap.calls[0].sampling == Sampling(temperature=0.0, top_k=20)
    assert dear.calls[0].sampling == Sampling()


async def test_a_route_that_is_down_before_its_first_token_is_replaced() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", [DOWN]))
    _, answered = await collect(world.live.run(QUERY))
    assert answered.decision.route.name == "cheap"
    assert "dear failed" in answered.decision.reason
    assert [a.error is not None for a in answered.attempts] == [True, False]
    assert [a.route for a in world.records[0].decision.evidence] == ["dear"]


async def test_a_decision_is_shown_from_its_first_token_on() -> None:
    """Its id is out by then; the record itself comes with the end."""
    world = World(ScriptedEngine("cheap", says("no")), ScriptedEngine("dear", says("7")))
    begun: list[Record] = []
    world.live = Live(world.decider, world.live.engines, world.live.modes, world._record, begin=begun.append)
    async with aclosing(world.live.run(QUERY)) as events:
        decided = await anext(events)
        assert isinstance(decided, Decided)
        assert [(record.decision, record.attempts) for record in begun] == [(decided.decision, ())]
        assert world.records == []
    assert [record.decision for record in world.records] == [decided.decision]


async def test_an_empty_answer_is_replaced() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", [Text("", 0), finished(prompt=10)]))
    _, answered = await collect(world.live.run(QUERY))
    assert answered.decision.route.name == "cheap"
    assert "empty" in (answered.attempts[0].error or "")


async def test_a_wished_route_that_is_down_is_an_error_and_recorded() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", [DOWN]))
    with pytest.raises(BackendUnavailable, match="connection refused"):
        await collect(world.live.run(QUERY, Wish(route="dear")))
    (record,) = world.records
    assert record.attempts[0].finish is Finish.ERROR
    assert record.decision.route.name == "dear"


async def test_when_every_route_is_down_the_last_error_comes_out_and_one_record_is_kept() -> None:
    rejected = BackendRejected("too long", backend="cheap", status=400)
    world = World(ScriptedEngine("cheap", [rejected]), ScriptedEngine("dear", [DOWN]))
    with pytest.raises(BackendRejected, match="too long"):
        await collect(world.live.run(QUERY))
    (record,) = world.records
    assert [a.route for a in record.attempts] == ["dear", "cheap"]
    assert record.decision.reason == "no route answered", "what the server said may quote the query"
    assert "too long" not in str(redacted(record))


async def test_after_the_first_token_a_broken_stream_is_an_error_not_another_route() -> None:
    cheap = ScriptedEngine("cheap", says("7"))
    world = World(cheap, ScriptedEngine("dear", [Thought("3", 1), BackendError("cut", backend="dear")]))
    events = world.live.run(QUERY)
    assert isinstance(await anext(events), Decided)
    assert isinstance(await anext(events), Thought)
    with pytest.raises(BackendError, match="cut"):
        await anext(events)
    assert cheap.calls == []
    (record,) = world.records
    assert record.attempts[-1].error == "dear: cut"
    assert record.attempts[-1].usage.thought == 1


async def test_a_caller_who_leaves_stops_the_engine_and_is_recorded_as_cancelled() -> None:
    dear = ScriptedEngine("dear", says("7", thought="3+4=7"))
    world = World(ScriptedEngine("cheap", says("7")), dear)
    async with aclosing(world.live.run(QUERY)) as events:
        async for event in events:
            if isinstance(event, Thought):
                break
    assert dear.closed == 1
    (record,) = world.records
    last = record.attempts[-1]
    assert last.finish is Finish.CANCELLED
    assert last.error is None
    assert last.usage.prompt == round(world.decider.counts.prompt_tokens("dear", QUERY)), "it was read, though not told"
    assert last.cost > 0


async def test_a_server_that_refused_read_nothing_and_one_that_broke_off_did() -> None:
    """What is charged of the prompt, where the engine never told."""
    broke = [Text("7", 1), BackendUnavailable("broke off", backend="dear")]
    world = World(ScriptedEngine("cheap", [DOWN]), ScriptedEngine("dear", broke), safe="cheap")
    with pytest.raises(BackendUnavailable, match="broke off"):
        await collect(world.live.run(QUERY))
    (record,) = world.records
    assert [attempt.usage.prompt > 0 for attempt in record.attempts] == [False, True]


async def test_a_server_that_was_silent_is_left_out_for_a_while_but_not_for_who_names_it() -> None:
    """One query waits for it, the next does not; it serves again once it has answered somebody."""
    silent = BackendTimeout("silent for 120000 ms", backend="dear")
    dear = ScriptedEngine("dear", [silent], says("7"))
    world = World(ScriptedEngine("cheap", says("no")), dear)
    assert (await collect(world.live.run(QUERY)))[1].decision.route.name == "cheap"
    _, second = await collect(world.live.run(QUERY))
    assert (second.decision.route.name, len(second.attempts), len(dear.calls)) == ("cheap", 1, 1)
    _, named = await collect(world.live.run(QUERY, Wish(route="dear")))
    assert named.decision.route.name == "dear"
    assert (await collect(world.live.run(QUERY)))[1].decision.route.name == "dear"


async def test_where_every_server_was_silent_they_are_tried_all_the_same() -> None:
    cheap = ScriptedEngine("cheap", [DOWN], says("7"))
    world = World(cheap, ScriptedEngine("dear", [DOWN]))
    with pytest.raises(BackendUnavailable):
        await collect(world.live.run(QUERY))
    assert (await collect(world.live.run(QUERY)))[1].decision.route.name == "cheap"


async def test_escalation_withholds_an_unfinished_answer_and_goes_on() -> None:
    cheap = ScriptedEngine("cheap", says("half an ans", finish=Finish.LENGTH))
    world = World(cheap, ScriptedEngine("dear", says("whole")), safe="cheap", escalate=True)
    events, answered = await collect(world.live.run(QUERY))
    assert "".join(e.text for e in events if isinstance(e, Text)) == "whole"
    assert [a.route for a in answered.attempts] == ["cheap", "dear"]
    assert "unfinished" in answered.decision.reason


async def test_escalation_keeps_a_whole_answer_that_was_bought() -> None:
    dear = ScriptedEngine("dear", says("no"))
    world = World(ScriptedEngine("cheap", says("7")), dear, safe="cheap", escalate=True)
    events, answered = await collect(world.live.run(QUERY))
    assert "".join(e.text for e in events if isinstance(e, Text)) == "7"
    assert dear.calls == []
    assert len(world.records) == 1
    assert len(answered.attempts) == 1


async def test_an_answer_bought_before_a_failed_escalation_is_still_given() -> None:
    cheap = ScriptedEngine("cheap", says("half", finish=Finish.LENGTH))
    world = World(cheap, ScriptedEngine("dear", [DOWN]), safe="cheap", escalate=True)
    events, answered = await collect(world.live.run(QUERY))
    assert "".join(e.text for e in events if isinstance(e, Text)) == "half"
    assert answered.attempts[-1].route == "cheap"
    assert {a.route for a in answered.attempts} == {"cheap", "dear"}


async def test_a_query_too_long_for_every_context_names_the_longest() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", says("7")))
    short = tuple(
        replace(r, capabilities=replace(r.capabilities, context=c)) for r, c in zip(world.routes, (50, 90), strict=True)
    )
    world.decider.standing = replace(world.decider.standing, routes=short)
    with pytest.raises(ContextTooLong, match=r"90 tokens \(dear\)"):
        await collect(world.live.run(Query(messages=({"role": "user", "content": "x" * 4000},))))
    assert world.records == []


async def test_a_query_too_long_for_one_route_goes_to_another() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", says("no")))
    short = tuple(
        replace(r, capabilities=replace(r.capabilities, context=c))
        for r, c in zip(world.routes, (5000, 50), strict=True)
    )
    world.decider.standing = replace(world.decider.standing, routes=short)
    _, answered = await collect(world.live.run(Query(messages=({"role": "user", "content": "x" * 4000},))))
    assert answered.decision.route.name == "cheap"


async def test_the_engines_count_corrects_the_next_guess() -> None:
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", says("7")))
    before = world.decider.counts.prompt_tokens("dear", QUERY)
    await collect(world.live.run(QUERY))
    assert world.decider.counts.prompt_tokens("dear", QUERY) == pytest.approx(10, abs=0.5)
    assert before != pytest.approx(10, abs=0.5)


async def test_an_answer_of_two_passes_is_no_count_of_the_prompt() -> None:
    """What the second pass read again is in its usage."""
    script = [Text("7", 1), replace(finished(prompt=500, answer=1), enforced=Enforcement.TWO_PASS)]
    world = World(ScriptedEngine("cheap", says("7")), ScriptedEngine("dear", script))
    before = world.decider.counts.prompt_tokens("dear", QUERY)
    await collect(world.live.run(QUERY))
    assert world.decider.counts.prompt_tokens("dear", QUERY) == before
