"""The other driver of the policy: runs `policy.next` over recorded outcomes instead of engines.

The policy sees the same values as when serving, so what is evaluated here is what is served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers import Prediction, TrainingSet
from ....domain import Estimate, Objective, Query, Route
from ... import policy
from ...decide import Standing
from ...objectives import Plan, Point, Priced
from ...pricing import expected_cost

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

ERROR_PRICES = 41
"""Prices of an error tried between "cost is all" and "correctness is all"."""

MIN_COMPLETE = 50
"""With fewer queries known on every route, estimates stand in for what was not seen."""

_NOTHING = Query(messages=())


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of n queries on R routes: correct in [0, 1] and cost in currency, NaN where not seen.

    groups: (n,) what is held out together. expected_cost: (n, R) as predicted, for deciding. beyond: (n,) which queries
    are unlike those that the predictions were learnt from."""

    routes: tuple[Route, ...]
    groups: NDArray[Any]
    correct: Floats
    cost: Floats
    output_tokens: Floats
    p_correct: Floats
    expected_cost: Floats
    beyond: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Aim:
    """For whom is trained: the routes (cheapest first), what is wanted, who answers when nothing is known.

    calls: whether a call of the dearest route costs 1 and the others nothing, for data whose tokens are not known.
    cap: tokens after which an answer that is bought as evidence is cut (None: nowhere)."""

    routes: tuple[Route, ...]
    objective: Objective
    safe_route: str
    calls: bool = False
    cap: int | None = None

    @classmethod
    def of(cls, standing: Standing, objective: Objective | None = None) -> Aim:
        """For a router that is set up so, or wants this instead."""
        return cls(standing.routes, objective or standing.objective, standing.safe_route, cap=standing.cap)


@dataclass(frozen=True, slots=True)
class Served:
    """The serving artifact on the same queries: its predictions beside what came of it, and its plan."""

    data: Recorded
    plan: Plan | None


def recorded(data: TrainingSet, held_out: Prediction, aim: Aim) -> Recorded:
    """Recorded outcomes beside held-out predictions, priced by the routes (in the order of the training set's)."""
    if aim.calls:
        cost = expected = np.tile([float(route is aim.routes[-1]) for route in aim.routes], (len(data), 1))
    else:
        prompt = _known_or_mean(data.input_tokens)
        cost, expected = (
            np.stack(
                [expected_cost_array(route.price, prompt[:, r], out[:, r]) for r, route in enumerate(aim.routes)],
                axis=1,
            )
            for out in (data.output_tokens, held_out.output_tokens)
        )
    return Recorded(
        aim.routes,
        np.asarray(data.groups),
        np.asarray(data.correct, float),
        np.where(np.isnan(data.correct), np.nan, cost),
        np.asarray(data.output_tokens, float),
        np.asarray(held_out.p_correct, float),
        expected,
        held_out.beyond,
    )


def expected_cost_array(price: Any, input_tokens: Floats, output_tokens: Floats) -> Floats:
    """`pricing.expected_cost` over arrays."""
    return np.asarray(expected_cost(price, input_tokens, output_tokens), float)  # type: ignore[arg-type]


def _known_or_mean(tokens: Any) -> Floats:
    """Input tokens (n, R); a query's other routes, then the column's mean, stand in for what was not counted."""
    known = np.asarray(tokens, float)
    with np.errstate(all="ignore"):
        row = np.array([np.nanmean(r) if np.isfinite(r).any() else np.nan for r in known])
    filled = np.where(np.isnan(known), row[:, None], known)
    return np.where(np.isnan(filled), np.nanmean(filled) if np.isfinite(filled).any() else 0.0, filled)


def choices(data: Recorded, plan: Plan | None, safe_route: str, rows: Ints | None = None) -> Ints:
    """The index of the route that the policy commits to for each query (rows: those of interest, in order)."""
    names = [route.name for route in data.routes]
    index = {name: i for i, name in enumerate(names)}
    terms = policy.Terms(routes=data.routes, plan=plan, safe_route=safe_route)
    wanted = range(len(data.p_correct)) if rows is None else rows.tolist()
    out = np.empty(len(wanted), np.int64)
    for at, i in enumerate(wanted):
        estimates = {
            name: Estimate(name, p, 0.0, 0.0, 0.0, 0.0, c, 0.0)
            for name, p, c in zip(names, data.p_correct[i].tolist(), data.expected_cost[i].tolist(), strict=True)
        }
        step = policy.next(_NOTHING, (), estimates, replace(terms, beyond=bool(data.beyond[i])))
        out[at] = index[step.route]
    return out


def curve(data: Recorded, rows: Ints | None = None) -> tuple[Point, ...]:
    """Accuracy and mean cost of every fixed route and of the policy at each price of an error.

    On queries whose outcome is known for every route; where there are fewer than MIN_COMPLETE of them (a log in which
    each query went down one route), on all labelled queries, held-out estimates standing in for what was not seen. A
    rule whose cost cannot be told (a route whose tokens were never counted) is no point of it."""
    known = ~np.isnan(data.correct) & ~np.isnan(data.cost)
    full = _among(known.min(axis=1), rows)
    use = full if len(full) >= MIN_COMPLETE else _among(known.max(axis=1), rows)
    if not use.size:
        return ()
    correct, cost = np.where(known, data.correct, data.p_correct), np.where(known, data.cost, data.expected_cost)
    points = [
        Point(float(correct[use, r].mean()), float(cost[use, r].mean()), route=route.name)
        for r, route in enumerate(data.routes)
    ]
    for price in error_prices(data):
        chosen = choices(data, Priced(price), data.routes[-1].name, use)
        points.append(Point(float(correct[use, chosen].mean()), float(cost[use, chosen].mean()), price))
    return tuple(point for point in points if np.isfinite(point.cost))


def _among(wanted: NDArray[np.bool_], rows: Ints | None) -> Ints:
    found = np.flatnonzero(wanted)
    return found if rows is None else np.intersect1d(found, rows)


def error_prices(data: Recorded) -> tuple[float, ...]:
    """Prices of an error (currency) from far below the cheapest route's cost to far above the dearest's."""
    costs = data.expected_cost[np.isfinite(data.expected_cost) & (data.expected_cost > 0)]
    if not costs.size:
        return (1.0,)
    low, high = float(costs.min()) / 10, float(costs.max()) * 1000
    return tuple(np.geomspace(low, high, ERROR_PRICES).tolist())
