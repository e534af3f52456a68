"""The serving driver on a ladder: what is bought before committing, charged, recorded, and what the caller sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import exp, log
from typing import Any

import pytest
from laddered import CURVE, ROUTES, SURE, embedder, learnt_ladder
from scripted import ScriptedEngine, finished, says

from pointsman.backends import Event, Text, Thought, TokenLogprob, load_modes
from pointsman.classifiers.ladder_model import LadderModel
from pointsman.domain import Attempt, Call, Capabilities, Finish, Objective, Query, Tier, Wish
from pointsman.errors import BackendError, BackendTimeout, BackendUnavailable
from pointsman.router.buying import Bought
from pointsman.router.decide import Decider, Standing
from pointsman.router.live import Answered, Decided, Live, LiveEvent, collect
from pointsman.router.objectives import Point
from pointsman.router.signs import ALTERNATIVES
from pointsman.store import Record

QUERY = Query(messages=({"role": "user", "content": "3+4"},))


def sure(text: str, probability: float, *, finish: Finish = Finish.STOP, thought: str = "") -> list[Event]:
    """The events of an answer, every token of this probability, with two alternatives."""
    told = log(probability)
    pieces: list[Event] = [Thought(piece, 1, (TokenLogprob(piece, log(0.5)),)) for piece in thought]
    for piece in text:
        top = ((piece, told), ("?", log(0.01)), ("!", log(0.001)))
        pieces.append(Text(piece, 1, (TokenLogprob(piece, told, top),)))
    return [*pieces, finished(finish, prompt=10, thought=len(thought), answer=len(text))]


class World:
    """Two routes on two scripted engines, and the tiny ladder: cheap first, kept where it is surer than 0.9."""

    def __init__(
        self,
        cheap: Sequence[Event | BackendError],
        dear: Sequence[Event | BackendError],
        *,
        bought: Bought | None = None,
        deadline_ms: float | None = None,
        observed: str | None = None,
        curve: Sequence[Point] = CURVE,
        objective: Objective | None = None,
        escalate: bool = False,
        model: LadderModel | None = None,
        continues: bool | None = None,
    ) -> None:
        self.cheap, self.dear = ScriptedEngine("cheap", cheap), ScriptedEngine("dear", dear)
        self.records: list[Record] = []
        self.begun: list[Record] = []
        able = Capabilities(continues=continues)
        standing = Standing(
            tuple(replace(r, capabilities=able) for r in ROUTES), "dear", objective or Objective(), observed, escalate
        )
        self.decider = Decider(standing, embedder())
        self.decider.use(learnt_ladder(curve, model))
        engines = {"cheap": self.cheap, "dear": self.dear}
        self.live = Live(
            self.decider,
            engines,
            load_modes(),
            self._record,
            begin=self.begun.append,
            deadline_ms=deadline_ms,
            bought=bought,
        )

    def _record(self, record: Record) -> bool:
        self.records.append(record)
        return True

    async def run(self, query: Query = QUERY, wish: Wish | None = None) -> tuple[list[LiveEvent], Answered]:
        return await collect(self.live.run(query, wish))


def said(events: Sequence[LiveEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def routes(attempts: Sequence[Attempt]) -> list[str]:
    return [attempt.route for attempt in attempts]


async def test_a_sure_answer_that_was_bought_is_the_answer() -> None:
    """It is replayed as it came, paid once, and the dear route is never run."""
    world = World(sure("42", 0.95, thought="hm"), says("no"))
    events, answered = await world.run()
    assert isinstance(events[0], Decided)
    assert [e.text for e in events if isinstance(e, (Thought, Text))] == ["h", "m", "4", "2"]
    assert isinstance(events[-1], Answered)
    assert world.dear.calls == []
    decision = answered.decision
    assert decision.route.name == "cheap"
    assert decision.reason == "cheap has answered: 95% likely right, dear 90%"
    assert decision.confidence == pytest.approx(0.95)
    assert decision.evidence == ()
    assert routes(answered.attempts) == ["cheap"]
    (record,) = world.records
    assert (record.decision, record.attempts) == (decision, answered.attempts)
    (attempt,) = record.attempts
    assert (attempt.usage.prompt, attempt.usage.output) == (10, 4)
    assert attempt.cost == pytest.approx((10 * 0.1 + 4 * 1.0) / 1e6)
    assert attempt.signs[SURE] == pytest.approx(0.95), "the thought's probabilities are not the answer's"
    assert attempt.signs["first_margin"] == pytest.approx(0.94)
    assert answered.usage.answer == 2
    assert answered.finish is Finish.STOP


async def test_one_that_is_not_sure_is_evidence_and_the_dear_route_streams() -> None:
    """Both are charged; the evidence stands in the decision, the answer last among the attempts."""
    world = World(sure("41", 0.6), says("42", thought="6*7"))
    events, answered = await world.run()
    assert said(events) == "42"
    assert "".join(e.text for e in events if isinstance(e, Thought)) == "6*7"
    decision = answered.decision
    assert (decision.route.name, decision.reason) == ("dear", "cheap has answered: dear answers")
    assert decision.confidence == pytest.approx(0.9)
    assert routes(decision.evidence) == ["cheap"]
    assert decision.evidence[0].answer == "41"
    assert routes(answered.attempts) == ["cheap", "dear"]
    assert [a.cost for a in answered.attempts] == pytest.approx([3e-6, (10 * 1.0 + 5 * 10.0) / 1e6])
    assert answered.usage.thought == 3
    (record,) = world.records
    assert record.attempts == answered.attempts


async def test_what_streams_comes_at_once_and_the_evidence_is_told_before_it() -> None:
    """The decision is there with the dear route's first token, its answer not yet ended."""
    world = World(sure("41", 0.6), says("42"))
    events = world.live.run(QUERY)
    decided, first = await anext(events), await anext(events)
    assert isinstance(decided, Decided)
    assert routes(decided.decision.evidence) == ["cheap"]
    assert first == Text("4", 1)
    assert world.records == []
    assert [record.decision.id for record in world.begun] == [decided.decision.id]
    await events.aclose()
    assert world.dear.closed == 1
    (record,) = world.records
    assert [a.finish for a in record.attempts] == [Finish.STOP, Finish.CANCELLED]


