"""A cut thought is gone on with by a dearer route of the same model: what is asked, what is shown, what is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from laddered import embedder, learnt_ladder
from scripted import ScriptedEngine, finished

from pointsman.backends import Continuation, Event, Finished, Text, Thought, TokenLogprob, load_modes
from pointsman.domain import Call, Capabilities, Finish, Objective, Price, Query, Route, Tier, Usage
from pointsman.errors import BackendError, BackendUnavailable
from pointsman.router.attempts import Watch, in_one_piece
from pointsman.router.buying import Bought
from pointsman.router.decide import Decider, Standing
from pointsman.router.live import Answered, Live, LiveEvent, collect
from pointsman.store import Record

QUERY = Query(messages=({"role": "user", "content": "3+4"},))
PRICE = Price(1.0, 0.1, 10.0)
CAN = Capabilities(continues=True)


def thinks(thought: str, answer: str, *, ended: bool = False, before: str = "", **changes: Any) -> list[Event]:
    """A thought, a token a letter, closed by two tokens more, and an answer; before: what it went on from."""
    done = finished(
        prompt=10 + len(before), cached=8 + len(before) if before else 0, thought=len(thought) + 2, answer=len(answer)
    )
    done = replace(done, continuation=Continuation(before + thought, ended=ended), **changes)
    told = (TokenLogprob("7", -0.5),)
    return [*(Thought(letter, 1) for letter in thought), *(Text(letter, 1, told) for letter in answer), done]


CUT = thinks("abcd", "5")
REST = thinks("efg", "7", ended=True, before="abcd")
ANEW = thinks("abcdefg", "7", ended=True)


class World:
    """One model that thinks: with a budget of four tokens (cheap), and without one (dear)."""

    def __init__(
        self,
        *scripts: Sequence[Event | BackendError],
        able: Capabilities = CAN,
        ladder: bool = False,
        dear: str = "m",
        mode: str = "think",
        budget: int | None = None,
        hand_over: bool = False,
        cut_thoughts: bool = True,
    ) -> None:
        self.engine, self.other = ScriptedEngine("m", *scripts), ScriptedEngine("other", thinks("x", "7", ended=True))
        self.records: list[Record] = []
        routes = (
            Route("cheap", "m", "think(4)", 4, PRICE, Tier.BUDGETED, able),
            Route("dear", dear, mode, budget, PRICE, Tier.FULL, able),
        )
        standing = Standing(routes, "cheap", Objective(), escalate=not ladder, cut_thoughts=cut_thoughts)
        self.decider = Decider(standing, embedder())
        if ladder:
            self.decider.use(learnt_ladder())
        engines = {"m": self.engine, "other": self.other}
        self.live = Live(self.decider, engines, load_modes(), self._record, hand_over=hand_over, bought=Bought())

    def _record(self, record: Record) -> bool:
        self.records.append(record)
        return True

    async def run(self, query: Query = QUERY) -> tuple[list[LiveEvent], Answered]:
        return await collect(self.live.run(query))


def told(events: Sequence[LiveEvent]) -> tuple[str, str]:
    """Thought and answer."""
    return (
        "".join(e.text for e in events if isinstance(e, Thought)),
        "".join(e.text for e in events if isinstance(e, Text)),
    )


@pytest.mark.parametrize("ladder", [False, True])
async def test_the_dearer_route_asks_for_the_rest_alone_and_the_caller_sees_one_thought(ladder: bool) -> None:
    """As escalation, and as the next rung of a ladder."""
    world = World(CUT, REST, ladder=ladder)
    events, answered = await world.run()
    assert told(events) == ("abcdefg", "7")
    first, second = world.engine.calls
    assert (first.thinking_budget, first.thought_prefix) == (4, "")
    assert (second.thinking_budget, second.thought_prefix, second.answer_prefix) == (None, "abcd", "")
    cheap, dear = answered.attempts
    assert (cheap.usage, cheap.kept) == (Usage(10, 0, 6, 1), 0)
    assert (dear.usage, dear.kept) == (Usage(14, 12, 5, 1), 4), "what the engine had in its memory is cached"
    assert dear.cost == pytest.approx((2 * 1.0 + 12 * 0.1 + 6 * 10.0) / 1e6)
    assert answered.usage == Usage(10, 8, 9, 1), "of what the caller sees, wherever it was paid"
    assert answered.decision.route.name == "dear"
    assert answered.decision.reason.endswith("; goes on with cheap's thought of 4 tokens")
    (record,) = world.records
    assert record.attempts == answered.attempts


async def test_it_is_charged_less_than_both_alone() -> None:
    _, kept = await World(CUT, REST).run()
    _, anew = await World(CUT, ANEW, able=Capabilities()).run()
    assert sum(a.usage.output for a in anew.attempts) - sum(a.usage.output for a in kept.attempts) == 4
    assert sum(a.cost for a in kept.attempts) < sum(a.cost for a in anew.attempts)


@pytest.mark.parametrize(
    ("changes", "limits"), [({"budget": 9}, (5, None)), ({"budget": None}, (None, 16)), ({"budget": 9}, (5, 16))]
)
async def test_what_is_kept_counts_towards_budget_and_limit(changes: dict[str, Any], limits: tuple[Any, Any]) -> None:
    world = World(CUT, REST, **changes)
    most = None if limits[1] is None else 20
    await world.run(replace(QUERY, max_tokens=most))
    second = world.engine.calls[1]
    assert (second.thought_prefix, second.thinking_budget, second.max_tokens) == ("abcd", *limits)


ANSWERS_BOUND = {"response_format": {"type": "json_object"}}
TOOLS = ({"type": "function", "function": {"name": "f"}},)


@pytest.mark.parametrize(
    ("cut", "changes", "query", "why"),
    [
        (CUT, {"able": Capabilities(continues=False)}, {}, "is begun anew, as m cannot go on with one"),
        (CUT, {"able": Capabilities()}, {}, "is begun anew, as m cannot go on with one"),
        (CUT, {}, ANSWERS_BOUND, "is begun anew, as this one cannot be gone on with"),
        (CUT, {}, {"tools": TOOLS}, "is begun anew, as this one cannot be gone on with"),
        (thinks("<|im_end|>", "5"), {}, {}, "is begun anew, as this one cannot be gone on with"),
        (CUT, {"mode": "draft"}, {}, ""),
        (CUT, {"mode": "token-budget"}, {}, ""),
        (CUT, {"dear": "other"}, {}, ""),
        (CUT, {"budget": 4}, {}, ""),
        (CUT, {}, {"max_tokens": 4}, ""),
        (thinks("abcd", "5", ended=True), {}, {}, ""),
        (thinks("", "", finish=Finish.LENGTH), {}, {}, ""),
    ],
)
async def test_where_it_cannot_be_gone_on_with_the_route_thinks_anew_and_the_reason_says_why(
    cut: list[Event], changes: dict[str, Any], query: dict[str, Any], why: str
) -> None:
    """A server that cannot; an answer that is bound; control tokens in it; another mode, prompt, model; no room."""
    world = World(cut, ANEW, **changes)
    events, answered = await world.run(replace(QUERY, **query))
    second = [*world.engine.calls, *world.other.calls][1]
    assert (second.thought_prefix, [a.kept for a in answered.attempts]) == ("", [0, 0])
    assert told(events)[1] == "7"
    said = answered.decision.reason
    assert said.endswith(why)
    assert ("thought of" in said.partition(";")[2]) == bool(why)


async def test_a_thought_within_its_budget_is_answered_by_and_a_cut_one_only_if_the_owner_says_so() -> None:
    for world in (World(thinks("a", "5", ended=True), ANEW), World(CUT, ANEW, cut_thoughts=False)):
        events, answered = await world.run()
        assert told(events)[1] == "5"
        assert answered.decision.reason == "its answer is whole"


async def test_where_the_rest_fails_the_answer_that_is_there_is_given() -> None:
    world = World(CUT, [BackendUnavailable("connection refused", backend="m")])
    events, answered = await world.run()
    assert told(events) == ("abcd", "5")
    lost, given = answered.attempts
    assert (lost.route, lost.kept, lost.usage.output, lost.cost) == ("dear", 4, 0, 0.0)
    assert given.route == "cheap"


async def test_a_rest_that_is_left_is_charged_what_came_and_no_prompt_that_nobody_told() -> None:
    world = World(CUT, REST)
    events = world.live.run(QUERY)
    async for event in events:
        if isinstance(event, Thought) and event.text == "f":
            break
    await events.aclose()
    left = world.records[0].attempts[-1]
    assert (left.usage.thought, left.kept, left.finish) == (2, 4, Finish.CANCELLED)
    assert left.usage.prompt == left.usage.cached > 4


async def test_the_engines_word_on_a_prompt_with_a_thought_in_it_teaches_no_count_of_prompts() -> None:
    world = World(CUT, REST)
    await world.run()
    assert world.decider.counts.prompt_tokens("m", QUERY) != pytest.approx(14, abs=0.5)


async def test_a_whole_usage_is_that_of_one_route_alone() -> None:
    assert in_one_piece(Usage(14, 12, 5, 1), 4) == Usage(10, 8, 9, 1)
    assert in_one_piece(Usage(10, 3, 5, 1), 0) == Usage(10, 3, 5, 1)


async def test_tokens_of_a_thought_leave_out_the_closing_words_where_they_can_be_told() -> None:
    engine = ScriptedEngine("m", CUT, [Thought("abcd"), *CUT[-2:]])
    counts: list[int] = []
    asked = Call(messages=QUERY.messages)
    for _ in range(2):
        watch = Watch(Route("r", "m", "think", 4, PRICE), asked, engine.stream(asked))
        async for event in watch:
            if isinstance(event, Finished):
                break
        counts.append(watch.thought_tokens)
    assert counts == [4, 6], "in the second nobody told the tokens of its pieces"


@pytest.mark.parametrize(
    ("first", "line"),
    [
        (CUT, "A quicker model answered: 5\nIt was not sure. Answer the question yourself."),
        (thinks("ab", "5", finish=Finish.LENGTH), "A quicker model answered: 5\nIt did not finish."),
        (thinks("ab", "", finish=Finish.LENGTH), "A quicker model thought about it: ab\nIt did not finish."),
    ],
)
async def test_a_model_of_another_kind_is_told_what_was_said_where_the_owner_wants_it(
    first: list[Event], line: str
) -> None:
    world = World(first, dear="other", hand_over=True)
    events, _ = await world.run()
    assert told(events) == ("x", "7")
    system, user = world.other.calls[0].messages
    assert system["role"] == "system"
    assert system["content"].startswith(line)
    assert user == QUERY.messages[0]
    plain = World(first, dear="other")
    await plain.run()
    assert plain.other.calls[0].messages == QUERY.messages


async def test_nothing_is_handed_over_on_a_ladder_or_to_the_same_model() -> None:
    """The ladder was learnt from answers by models that were told nothing."""
    world = World(CUT, dear="other", hand_over=True, ladder=True)
    await world.run()
    assert world.other.calls[0].messages == QUERY.messages
    same = World(CUT, ANEW, hand_over=True, able=Capabilities())
    await same.run()
    assert same.engine.calls[1].messages == QUERY.messages
