"""An engine whose calls are timed is the engine itself."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from scripted import ScriptedEngine, says
from swapped import World

from pointsman.backends import Engine
from pointsman.domain import Call
from pointsman.errors import BackendUnavailable
from pointsman.router.timed import Timed

CALL = Call(({"role": "user", "content": "3+4"},))


async def test_everything_is_passed_on() -> None:
    engine = ScriptedEngine("b", says("7", thought="hm"))
    timed: Engine = Timed(engine, World().loaded)
    assert [event async for event in timed.stream(CALL)] == says("7", thought="hm")
    assert engine.calls == [CALL]
    assert timed.name == "b"
    assert await timed.render(CALL.messages) == await engine.render(CALL.messages)
    assert await timed.count_tokens("abc") == 3
    assert await timed.capabilities() == await engine.capabilities()
    assert await timed.health() == await engine.health()
    assert await timed.models() == await engine.models()
    await timed.aclose()
    assert engine.scripts == []


async def test_closing_it_closes_the_engines_stream() -> None:
    engine = ScriptedEngine("b", says("7", thought="hm"))
    async with aclosing(Timed(engine, World().loaded).stream(CALL)) as events:
        await anext(events)
    assert engine.closed == 1


async def test_a_call_loads_its_model_and_is_measured() -> None:
    world = World()
    await world.holding("a")
    timed = Timed(ScriptedEngine("b", says("7" * 20)), world.loaded)
    async with aclosing(timed.stream(CALL)) as events:
        await anext(events)
        assert set(world.loads()) == {"a", "a2"}
    assert [event async for event in timed.stream(CALL)] == says("7" * 20)
    await world.holding("a")
    (load,) = world.loads().values()
    assert load.seconds < 10.0, "no longer the owner's word"
    await world.holding("b")
    assert world.loads()["a"].cost / world.loads()["a"].seconds > 1000.0, "19 tokens at 3 each in next to no time"


async def test_a_call_that_fails_before_a_token_leaves_nothing_known() -> None:
    world = World()
    await world.holding("a")
    timed = Timed(ScriptedEngine("b", [BackendUnavailable("down", backend="b")]), world.loaded)
    with pytest.raises(BackendUnavailable):
        await anext(timed.stream(CALL))
    assert world.loads() == {}