class Stalling(ScriptedEngine):
    """Says its script but for the end, then waits for ever."""

    def __init__(self, name: str, *scripts: Sequence[Event | BackendError]) -> None:
        super().__init__(name, *scripts)
        self.stalled = asyncio.Event()

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        self.calls.append(call)
        try:
            for event in self.scripts[0][:-1]:
                assert not isinstance(event, BackendError)
                yield event
            self.stalled.set()
            await asyncio.Event().wait()
        finally:
            self.closed += 1


async def test_a_caller_who_leaves_while_evidence_is_bought_stops_it() -> None:
    """Nothing was shown, what was generated until then is charged and recorded as left."""
    world = World(says("41"), says("42"))
    cheap = Stalling("cheap", sure("41", 0.6))
    world.live.engines = {"cheap": cheap, "dear": world.dear}
    running = asyncio.create_task(world.run())
    await cheap.stalled.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cheap.closed == 1
    assert world.dear.calls == []
    (record,) = world.records
    (left,) = record.attempts
    assert (left.route, left.finish, left.error, left.usage.answer) == ("cheap", Finish.CANCELLED, None, 2)
    assert left.cost > 0
    assert record.decision.reason == "left before the first token"


@pytest.mark.parametrize(
    ("wanted", "alternatives"),
    [(None, None), (0, 0), (1, 1), (2, 2), (5, 3)],
)
async def test_the_caller_sees_the_token_probabilities_that_were_asked_for(
    wanted: int | None, alternatives: int | None
) -> None:
    """None where none were, though the ladder needed them, and no more alternatives than were."""
    world = World(sure("42", 0.95, thought="h"), says("no"))
    events, _ = await world.run(Query(messages=QUERY.messages, logprobs=wanted))
    shown = [event.logprobs for event in events if isinstance(event, Text)]
    if alternatives is None:
        assert not any(event.logprobs for event in events if isinstance(event, (Thought, Text)))
    else:
        assert [len(tokens) for tokens in shown] == [1, 1]
        assert [len(tokens[0].top) for tokens in shown] == [alternatives] * 2
        assert exp(shown[0][0].logprob) == pytest.approx(0.95)
    assert world.cheap.calls[0].logprobs == ALTERNATIVES


async def test_more_alternatives_than_the_ladder_needs_are_asked_for_where_the_caller_wants_them() -> None:
    world = World(sure("42", 0.95), says("no"))
    await world.run(Query(messages=QUERY.messages, logprobs=20))
    assert world.cheap.calls[0].logprobs == 20


