"""What the caller asked for by name. Only the prefix `auto:` and a trailing `(…)` are read, so that model names may
hold colons, slashes and parentheses of their own; a name that is known as it stands is taken as it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..domain import Route, Tier, Wish
from ..errors import BadRequest, UnknownModel
from .objectives import parse_objective
from .queries import is_count

AUTO = "auto"
MAX_THINKING_BUDGET = 1_000_000
"""Tokens; more than any model's context today."""

_SUFFIX = re.compile(r"^(?P<name>.+)\((?P<budget>[^()]*)\)$")
_TIERS = {tier.value: tier for tier in Tier}


def parse_model_name(name: str, routes: Collection[str], models: Collection[str]) -> Wish:
    """The wish that a model name spells: `auto`, `auto:small`, `auto:0.9`, a route, a model, or one of them with
    `(2048)` or `(off)`. A bare model asks for its own unlimited thought. Raises UnknownModel, BadRequest."""
    if name in routes:
        return Wish(route=name)
    if name in models:
        return Wish(model=name, unlimited=True)
    if match := _SUFFIX.match(name):
        wish = _plain(match["name"], routes, models)
        return replace(wish, thinking_budget=_budget(match["budget"]), unlimited=False)
    return _plain(name, routes, models)


def _plain(name: str, routes: Collection[str], models: Collection[str]) -> Wish:
    if name in routes:
        return Wish(route=name)
    if name in models:
        return Wish(model=name)
    if name == AUTO:
        return Wish()
    if name.startswith(f"{AUTO}:"):
        what = name.removeprefix(f"{AUTO}:")
        if what in _TIERS:
            return Wish(tier=_TIERS[what])
        if re.fullmatch(r"[0-9.]+", what):
            return Wish(objective=parse_objective(what))
    raise UnknownModel(name, (AUTO, *(f"{AUTO}:{tier}" for tier in _TIERS), *sorted(routes), *sorted(models)))


def _budget(text: str) -> int:
    if text == "off":
        return 0
    try:
        return check_budget(int(text))
    except ValueError:
        raise BadRequest(
            f"({text}) is no thinking budget: write a number of tokens or off, as in name(2048) or name(off).",
            field="model",
        ) from None


def check_budget(budget: int) -> int:
    """The thinking budget itself where it makes sense (tokens, 0 is off). Raises BadRequest."""
    if not (is_count(budget) and 0 <= budget <= MAX_THINKING_BUDGET):
        raise BadRequest(
            f"The thinking budget {budget!r} is no whole number between 0 (off) and {MAX_THINKING_BUDGET} tokens.",
            field="thinking_budget",
        )
    return budget


def candidates(wish: Wish, routes: Sequence[Route]) -> tuple[tuple[Route, ...], str | None]:
    """The routes that a wish leaves, cheapest first, and the name of the one that it fixes (None: the router is free).

    A wish for another budget or mode makes a route of that kind out of those there are, once. Raises BadRequest where
    none can do it, or mode and budget contradict each other."""
    wish = _settled(wish)
    if wish.route is not None:
        (route,) = _fitting([_altered(next(r for r in routes if r.name == wish.route), wish)], wish)
        return (route,), route.name
    if wish.model is not None:
        (route,) = _fitting([_of_model(wish, [r for r in routes if r.model == wish.model])], wish)
        return (route,), route.name
    left = list(routes)
    if wish.tier is not None:
        left = [r for r in routes if r.tier is wish.tier]
        if not left:
            raise BadRequest(f"No route is of the tier {wish.tier.value!r}.", field="model")
    if wish.mode is not None:
        same = [r for r in left if r.mode == wish.mode]
        left = same or left
    if wish.thinking_budget is not None or wish.unlimited:
        off = wish.thinking_budget == 0
        kind = [r for r in left if (r.thinking_budget == 0) == off]
        if not kind and not off:
            raise BadRequest("No route thinks, so a thinking budget cannot be kept.", field="thinking_budget")
        left = kind or left
    elif wish.mode_thinks:
        left = [r for r in left if r.thinking_budget != 0] or left
    made: dict[str, Route] = {}
    for route in (_altered(r, wish) for r in left):
        made.setdefault(route.name, route)  # two budgets of one model become the same route
    altered = _fitting(made.values(), wish)
    free = replace(wish, objective=None) == Wish()  # then one route is all there is, not what was asked for
    return altered, altered[0].name if len(altered) == 1 and not free else None


def _fitting(routes: Iterable[Route], wish: Wish) -> tuple[Route, ...]:
    """Those whose context holds the thinking budget that is asked for by name. Raises BadRequest where none does."""
    asked = list(routes)
    budget = wish.thinking_budget or 0
    fits = tuple(r for r in asked if r.capabilities.context is None or budget < r.capabilities.context)
    if asked and not fits:
        most = max(asked, key=lambda r: r.capabilities.context or 0)
        raise BadRequest(
            f"A thinking budget of {budget} tokens does not fit: the context of {most.model} is "
            f"{most.capabilities.context} tokens, prompt and answer included.",
            field="thinking_budget",
        )
    return fits


def _settled(wish: Wish) -> Wish:
    """The wish with what its mode implies for the budget. Raises BadRequest where the two contradict each other."""
    thinks, budget = wish.mode_thinks, wish.thinking_budget
    if thinks is None:
        return wish
    if (thinks and budget == 0) or (not thinks and (budget or wish.unlimited)):
        asked = "no thought" if thinks else "unlimited thought" if wish.unlimited else f"{budget} tokens of thought"
        does = "thinks" if thinks else "does not think"
        raise BadRequest(f"The mode {wish.mode} {does}, but {asked} is asked for: they contradict.", field="mode")
    return wish if thinks else replace(wish, thinking_budget=0)


def _of_model(wish: Wish, routes: Sequence[Route]) -> Route:
    """A route of this model: the one that is just so, else the dearest with another budget."""
    wanted = None if wish.unlimited else wish.thinking_budget
    for route in routes:
        if route.thinking_budget == wanted and wish.mode in (None, route.mode):
            return route
    return _altered(routes[-1], wish)


def _altered(route: Route, wish: Wish) -> Route:
    """The route with the mode and budget that the wish names; its name says so."""
    budget, mode = route.thinking_budget, wish.mode or route.mode
    if wish.unlimited:
        budget = None
    elif wish.thinking_budget is not None:
        budget = wish.thinking_budget
    elif budget == 0 and wish.mode_thinks:
        budget = None  # thinking is asked for: the model's own length
    if wish.mode is None and (route.thinking_budget == 0) != (budget == 0):
        mode = "direct" if budget == 0 else "think"  # a mode without thought cannot think, and the other way round
    if (budget, mode) == (route.thinking_budget, route.mode):
        return route
    label = "off" if budget == 0 else "unlimited" if budget is None else str(budget)
    return replace(route, name=f"{route.model}({label})", mode=mode, thinking_budget=budget, tier=None)
