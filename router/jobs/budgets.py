"""Thinking budgets out of thoughts recorded once at their full length: the constellation that derives them, the best
fixed one of each model, and which routes and budgets others dominate.

A budget of b tokens is the thought's answer where it ended by b tokens, else the answer of the same model's route
without thought. A model made to answer from its cut thought mostly does better, so such a budget is a lower bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...domain import Json
from ...store import Constellation, DerivedRoute, RecordedRoute
from .contenders import Contender, fallback, longest

SMALLEST = 16
"""The least budget that is derived, in tokens."""
MOST = 6
"""Budgets derived of one model: the largest ones..."""
STATES = 400
"""...and fewer where a ladder over all of them had more states than this (router/ladder.py)."""
CHEAP = 1 / 3
"""A route without thought is a probe where it costs at most this share of the dearest route."""
ERRORS = 0.5
"""How many standard errors below the best a cheaper budget may be."""


def constellation(file: Path, entered: Sequence[Contender], rows: Sequence[Json], *, samples: int) -> Constellation:
    """The routes that answered, cheapest first, each model's derived budgets before the thought that they cut.

    rows: what came of the trials, of all routes in `entered`. samples: how many each route has."""
    cuts = _cuts(entered, rows)
    routes: list[RecordedRoute | DerivedRoute] = []
    for c in entered:
        for budget in cuts.get(c.name, ()):
            behind = fallback(entered, c.route.model)
            assert behind is not None
            routes.append(DerivedRoute(f"{c.route.model}({budget})", c.name, budget, behind.name))
        routes.append(RecordedRoute(c.name, c.route.model, c.mode, c.route.price))
    groups = {row["group"] for row in rows}
    return Constellation(
        source=f"{file.with_suffix('.yaml')}:calibration",
        routes=tuple(routes),
        file=file,
        hold_out_by="group" if len(groups) > 1 else "query",
        samples=samples,
        answers_comparable=True,
        probes=_probes(entered, rows),
    )


def budgets_of(thoughts: Sequence[float], most: int = MOST) -> tuple[int, ...]:
    """Powers of two below the longest of these thoughts (tokens, answer included) by which at least one had ended; the
    largest ones, at most so many, ascending."""
    if not thoughts:
        return ()
    powers = [2**k for k in range(4, 31) if max(SMALLEST, min(thoughts)) <= 2**k < max(thoughts)]
    return tuple(powers[-most:])


def _cuts(entered: Sequence[Contender], rows: Sequence[Json]) -> Mapping[str, tuple[int, ...]]:
    """The budgets to derive, by the route whose thought is cut; none that is configured, so run, already."""
    thoughts = _thoughts(entered, rows)
    most = MOST
    while True:
        found = {c.name: _unrun(c, entered, budgets_of(thoughts[c.name], most)) for c in entered if c.name in thoughts}
        if most == 1 or math.prod(len(found.get(c.name, ())) + 2 for c in entered) <= STATES:
            return found
        most -= 1


def _thoughts(entered: Sequence[Contender], rows: Sequence[Json]) -> Mapping[str, list[float]]:
    """Tokens of each model's longest thoughts, answers included, by route; of models that do think, and can answer
    without."""
    found: dict[str, list[float]] = {}
    for model in dict.fromkeys(c.route.model for c in entered):
        thought = longest(entered, model)
        if thought is None or fallback(entered, model) is None:
            continue
        mine = [row for row in rows if row["route"] == thought.name]
        if any(row["thought_tokens"] for row in mine):
            found[thought.name] = [row["output_tokens"] for row in mine]
    return found


def _unrun(thought: Contender, entered: Sequence[Contender], budgets: Sequence[int]) -> tuple[int, ...]:
    own = {c.route.thinking_budget for c in entered if c.route.model == thought.route.model}
    return tuple(budget for budget in budgets if budget not in own)


def _probes(entered: Sequence[Contender], rows: Sequence[Json]) -> tuple[str, ...]:
    spent: dict[str, list[float]] = {c.name: [] for c in entered}
    for row in rows:
        spent[row["route"]].append(row["output_tokens"] + 0.1 * row["input_tokens"])
    mean = {name: sum(costs) / len(costs) for name, costs in spent.items()}
    dearest = max(mean.values())
    return tuple(c.name for c in entered if not c.thinks and mean[c.name] <= CHEAP * dearest)


@dataclass(frozen=True, slots=True)
class Best:
    """The budget to fix for a model. budget: tokens; 0: no thought; None: the model's own length. accuracy, tokens and
    cost a query; top: the accuracy of its most accurate route or budget, and its name."""

    model: str
    route: str
    budget: int | None
    accuracy: float
    output_tokens: float
    cost: float
    top: str
    top_accuracy: float


def best_budgets(
    figures: Mapping[str, Json], constellation: Constellation, entered: Sequence[Contender], n: int
) -> tuple[Best, ...]:
    """For each model that thinks, the cheapest route or budget whose accuracy is within half a standard error of its
    best one. figures: those of an evaluation's routes, over n questions."""
    budget: dict[str, int | None] = {c.name: c.route.thinking_budget for c in entered}
    model = {c.name: c.route.model for c in entered}
    for route in constellation.routes:
        if isinstance(route, DerivedRoute):
            budget[route.name], model[route.name] = route.budget, model[route.of]
    found: list[Best] = []
    for name in dict.fromkeys(c.route.model for c in entered if c.thinks):
        mine = [route for route in figures if model[route] == name]
        top = max(mine, key=lambda route: (figures[route]["accuracy"], -figures[route]["cost"]))
        highest = figures[top]["accuracy"]
        need = highest - ERRORS * math.sqrt(highest * (1 - highest) / n) - 1e-12
        enough = [route for route in mine if figures[route]["accuracy"] >= need]
        best = min(enough, key=lambda route: (figures[route]["cost"], -figures[route]["accuracy"]))
        told = figures[best]
        found.append(
            Best(name, best, budget[best], told["accuracy"], told["output_tokens"], told["cost"], top, highest)
        )
    return tuple(found)


def dominated(figures: Mapping[str, Json]) -> dict[str, str | None]:
    """For each route and budget the one that is as accurate for less, or more accurate for as little; None: it is on
    the front."""
    return {name: _better(name, figures) for name in figures}


def _better(name: str, figures: Mapping[str, Json]) -> str | None:
    accuracy, cost = figures[name]["accuracy"], figures[name]["cost"]
    over = [
        other
        for other, f in figures.items()
        if f["accuracy"] >= accuracy and f["cost"] <= cost and (f["accuracy"] > accuracy or f["cost"] < cost)
    ]
    return max(over, key=lambda other: (figures[other]["accuracy"], -figures[other]["cost"]), default=None)