@pytest.mark.parametrize(
    ("bought", "own", "asked", "expected"),
    [
        (None, None, None, (1024, 30_000)),
        (Bought(64, 500), None, None, (64, 500)),
        (Bought(64, 500), 100.0, 8, (8, 100)),
        (Bought(64, 500), 9000.0, 4096, (64, 500)),
    ],
)
async def test_what_is_bought_has_limits_of_its_own_within_the_callers(
    bought: Bought | None, own: float | None, asked: int | None, expected: tuple[int, float]
) -> None:
    """The answer that streams has the caller's and the owner's, and no probabilities nobody asked for."""
    world = World(sure("41", 0.6), says("42"), bought=bought, deadline_ms=own)
    await world.run(Query(messages=QUERY.messages, max_tokens=asked))
    (probe,), (final,) = world.cheap.calls, world.dear.calls
    assert (probe.max_tokens, probe.deadline_ms) == expected
    assert (final.max_tokens, final.deadline_ms, final.logprobs) == (asked, own, None)


@pytest.mark.parametrize("answer", ["4", "", " "])
async def test_an_answer_that_was_cut_off_or_is_empty_answers_nobody(answer: str) -> None:
    """However sure; its tokens are charged."""
    finish = Finish.LENGTH if answer.strip() else Finish.STOP
    world = World(sure(answer, 0.99, finish=finish, thought="hm"), says("42"))
    events, answered = await world.run()
    assert said(events) == "42"
    assert routes(answered.attempts) == ["cheap", "dear"]
    assert answered.attempts[0].usage.output == 2 + len(answer)
    assert answered.attempts[0].cost > 0


async def test_a_probe_that_says_nothing_at_all_is_a_failed_attempt() -> None:
    world = World([finished(prompt=10)], says("42"))
    _, answered = await world.run()
    assert [a.error is not None for a in answered.attempts] == [True, False]
    assert answered.decision.reason == "no evidence is worth its price; cheap failed"


@pytest.mark.parametrize(
    ("script", "tokens"),
    [
        ([BackendUnavailable("connection refused", backend="cheap")], 0),
        ([BackendTimeout("nothing within 500 ms", backend="cheap")], 0),
        ([*sure("4", 0.99)[:-1], BackendTimeout("not done within 500 ms", backend="cheap")], 1),
        ([Thought("hm", 1), BackendError("broke off", backend="cheap")], 1),
    ],
)
async def test_a_probe_that_fails_costs_what_came_of_it_and_the_next_action_is_taken(
    script: list[Event | BackendError], tokens: int
) -> None:
    """Half an answer is no answer, however sure."""
    world = World(script, says("42"))
    events, answered = await world.run()
    assert said(events) == "42"
    assert answered.decision.reason == "no evidence is worth its price; cheap failed"
    assert routes(answered.decision.evidence) == ["cheap"]
    lost = answered.attempts[0]
    assert lost.error is not None
    assert lost.usage.output == tokens
    assert (lost.cost > 0) == (tokens > 0)
    assert len(world.cheap.calls) == 1


class Silent(ScriptedEngine):
    """Says nothing; at the call's time limit it fails as an engine does."""

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        assert call.deadline_ms is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(call.deadline_ms / 1e3):
                await asyncio.Event().wait()
        raise BackendTimeout(f"not finished in {call.deadline_ms:.0f} ms", backend=self.name)
        yield  # a generator


@pytest.mark.parametrize(
    ("engine", "own", "rests"),
    [
        (Silent("cheap"), None, False),
        (Silent("cheap"), 20.0, True),
        (ScriptedEngine("cheap", [BackendTimeout("no connection in time", backend="cheap")]), None, True),
    ],
)
async def test_only_a_limit_that_evidence_alone_has_leaves_its_server_in_service(
    engine: ScriptedEngine, own: float | None, rests: bool
) -> None:
    """Our impatience is not its failure; no connection, or silence for as long as an answer may take, is."""
    world = World([], says("42"), bought=Bought(deadline_ms=20.0), deadline_ms=own)
    world.live.engines = {"cheap": engine, "dear": world.dear}
    _, answered = await world.run()
    assert answered.attempts[0].error is not None
    assert answered.decision.route.name == "dear"
    assert world.decider.outages.resting("cheap") == rests


async def test_where_the_dear_route_fails_after_the_evidence_the_answer_that_is_there_is_given() -> None:
    """In the record it is the last attempt, for the caller got it; what was tried after it is evidence."""
    world = World(sure("41", 0.6), [BackendUnavailable("connection refused", backend="dear")])
    events, answered = await world.run()
    assert said(events) == "41"
    assert answered.decision.route.name == "cheap"
    assert answered.decision.reason == "cheap has answered: 60% likely right, dear 90%; dear failed"
    assert routes(answered.decision.evidence) == ["dear"]
    assert routes(answered.attempts) == ["dear", "cheap"]
    assert len(world.records) == 1


