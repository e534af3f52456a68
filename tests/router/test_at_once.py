"""Streams that withhold nothing: one route, chosen by the text, and a word on what was forgone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import says
from test_live_evidence import QUERY, World, routes, said, sure

from pointsman.domain import Capabilities, Wish
from pointsman.router.at_once import FORGONE
from pointsman.router.live import Decided, LiveEvent, collect


async def run(world: World, wish: Wish | None = None, *, at_once: bool = True) -> tuple[list[LiveEvent], list[str]]:
    """The events, and what was warned of."""
    events, answered = await collect(world.live.run(QUERY, wish, at_once=at_once))
    assert len(answered.attempts) == 1
    return events, list(answered.warnings)


async def test_no_evidence_is_bought_and_the_decision_says_so() -> None:
    world = World(sure("41", 0.6), says("42"))
    events, warnings = await run(world)
    assert (said(events), world.cheap.calls, warnings) == ("42", [], [FORGONE])
    decided = events[0]
    assert isinstance(decided, Decided)
    assert decided.decision.warnings == (FORGONE,), "it is known before the first token"


async def test_nothing_follows_an_answer_that_was_not_finished() -> None:
    world = World(says("4"), says("42"), escalate=True)
    world.decider.use(None)
    world.decider.standing = replace(world.decider.standing, safe_route="cheap")
    events, warnings = await run(world)
    assert (said(events), world.dear.calls, warnings) == ("4", [], [FORGONE])


@pytest.mark.parametrize("wish", [Wish(route="dear"), Wish(model="cheap")])
async def test_where_nothing_would_have_been_withheld_there_is_nothing_to_say(wish: Wish) -> None:
    _, warnings = await run(World(says("41"), says("42"), escalate=True), wish)
    assert warnings == []
    plain = World(says("41"), says("42"))
    plain.decider.use(None)
    assert (await run(plain))[1] == []


async def test_a_looping_route_is_left_out_and_where_it_is_asked_for_withheld() -> None:
    """It knows its answer only at the end."""
    world = World(says("4"), says("42"))
    world.decider.use(None)
    able = Capabilities(continues=True)
    first, last = world.decider.standing.routes
    loops = replace(last, mode="vote(3)", capabilities=able)
    world.decider.standing = replace(world.decider.standing, routes=(first, loops))
    events, warnings = await run(world)
    assert (said(events), warnings) == ("4", [FORGONE])
    events, answered = await collect(world.live.run(QUERY, Wish(route="dear"), at_once=True))
    assert said(events) == "42"
    assert answered.warnings[0] == "vote(3) chooses among several answers: it is withheld until it has"


async def test_a_decision_has_the_id_that_was_told_before_it() -> None:
    world = World(sure("41", 0.6), says("42"))
    _, answered = await collect(world.live.run(QUERY, decision_id="dec_told"))
    assert answered.decision.id == "dec_told"
    assert routes(answered.attempts) == ["cheap", "dear"]
    assert [record.decision.id for record in world.records] == ["dec_told"]
    _, other = await collect(world.live.run(QUERY))
    assert other.decision.id.startswith("dec_")
