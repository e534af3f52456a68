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


def oracle(recording: Recording, money: bool) -> Json:
    """The cheapest right answer of each question; the cheapest of all where none is right."""
    results = [fixed_results(recording, fixed_route(recording.ladder, name)) for name in recording.names]
    right, cost = (np.stack([part[i] for part in results], axis=1) for i in (0, 1))
    at = np.arange(len(recording)), cheapest_right(right, cost)
    return {"accuracy": float(right[at].mean()), "cost": float(cost[at].mean()) if money else None}


def repeatable_oracle(recording: Recording, best: str, money: bool) -> Json | None:
    """The oracle that chooses each question's route on one sample and is scored on the others, at no more than the best
    fixed route's mean cost: what is left of the oracle without luck. None without several samples.

    The mean over the samples to choose on. Costs are those of sample 0, calls where calls are the cost; questions
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


def cheapest_right(right: Doubles, cost: Doubles) -> Integers:
    """For each question the most right route, of those the cheapest, of those the first: (n,) from (n, routes)."""
    return np.lexsort((cost, -right), axis=1)[:, 0].astype(np.int64)


def within_cost(right: Doubles, cost: Doubles, limit: float) -> Integers:
    """The routes (n,) that get most right at this mean cost: each question starts with its cheapest route, and those
    that gain most for what more they cost go over to their cheapest right one, while the money lasts.

    That is the best choice up to one question, as a question is right or wrong (Dantzig 1957 on the knapsack). limit:
    at least the mean cost of the cheapest routes."""
    rows = np.arange(len(right))
    base, better = np.lexsort((-right, cost), axis=1)[:, 0].astype(np.int64), cheapest_right(right, cost)
    gain = right[rows, better] - right[rows, base]
    more = cost[rows, better] - cost[rows, base]
    able = np.flatnonzero(gain > 0)
    order = able[np.argsort(more[able] / gain[able], kind="stable")]
    spent = cost[rows, base].sum() + np.cumsum(more[order])
    over = order[spent <= limit * len(right) + 1e-9]
    base[over] = better[over]
    return base