async def test_where_both_fail_the_error_comes_out_and_both_are_recorded() -> None:
    refused = [BackendUnavailable("connection refused", backend="x")]
    world = World(refused, refused)
    with pytest.raises(BackendUnavailable, match="connection refused"):
        await world.run()
    (record,) = world.records
    assert routes(record.attempts) == ["cheap", "dear"]


async def test_deciding_alone_buys_nothing() -> None:
    """`route()` has the text only: the plan on the text is one route."""
    world = World(sure("42", 0.95), says("no"))
    decision, considered = world.decider.decide(QUERY)
    assert decision.route.name == "dear"
    assert decision.evidence == ()
    assert considered.terms.climb is None
    assert (world.cheap.calls, world.dear.calls) == ([], [])
    assert world.decider.consider(QUERY).terms.climb is not None


async def test_observe_buys_nothing() -> None:
    """One route answers everything; what is noted is what the text alone would have chosen."""
    world = World(sure("42", 0.95), says("17"), observed="dear")
    events, answered = await world.run()
    assert said(events) == "17"
    assert world.cheap.calls == []
    assert answered.decision.observed == "dear"
    assert answered.decision.evidence == ()


@pytest.mark.parametrize("wish", [Wish(route="dear"), Wish(model="dear"), Wish(tier=Tier.FULL)])
async def test_a_wish_is_obeyed_without_buying(wish: Wish) -> None:
    world = World(sure("42", 0.95), says("17"))
    events, answered = await world.run(wish=wish)
    assert said(events) == "17"
    assert world.cheap.calls == []
    assert routes(answered.attempts) == ["dear"]


async def test_a_wished_cheap_route_has_no_limits_of_evidence() -> None:
    world = World(sure("41", 0.6), says("42"), bought=Bought(5, 10))
    events, _ = await world.run(wish=Wish(route="cheap"))
    assert said(events) == "41"
    assert (world.cheap.calls[0].max_tokens, world.cheap.calls[0].logprobs) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"curve": (CURVE[0], Point(0.9, 30.0, rung=1, sure=0.5))},
        {"curve": (CURVE[0], Point(0.9, 130.0, rung=1, sure=0.9))},
        {"curve": CURVE[:2]},
    ],
)
async def test_where_the_objective_does_not_ask_for_it_nothing_is_bought(changes: dict[str, Any]) -> None:
    world = World(sure("42", 0.95), says("17"), **changes)
    events, _ = await world.run()
    assert said(events) == "17"
    assert world.cheap.calls == []


async def test_an_objective_of_the_callers_own_is_climbed_for() -> None:
    """Half the quality is reached by the cheap route for everything."""
    world = World(sure("41", 0.6), says("42"))
    events, answered = await world.run(wish=Wish(objective=Objective(value=0.5)))
    assert said(events) == "41"
    assert answered.decision.reason.startswith("the cheapest way")
    assert world.dear.calls == []


async def test_the_first_price_of_an_error_keeps_what_the_second_does_not() -> None:
    """The rung that the plan names is the one that is climbed at."""
    curve = (CURVE[0], Point(0.9, 20.0, rung=0, sure=0.9))
    events, answered = await World(sure("41", 0.6), says("42"), curve=curve).run()
    assert said(events) == "41"
    assert answered.decision.confidence == pytest.approx(0.6)


async def test_escalation_beside_a_ladder_changes_nothing_of_what_is_bought() -> None:
    world = World(sure("41", 0.6), says("42"), escalate=True)
    events, answered = await world.run()
    assert said(events) == "42"
    assert routes(answered.attempts) == ["cheap", "dear"]


@pytest.mark.parametrize(("not_measured", "named"), [((), "about 10 tokens"), (("dear",), "about 300 tokens")])
async def test_a_prompt_names_the_tokens_that_the_route_is_expected_to_need(
    not_measured: tuple[str, ...], named: str
) -> None:
    """As far as that was measured (about 5 there, of which the mode makes its least); else the mode's default."""
    world = World(says("no"), says("7"))
    standing = world.decider.standing
    routes = tuple(replace(r, mode="token-budget") if r.name == "dear" else r for r in standing.routes)
    world.decider.standing = replace(standing, routes=routes)
    found = learnt_ladder()
    world.decider.use(replace(found, artifact=replace(found.artifact, report={"not_measured": not_measured})))
    _, answered = await world.run(wish=Wish(route="dear"))
    assert named in world.dear.calls[0].messages[0]["content"]
    assert answered.decision.route.mode == "token-budget"
    assert round(answered.decision.estimates["dear"].output_tokens) == 5
