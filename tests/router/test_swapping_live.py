"""Two models on an Ollama that holds one: over HTTP, from the configuration to what the server had to load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laddered import learnt_ladder
from swapping_stub import SwappingStub

from pointsman.classifiers.estimators import Prediction
from pointsman.domain import Query
from pointsman.errors import ConfigError
from pointsman.router import Router
from pointsman.router.config import load
from pointsman.router.live import Answered, collect

QUERY = Query(({"role": "user", "content": "3+4"},))
WISH = "willingness_to_pay=1"


class Odds:
    """An estimator that says of every text what a test wants: how likely the cheap and the dear route are right."""

    def __init__(self) -> None:
        self.p = (0.5, 0.9)

    def predict(self, features: Any, embeddings: Any) -> Prediction:
        zeros = np.zeros((1, 2))
        return Prediction(np.array([self.p]), zeros, zeros, zeros + 10.0, zeros, np.zeros(1, bool))


class World:
    """A router whose second is worth 0.1 and whose dear model takes 10 s to load: 1 an error, so that a query that is
    40 % likelier right with the dear one has to be missed twice before it is loaded."""

    def __init__(self, stub: SwappingStub, home: Path) -> None:
        price = {"input": 0, "output": 0.001}
        models = {
            name: {"url": stub.url, "dialect": "ollama", "model": f"{name}:1b", "load_s": 10, "second_price": 0.1}
            for name in ("cheap", "dear")
        }
        routes = {
            "cheap": {"model": "cheap", "mode": "direct", "price": price},
            "dear": {"model": "dear", "mode": "think", "price": price},
        }
        settings, _ = load(home / "none.yaml", {"home": str(home), "models": models, "routes": routes}, environ={})
        self.stub, self.odds, self.router = stub, Odds(), Router(settings)
        self.router.store.upgrade()
        learnt = learnt_ladder(())
        self.router.decider.use(replace(learnt, artifact=replace(learnt.artifact, ladder=None, estimator=self.odds)))

    async def ask(self, model: str = "auto", **wishes: Any) -> Answered:
        wish = self.router.wish(model, objective=None if wishes or model != "auto" else WISH, **wishes)
        return (await collect(self.router.run(QUERY, wish)))[1]

    async def look(self) -> None:
        assert self.router.decider.loaded is not None
        await self.router.decider.loaded.look()

    @property
    def missing(self) -> set[str]:
        """The routes that would need a load now."""
        assert self.router.decider.loaded is not None
        return set(self.router.decider.loaded.loads(self.router.routes))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    stub = SwappingStub("cheap:1b", "dear:1b")
    await stub.start()
    (tmp_path / "none.yaml").write_text("{}")
    made = World(stub, tmp_path)
    await made.router.open_engines({})
    yield made
    await made.router.aclose()
    await stub.stop()


async def test_the_router_stays_put_until_a_swap_pays(world: World) -> None:
    """What is in memory answers, and the reason says what another model would have taken; once enough was missed it is
    loaded, and then that one stays."""
    assert world.missing == {"cheap", "dear"}
    assert world.stub.order == [], "nothing was loaded to look"
    await world.ask("cheap")
    assert world.missing == {"dear"}
    for _ in range(2):
        decision = (await world.ask()).decision
        assert decision.route.name == "cheap"
        assert decision.reason.endswith("; stays with cheap: loading dear takes 10 s")
        assert decision.estimates["dear"].load_ms == 10_000.0
        assert decision.estimates["cheap"].load_ms is None
    decision = (await world.ask()).decision
    assert decision.route.name == "dear"
    assert decision.reason.endswith("; loading dear takes 10 s")
    assert decision.estimates["dear"].load_cost == pytest.approx(1.0 - 0.8, abs=0.01)
    assert "load 10.0 s at 0.2" in repr(decision)
    assert world.stub.order == ["cheap:1b", "dear:1b"]
    assert world.missing == {"cheap"}
    stored = world.router.decision(decision.id)
    assert stored is not None
    assert stored.decision.estimates == decision.estimates


async def test_traffic_that_alternates_does_not_swap(world: World) -> None:
    await world.ask("cheap")
    for _ in range(6):
        for world.odds.p in ((0.5, 0.9), (0.9, 0.5)):
            await world.ask()
    assert world.stub.order == ["cheap:1b"]


async def test_a_caller_who_pins_a_model_or_a_route_gets_it(world: World) -> None:
    for model in ("cheap", "dear", "cheap(off)", "dear"):
        assert (await world.ask(model)).decision.route.model == model.partition("(")[0]
    assert world.stub.order == ["cheap:1b", "dear:1b", "cheap:1b", "dear:1b"]


async def test_nobody_swaps_back_a_model_that_is_only_coming(world: World) -> None:
    """A slight preference for the one that goes is not worth its load."""
    world.stub.holds = "cheap:1b"
    await world.look()
    assert world.missing == {"dear"}
    world.stub.free.clear()
    world.stub.loading.clear()
    pinned = asyncio.create_task(world.ask("dear"))
    await world.stub.loading.wait()
    assert world.missing == {"cheap"}
    world.odds.p = (0.7, 0.5)
    decision, _ = world.router.decider.decide(QUERY, world.router.wish(objective=WISH))
    assert decision.route.name == "dear"
    assert decision.reason.endswith("stays with dear: loading cheap takes 10 s")
    world.stub.free.set()
    await pinned
    assert world.stub.order == ["dear:1b"]


async def test_a_caller_who_leaves_during_a_load_leaves_nothing_behind(world: World) -> None:
    """Whether it goes on is the server's affair: it is asked."""
    await world.ask("cheap")
    world.stub.free.clear()
    world.stub.loading.clear()
    pinned = asyncio.create_task(world.ask("dear"))
    await world.stub.loading.wait()
    world.stub.looked.clear()
    pinned.cancel()
    await asyncio.wait([pinned])
    await world.stub.looked.wait()
    await world.look()
    assert world.missing == {"cheap", "dear"}


