"""What could be had by knowing in hindsight which route is right: what is luck of that, and what could be repeated."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....domain import Json
from ...ladder import fixed_route
from ..induction import fixed_results
from .recording import Recording

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

TIES = 0.01
"""What a route's own accuracy weighs beside a question's being right."""


def oracle(recording: Recording, money: bool) -> Json:
    """The cheapest right answer of each question; the cheapest of all where none is right."""
    results = [fixed_results(recording, fixed_route(recording.ladder, name)) for name in recording.names]
    right, cost = (np.stack([part[i] for part in results], axis=1) for i in (0, 1))
    at = np.arange(len(recording)), np.lexsort((cost, -right), axis=1)[:, 0]
    return {"accuracy": float(right[at].mean()), "cost": float(cost[at].mean()) if money else None}


def repeatable_oracle(recording: Recording, best: str, money: bool) -> Json | None:
    """The oracle that chooses each question's route on one sample and is scored on the others, at no more than the best
    fixed route's mean cost: what is left of the oracle without luck. None without several samples.

    A question on which several routes are right, or none, takes the one that is right more often, as far as the money
    goes. The mean over the samples to choose on. Costs are those of sample 0, calls where calls are the cost; questions
    count that have every sample on every route."""
    samples = recording.samples
    known = np.flatnonzero(~np.isnan(samples).any(axis=(0, 2)))
    if samples.shape[0] < 2 or not known.size:
        return None
    fixed = [fixed_route(recording.ladder, name) for name in recording.names]
    cost = np.stack([fixed_results(recording, f)[1][known] for f in fixed], axis=1)
    limit = float(cost[:, recording.names.index(best)].mean())
    found: list[tuple[float, float]] = []
    for chosen_on in range(samples.shape[0]):
        others = np.delete(samples, chosen_on, axis=0)[:, known].mean(axis=0)
        at = np.arange(len(known)), within_cost(samples[chosen_on, known], cost, limit)
        found.append((float(others[at].mean()), float(cost[at].mean())))
    accuracy, paid = np.mean(found, axis=0)
    return {"accuracy": float(accuracy), "cost": float(paid) if money else None, "n": len(known)}


def within_cost(right: Doubles, cost: Doubles, limit: float) -> Integers:
    """The routes (n,) that get most right at this mean cost, from (n, routes); where a question tells nothing between
    routes, rather the one that is right more often.

    Each question takes the route with the greatest value less `price` times cost; the price is the lowest that keeps
    within the limit, and what money is left goes to questions in order (Lagrange's relaxation of the knapsack with
    choices: the best there is, up to one question). limit: at least the mean cost of the cheapest routes."""
    value = right + TIES * right.mean(axis=0)
    rows, money = np.arange(len(right)), limit * len(right) + 1e-9

    def taken(price: float) -> Integers:
        return (value - price * cost).argmax(axis=1).astype(np.int64)

    low, high = 1e-12, 1e12
    if cost[rows, taken(low)].sum() <= money:
        return taken(low)
    for _ in range(200):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if cost[rows, taken(middle)].sum() <= money else (middle, high)
    chosen, dearer = taken(high), taken(low)
    left = money - cost[rows, chosen].sum() - np.cumsum(cost[rows, dearer] - cost[rows, chosen])
    return np.where(left >= 0, dearer, chosen)
