"""What is in memory: by the servers' word, and by what our own calls do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from swapped import Server, Told, World, route

from pointsman.router.loaded import STALE_S, Loaded, Resident
from pointsman.router.swapping import TOKENS_S, Load


async def eventually(holds: Callable[[], bool]) -> None:
    """Let the others run until it does."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_a_route_whose_model_is_not_in_memory_needs_a_load() -> None:
    """Each second costs what the loaded model would have written in it; models elsewhere need nothing."""
    world = World()
    await world.holding("a")
    assert world.loads() == {"b": Load("b", 10.0, 10.0 * TOKENS_S * 1.0)}
    await world.holding("b")
    assert set(world.loads()) == {"a", "a2"}
    assert world.loads()["a"].guessed
    await world.holding("a", "b")
    assert world.loads() == {}


async def test_where_nothing_is_in_memory_a_second_is_worth_what_the_model_itself_would_write() -> None:
    world = World()
    await world.holding()
    assert world.loads()["b"].cost == 10.0 * TOKENS_S * 3.0


async def test_the_owners_price_of_a_second_holds_for_the_server() -> None:
    world = World(second_price=0.5)
    await world.holding("b")
    assert world.loads()["a"].cost == 0.5 * world.loads()["a"].seconds
    await world.holding("a")
    assert world.loads()["b"].cost == 5.0


async def test_what_is_not_known_costs_nothing() -> None:
    """Before a server has told, where it does not answer any more, and for a name that it does not go by."""
    world = World()
    assert world.loads() == {}
    await world.holding("a")
    world.server.holds = None
    world.now = STALE_S - 1.0
    await world.loaded.look()
    assert set(world.loads()) == {"b"}
    world.now = STALE_S
    assert world.loads() == {}
    server = Server()
    alias = Loaded([{"alias": Resident(Told("alias", server), 1.0)}])
    await alias.look()
    assert alias.loads([route("x", "alias")]) == {}


async def test_a_call_that_has_its_model_loaded_is_measured() -> None:
    """Against the calls that found it there; the speed of what it wrote as well."""
    world = World()
    await world.holding("a")
    assert world.loaded.begins("a") is False
    world.loaded.came("a", 0.5, False)
    world.loaded.wrote("a", 101, 2.0)
    assert world.loaded.begins("b") is True
    world.loaded.came("b", 7.5, True)
    assert world.loaded.begins("b") is False
    world.loaded.came("b", 1.5, False)
    await world.holding("a")
    assert world.loads()["b"] == Load("b", 6.0, 6.0 * 50.0)


async def test_while_a_model_is_being_loaded_the_server_holds_it_alone() -> None:
    """So nobody swaps back before it has come; a second call waits for the same load, and measures nothing."""
    world = World()
    await world.holding("a")
    assert world.loaded.begins("b") is True
    assert set(world.loads()) == {"a", "a2"}
    assert world.loaded.begins("b") is None
    world.now = 10 * STALE_S
    assert set(world.loads()) == {"a", "a2"}, "a load may take longer than a word is believed"
    world.loaded.came("b", 7.0, True)
    assert set(world.loads()) == {"a", "a2"}


async def test_one_load_in_the_way_of_another_is_not_measured() -> None:
    world = World()
    await world.holding("a")
    assert world.loaded.begins("b") is True
    assert world.loaded.begins("a") is None
    assert set(world.loads()) == {"b"}
    world.loaded.came("b", 7.0, True)
    assert set(world.loads()) == {"b"}, "the last to be asked for stays"


async def test_a_call_that_is_left_before_its_model_came_leaves_nothing_known() -> None:
    world = World()
    await world.holding("a")
    world.loaded.begins("b")
    world.loaded.left("b")
    assert world.loads() == {}
    await world.loaded.look()
    assert set(world.loads()) == {"b"}


async def test_a_word_from_before_a_load_is_out_of_date() -> None:
    """The server is asked, a model comes meanwhile, the answer tells of the time before."""
    world = World()
    await world.holding("a")
    world.server.waits.clear()
    world.server.asked.clear()
    looking = asyncio.create_task(world.loaded.look())
    await world.server.asked.wait()
    world.loaded.begins("b")
    world.loaded.came("b", 7.0, True)
    world.server.waits.set()
    await looking
    assert set(world.loads()) == {"a", "a2"}


async def test_what_staying_has_forgone_is_taken_off_until_something_else_is_in_memory() -> None:
    world = World()
    await world.holding("a")
    world.loaded.forgo({"b": 100.0})
    world.loaded.forgo({"gone": 1.0})
    assert world.loads()["b"].charge == 200.0
    await world.holding("a")
    assert world.loads()["b"].forgone == 100.0
    await world.holding("b")
    await world.holding("a")
    assert world.loads()["b"].forgone == 0.0
    world.loaded.forgo({"b": 100.0})
    for model in ("b", "a"):
        world.loaded.begins(model)
        world.loaded.came(model, 1.0, None)
    assert world.loads()["b"].forgone == 0.0


async def test_servers_are_asked_again_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.router.loaded.EVERY_S", 0.001)
    world = World()
    world.server.holds = ("a",)
    await world.loaded.start()
    assert set(world.loads()) == {"b"}
    world.server.holds = ("b",)
    await eventually(lambda: set(world.loads()) == {"a", "a2"})
    await world.loaded.stop()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_what_a_call_changes_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.router.loaded.EVERY_S", 1000.0)
    world = World()
    await world.loaded.start()
    world.loaded.begins("b")
    world.server.holds = ("a", "b")  # there was room for both
    world.loaded.came("b", 1.0, True)
    assert set(world.loads()) == {"a", "a2"}
    await eventually(lambda: not world.loads())
    await world.loaded.stop()