async def test_each_step_goes_by_what_is_in_memory_then(world: World) -> None:
    """Evidence that was bought before it may have swapped the models."""
    world.stub.holds = "cheap:1b"
    await world.look()
    decider = world.router.decider
    considered = decider.consider(QUERY, world.router.wish(objective=WISH))
    assert decider.step(considered, ()).route == "cheap"
    world.stub.holds = "dear:1b"
    await world.look()
    assert decider.step(considered, ()).reason == "likeliest to be right (90%)"


async def test_loads_are_measured(world: World) -> None:
    """By the calls that had to wait for them; what the owner says goes until then."""
    await world.ask("cheap")
    await world.ask("dear")
    assert world.router.decider.loaded is not None
    measured = world.router.decider.loaded.loads(world.router.routes)["cheap"]
    assert 0.0 <= measured.seconds < 10.0
    assert measured.cost == pytest.approx(0.1 * measured.seconds)


async def test_nothing_is_asked_any_more_once_the_router_is_closed(world: World) -> None:
    await world.router.aclose()
    assert world.router.decider.loaded is None
    assert not [task for task in asyncio.all_tasks() if "Loaded" in repr(task)]


def test_one_server_has_one_price_of_a_second(tmp_path: Path) -> None:
    from pointsman.router.build import build_engines, build_loaded, build_routes

    url = "http://127.0.0.1:1"
    models = {
        name: {"url": url, "dialect": "ollama", "model": "x", "second_price": price, "parameters": 1}
        for name, price in (("a", 1.0), ("b", 2.0))
    }
    (tmp_path / "none.yaml").write_text("{}")
    settings, _ = load(tmp_path / "none.yaml", {"home": str(tmp_path), "models": models}, environ={})
    routes = build_routes(settings, settings.models)
    with pytest.raises(ConfigError, match="a second of it has one price"):
        build_loaded(settings.models, routes, build_engines(settings.models, {}))
