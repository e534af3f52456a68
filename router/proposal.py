"""A proposal for servers that are already running: their models, and the routes that they make possible.

A model that thinks and can be told not to gives three routes: without thought, within a budget, in full. One that
always thinks gives full, and budgeted where its thought can be cut; one that does not think gives one route. What is
proposed is a value; proposal_text.py writes it down as a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..backends import Dialect, ModelInfo, dialect
from ..backends.families import families
from ..backends.ports import Server
from ..domain import Capabilities, Json, Tier
from ..errors import BadRequest

BUDGET = 1024
"""Tokens of thought of the budgeted route; less where the context is short."""
SHARE_OF_CONTEXT = 4
"""A budget takes at most one part in so many of the context."""
MOST_MODELS = 12
"""More than these are a catalogue, not what somebody routes between."""

UNSIZED: Json = {"input": 0.1, "cached_input": 0.0, "output": 1.0}
"""The price on every route where a model's size cannot be told."""

_DIRECT = "direct"
_NO_MODELS = re.compile(r"embed|rerank|whisper|tts|moderation", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProposedModel:
    """A model under its name here. parameters: active, in billions, None where they cannot be told; closes: whether
    text ends its thought; cuts: whether its thought can be ended at a budget, as it is served."""

    name: str
    info: ModelInfo
    able: Capabilities
    family: str | None
    server: Server
    parameters: float | None
    closes: bool
    cuts: bool

    @property
    def settings(self) -> Json:
        """Its entry under `models:`."""
        values: Json = {
            "engine": "openai",
            "url": self.server.found.url,
            "dialect": self.server.found.dialect,
            "model": self.info.id,
            "api_key_env": self.server.key_env,
            "parameters": self.parameters,
            "thinks": self.able.thinks,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ProposedRoute:
    """A route. kind: direct, budgeted, full, or "" for the one route of a model; values: its entry under `routes:`,
    the tier apart; size: of its model in billions, 1 where sizes are not all known."""

    name: str
    kind: str
    model: str
    size: float
    values: Json
    tier: Tier | None = None

    @property
    def dearness(self) -> tuple[float, float]:
        """Sorts routes as `build.dearness` does."""
        budget = self.values.get("thinking_budget")
        return self.size, float("inf") if budget is None else float(budget)

    @property
    def settings(self) -> Json:
        """Its entry under `routes:`."""
        return self.values | ({"tier": self.tier.value} if self.tier else {})


@dataclass(frozen=True, slots=True)
class Proposal:
    """models: in the order in which they were found; routes: cheapest first; notes: what was assumed."""

    models: tuple[ProposedModel, ...]
    routes: tuple[ProposedRoute, ...]
    notes: tuple[str, ...]

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers of its models, in order."""
        return tuple({model.server.found.url: model.server for model in self.models}.values())

    @property
    def fronts(self) -> tuple[str, ...]:
        """A sentence for each server."""
        return tuple(f"In front of {title(server)} at {server.found.url}." for server in self.servers)

    @property
    def safe_route(self) -> str:
        """The name of the dearest route: it answers while nothing is learnt."""
        return self.routes[-1].name

    @property
    def settings(self) -> Json:
        """A configuration's `models`, `routes` and `safe_route`."""
        return {
            "models": {model.name: model.settings for model in self.models},
            "routes": {route.name: route.settings for route in self.routes},
            "safe_route": self.safe_route,
        }


def propose(
    servers: Sequence[Server], *, params: Mapping[str, float] | None = None, only: Collection[str] = ()
) -> Proposal:
    """The routes that these servers (at least one) make possible.

    params: active parameters in billions by model id, where a name does not tell them or tells them wrong; only: ids of
    the models to take; empty: all that write text. Raises BadRequest: an id that no server lists, more models than
    anybody routes between."""
    listed = [(server, info) for server in servers for info in server.found.models]
    known = {info.id for _, info in listed}
    for field, given in (("params", params or {}), ("model", only)):
        for name in given:
            if name not in known:
                raise BadRequest(f"no server lists a model {name!r}; listed: {', '.join(sorted(known))}", field=field)
    if only:
        chosen = [(server, info) for server, info in listed if info.id in only]
    else:
        chosen = [(server, info) for server, info in listed if not _NO_MODELS.search(info.id)] or listed
    if len(chosen) > MOST_MODELS:
        where = ", ".join(dict.fromkeys(server.found.url for server, _ in chosen))
        raise BadRequest(
            f"{where}: {len(chosen)} models are listed, more than {MOST_MODELS}. Name those that you want: "
            f"`pointsman init URL --model NAME …`, or under `models:` in a configuration file"
        )
    models = _models(chosen, params or {})
    sized = all(model.parameters for model in models)
    routes = sorted((route for model in models for route in _routes(model, sized)), key=lambda route: route.dearness)
    return Proposal(models, _tiered(_named(routes, {model.name for model in models})), tuple(_notes(models, sized)))


def swaps(server: Server) -> bool:
    """Whether the server has to load a model, perhaps in place of another, when another is asked for. llama.cpp does it
    where it lists several."""
    found = server.found
    return dialect(found.dialect).swaps or (found.dialect == "llamacpp" and len(found.models) > 1)


def _models(chosen: Sequence[tuple[Server, ModelInfo]], params: Mapping[str, float]) -> tuple[ProposedModel, ...]:
    names = _names(chosen)
    made: list[ProposedModel] = []
    for name, (server, info) in zip(names, chosen, strict=True):
        found = server.found
        made.append(
            ProposedModel(
                name=name,
                info=info,
                able=found.capabilities.get(info.id, Capabilities()),
                family=found.families.get(info.id),
                server=server,
                parameters=params.get(info.id, _rounded(info.parameters)),
                closes=(closes := _closes(found.families.get(info.id))),
                cuts=_cuts(dialect(found.dialect), closes),
            )
        )
    return tuple(made)


def _rounded(size: float | None) -> float | None:
    """Three digits of a size: a price is no count of weights."""
    return None if size is None else float(f"{size:.3g}")


def _closes(family: str | None) -> bool:
    """Whether text ends a thought of the family's. Where it is known how one begins and not how it ends, as of gpt-oss,
    none does."""
    row = next((one for one in families() if one.name == family), None)
    return row is None or row.open is None or row.close is not None


def _cuts(how: Dialect, closes: bool) -> bool:
    """Whether a thought can be ended at a budget: by the engine, or by us in two passes. Where no text ends it only
    llama.cpp may, which reads the model's template; the others want that text."""
    if not closes:
        return how.name in ("llamacpp", "llamaswap")
    return how.budget is not None or how.continues is not None


def _routes(model: ProposedModel, sized: bool) -> list[ProposedRoute]:
    """What one model makes possible."""
    price: Json = {} if sized else {"price": UNSIZED}
    size = (model.parameters or 1.0) if sized else 1.0
    budget = min(BUDGET, max(1, (model.info.context or BUDGET * SHARE_OF_CONTEXT) // SHARE_OF_CONTEXT))

    def route(kind: str, **values: object) -> ProposedRoute:
        return ProposedRoute("", kind, model.name, size, {"model": model.name, **values, **price})

    if model.able.thinks is False:
        return [route("", mode="direct", thinking_budget=0)]
    if model.able.thinks is None:
        return [route("", mode="think")]
    direct = [route(_DIRECT, mode="direct", thinking_budget=0)] if model.able.switchable else []
    budgeted = [route(Tier.BUDGETED.value, mode="think", thinking_budget=budget)] if model.cuts else []
    return [*direct, *budgeted, route(Tier.FULL.value, mode="think")]


def _names(chosen: Sequence[tuple[Server, ModelInfo]]) -> list[str]:
    """Each model's name here: its id, so that clients go on asking by it; a file's path is shortened, what would mean
    something else (`auto`, a tier's name) is told apart, and so is what two servers list."""
    ids = {info.id for _, info in chosen}
    names: list[str] = []
    for server, info in chosen:
        short = _short(info.id) if info.id.startswith(("/", ".")) or info.id.endswith(".gguf") else info.id
        port = urlsplit(server.found.url).port
        wanted = [short, info.id, *([f"{short}-{port}"] if port else [])]
        candidates = [_unreserved(name) for name in wanted]
        candidates += [f"{candidates[0]}.{number}" for number in range(2, len(chosen) + 2)]
        names.append(next(name for name in candidates if name not in names and name not in ids - {info.id}))
    return names


def _unreserved(name: str) -> str:
    return f"model-{name}" if name.startswith("auto") or name in {tier.value for tier in Tier} else name


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].removesuffix(".gguf").lower() or name


def _named(routes: Sequence[ProposedRoute], models: set[str]) -> list[ProposedRoute]:
    """The routes with names: their tier's or model's where there is one model; else the model's short name and the
    kind."""
    if len(models) == 1:
        kinds = {_DIRECT: Tier.SMALL.value}
        return [replace(route, name=kinds.get(route.kind, route.kind) or route.model) for route in routes]
    shorts = [_short(model) for model in models]
    taken: set[str] = set()
    made: list[ProposedRoute] = []
    for route in routes:
        short = _short(route.model)
        stem = route.model if shorts.count(short) > 1 or short.startswith("auto") else short
        wanted = name = f"{stem}-{route.kind}" if route.kind else stem
        number = 1
        while name in taken or (name in models and name != route.model):  # a name must mean one thing
            number += 1
            name = f"{wanted}.{number}"
        taken.add(name)
        made.append(replace(route, name=name))
    return made


def _tiered(routes: Sequence[ProposedRoute]) -> tuple[ProposedRoute, ...]:
    """The routes with tiers that their names keep: small are the cheapest of all if they do not think, full the
    dearest, budgeted those within a budget; what is none of these has no tier."""
    low, high = routes[0].dearness, routes[-1].dearness

    def tier(route: ProposedRoute) -> Tier | None:
        budget = route.values.get("thinking_budget")
        if low == high:  # one route, or nothing to tell them apart by
            return Tier.FULL if route.kind == Tier.FULL.value else None
        if route.dearness == low and budget == 0:
            return Tier.SMALL
        if budget:
            return Tier.BUDGETED
        return Tier.FULL if route.dearness == high else None

    return tuple(replace(route, tier=tier(route)) for route in routes)


def _notes(models: Sequence[ProposedModel], sized: bool) -> list[str]:
    """What start-up, and whoever reads the configuration, must know."""
    notes: list[str] = []
    if not sized:
        unknown = ", ".join(model.info.id for model in models if not model.parameters)
        notes.append(
            f"The size of {unknown} cannot be told, so a token costs 1 on every route (0.1 for input): give active "
            "parameters in billions (`pointsman init --params MODEL=BILLIONS`) or prices for costs that mean something."
        )
    unsure = [model.info.id for model in models if model.able.thinks is None]
    if unsure:
        notes.append(
            f"Whether {', '.join(unsure)} can think is not known, so there is one route, as the server has it."
        )
    for server in {model.server.found.url: model.server for model in models}.values():
        mine = [model for model in models if model.server is server]
        if len(mine) > 1 and swaps(server):
            notes.append(
                f"{dialect(server.found.dialect).title} loads a model when it is asked for, perhaps in place of "
                "another: each switch of model loads for seconds. Several routes of one model switch nothing."
            )
    return notes


def title(server: Server) -> str:
    """The engine's name and version."""
    found = server.found
    return f"{dialect(found.dialect).title} {found.version}".rstrip()
