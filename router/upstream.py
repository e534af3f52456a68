"""A configuration for a server that is already running: its models, and the routes that they make possible.

A model that thinks and can be told not to gives three routes: small (no thought), budgeted, full. One that always
thinks gives full, and budgeted where its thought can be cut; one that does not think gives one route."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..backends import Discovered, ModelInfo, dialect
from ..domain import Capabilities, Json, Tier
from ..errors import BadRequest

BUDGET = 1024
"""Tokens of thought of the budgeted route; less where the context is short."""
SHARE_OF_CONTEXT = 4
"""A budget takes at most one part in so many of the context."""
MOST_MODELS = 12
"""More than these are a catalogue, not what somebody hosts."""

_NO_MODELS = re.compile(r"embed|rerank|whisper|tts|moderation", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upstream:
    """`settings` are a configuration's `models`, `routes` and `safe_route`; `notes` say what was assumed."""

    settings: Json
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A route to be: the kind of route, for which model, and what it says in the configuration."""

    kind: str
    model: str
    size: float
    values: Json

    @property
    def dearness(self) -> tuple[float, float]:
        budget = self.values.get("thinking_budget")
        return self.size, float("inf") if budget is None else float(budget)


def arrange(found: Discovered, *, key_env: str | None = None) -> Upstream:
    """The configuration for a discovered server. key_env: name of the variable that holds its key.

    Raises BadRequest where it lists more models than anybody routes between."""
    models = [m for m in found.models if not _NO_MODELS.search(m.id)] or list(found.models)
    if len(models) > MOST_MODELS:
        raise BadRequest(
            f"{found.url} lists {len(models)} models, more than {MOST_MODELS}: name those that you want under "
            "`models:` in a configuration file and start with --config"
        )
    names = _names(models)
    sizes_known = all(m.parameters for m in models)
    cuts = _cuts(found.dialect)
    plans = [
        plan
        for m in models
        for plan in _routes(names[m.id], m, found.capabilities.get(m.id, Capabilities()), sizes_known, cuts)
    ]
    plans.sort(key=lambda plan: plan.dearness)
    called = _called(plans, {names[m.id] for m in models})
    tiers = _tiers(plans)
    routes: Json = {
        called[i]: plan.values | ({"tier": tier.value} if (tier := tiers[i]) else {}) for i, plan in enumerate(plans)
    }
    settings: Json = {
        "models": {names[m.id]: _model(found, m, key_env) for m in models},
        "routes": routes,
        "safe_route": called[len(plans) - 1],
    }
    return Upstream(settings, tuple(_notes(found, models, sizes_known)))


def _cuts(spoken: str) -> bool:
    """Whether a thought can be ended at a budget: by the engine, or by us in two passes."""
    how = dialect(spoken)
    return how.budget is not None or how.continues is not None


def _routes(name: str, model: ModelInfo, able: Capabilities, sizes_known: bool, cuts: bool) -> list[_Plan]:
    """What one model makes possible."""
    price: Json = {} if sizes_known else {"price": {"input": 0.1, "cached_input": 0.0, "output": 1.0}}
    size = (model.parameters or 1.0) if sizes_known else 1.0
    budget = min(BUDGET, max(1, (model.context or BUDGET * SHARE_OF_CONTEXT) // SHARE_OF_CONTEXT))

    def plan(kind: str, **values: object) -> _Plan:
        return _Plan(kind, name, size, {"model": name, **values, **price})

    if able.thinks is False:
        return [plan("", mode="direct", thinking_budget=0)]
    if able.thinks is None:
        return [plan("", mode="think")]
    small = [plan(Tier.SMALL.value, mode="direct", thinking_budget=0)] if able.switchable else []
    budgeted = [plan(Tier.BUDGETED.value, mode="think", thinking_budget=budget)] if cuts else []
    return [*small, *budgeted, plan(Tier.FULL.value, mode="think")]


def _names(models: Sequence[ModelInfo]) -> dict[str, str]:
    """Each model's name here: its id, so that clients go on asking by it; a file's path is shortened, and what would
    mean something else (`auto`, a tier's name) is told apart."""
    ids = {model.id for model in models}
    names: dict[str, str] = {}
    for model in models:
        name = _short(model.id) if model.id.startswith(("/", ".")) or model.id.endswith(".gguf") else model.id
        if name.startswith("auto") or name in {tier.value for tier in Tier}:
            name = f"model-{name}"
        taken = name in names.values() or name in ids - {model.id}
        names[model.id] = model.id if taken else name
    return names


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].removesuffix(".gguf").lower() or name


def _called(plans: Sequence[_Plan], models: set[str]) -> list[str]:
    """The routes' names: their kind where there is one model; else the model's short name with it."""
    if len(models) == 1:
        return [plan.kind or plan.model for plan in plans]
    shorts = [_short(model) for model in models]
    made: list[str] = []
    for plan in plans:
        short = _short(plan.model)
        stem = plan.model if shorts.count(short) > 1 or short.startswith("auto") else short
        wanted = name = f"{stem}-{plan.kind}" if plan.kind else stem
        number = 1
        while name in made or (name in models and name != plan.model):  # a name must mean one thing
            number += 1
            name = f"{wanted}.{number}"
        made.append(name)
    return made


def _tiers(plans: Sequence[_Plan]) -> list[Tier | None]:
    """One model: its kinds. Several: the cheapest routes are small, the dearest full, what lies between budgeted."""
    if len({plan.model for plan in plans}) == 1:
        return [Tier(plan.kind) if plan.kind else None for plan in plans]
    low, high = plans[0].dearness, plans[-1].dearness
    if low == high:
        return [None for _ in plans]
    ends: Mapping[tuple[float, float], Tier] = {low: Tier.SMALL, high: Tier.FULL}
    return [ends.get(plan.dearness, Tier.BUDGETED) for plan in plans]


def _model(found: Discovered, model: ModelInfo, key_env: str | None) -> Json:
    able = found.capabilities.get(model.id, Capabilities())
    values: Json = {
        "engine": "openai",
        "url": found.url,
        "dialect": found.dialect,
        "model": model.id,
        "api_key_env": key_env,
        "parameters": model.parameters,
        "thinks": able.thinks,
    }
    return {name: value for name, value in values.items() if value is not None}


def _notes(found: Discovered, models: Sequence[ModelInfo], sizes_known: bool) -> list[str]:
    title = dialect(found.dialect).title
    notes = [f"In front of {title}{f' {found.version}' if found.version else ''} at {found.url}."]
    if not sizes_known:
        unknown = ", ".join(m.id for m in models if not m.parameters)
        notes.append(
            f"The size of {unknown} cannot be told, so a token costs 1 on every route (0.1 for input): "
            "give prices for costs that mean something."
        )
    unsure = [m.id for m in models if found.capabilities.get(m.id, Capabilities()).thinks is None]
    if unsure:
        notes.append(
            f"Whether {', '.join(unsure)} can think is not known, so there is one route, as the server has it."
        )
    return notes
