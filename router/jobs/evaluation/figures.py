"""Figures of policies on recorded outcomes: the best fixed route, random mixing, the oracle, intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .replay import Ints, Recorded

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """accuracy in [0, 1]; output_tokens and cost (currency) per query; share: of queries by route name."""

    accuracy: float
    output_tokens: float
    cost: float
    share: dict[str, float]


def complete(data: Recorded) -> Ints:
    """The queries whose outcome is known on every route."""
    return np.flatnonzero(~np.isnan(data.correct).any(axis=1) & ~np.isnan(data.cost).any(axis=1))


def figure(data: Recorded, rows: Ints, chosen: Ints) -> Figure:
    """What these choices (an index of a route for each row) came to."""
    shares = {route.name: float((chosen == r).mean()) for r, route in enumerate(data.routes)}
    return Figure(
        float(data.correct[rows, chosen].mean()),
        float(data.output_tokens[rows, chosen].mean()),
        float(data.cost[rows, chosen].mean()),
        shares,
    )


def fixed(data: Recorded, rows: Ints) -> dict[str, Figure]:
    """Every route answering everything."""
    return {route.name: figure(data, rows, np.full(len(rows), r)) for r, route in enumerate(data.routes)}


def best_fixed(figures: dict[str, Figure]) -> str:
    """The most accurate fixed route; ties go to the cheaper."""
    return max(figures, key=lambda name: (figures[name].accuracy, -figures[name].cost))


def oracle(data: Recorded, rows: Ints) -> Figure:
    """The cheapest right answer of each query, in hindsight (the cheapest of all where none is right)."""
    correct, cost = data.correct[rows], data.cost[rows]
    order = np.lexsort((cost, -correct), axis=1)
    return figure(data, rows, order[:, 0].astype(np.int64))


def random_mix(figures: dict[str, Figure], cost: float) -> Figure | None:
    """The best random mix of two fixed routes at this mean cost: what needs no learning. None below the cheapest."""
    best: Figure | None = None
    for a in figures.values():
        for b in figures.values():
            if not a.cost <= cost:
                continue
            w = 0.0 if b.cost <= a.cost else min(1.0, (cost - a.cost) / (b.cost - a.cost))
            accuracy = a.accuracy + w * (b.accuracy - a.accuracy)
            if best is None or accuracy > best.accuracy:
                share = {n: (1 - w) * a.share[n] + w * b.share[n] for n in a.share}
                tokens = a.output_tokens + w * (b.output_tokens - a.output_tokens)
                best = Figure(accuracy, tokens, a.cost + w * (b.cost - a.cost), share)
    return best


BOOTSTRAP_CLUSTERS = 5
"""With fewer clusters than these too few are drawn for a bootstrap: their means have a t interval."""


def interval(differences: Floats, *, clusters: Any = None, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean, with whole clusters as its units where they are given.

    Percentile bootstrap (Efron & Tibshirani 1993, chapter 13) of five clusters and more; Student's t over two to four,
    which is wide, as so few groups say little of others; rows are the units where there is one. NaN for no rows."""
    if not len(differences):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    units = np.arange(len(differences))
    if clusters is not None:
        _, inverse = np.unique(np.asarray(clusters), return_inverse=True)
        if 1 < inverse.max() + 1 < BOOTSTRAP_CLUSTERS:
            return _few(differences, inverse, level)
        units = inverse if inverse.max() > 0 else units
    size = int(units.max()) + 1
    total = np.bincount(units, weights=differences, minlength=size)
    count = np.bincount(units, minlength=size).astype(float)
    draws = rng.multinomial(size, np.full(size, 1 / size), size=2000)
    means = (draws @ total) / np.maximum(draws @ count, 1e-12)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _few(differences: Floats, units: Ints, level: float) -> tuple[float, float]:
    """Student's t interval of the mean over rows, from how far the units' means lie from it (each by its size)."""
    from scipy import stats  # pyright: ignore[reportMissingTypeStubs]  # it ships none; slow to import

    mean, size = float(differences.mean()), int(units.max()) + 1
    off = np.bincount(units, weights=differences - mean, minlength=size) * size / len(differences)
    error = float(np.sqrt((off @ off) / (size * (size - 1))))
    reach = float(cast("Any", stats).t.ppf(0.5 + level / 2, size - 1)) * error
    return mean - reach, mean + reach


def by_group(data: Recorded, rows: Ints, chosen: Ints, baseline: int) -> list[dict[str, Any]]:
    """Accuracy and cost of the choices beside the baseline route, for each held-out group."""
    out: list[dict[str, Any]] = []
    groups = data.groups[rows]
    for group in sorted(set(groups.tolist()), key=str):
        at = np.flatnonzero(groups == group)
        mine, base = figure(data, rows[at], chosen[at]), figure(data, rows[at], np.full(len(at), baseline))
        out.append(
            {
                "group": str(group),
                "n": len(at),
                "accuracy": mine.accuracy,
                "cost": mine.cost,
                "best_fixed_accuracy": base.accuracy,
                "best_fixed_cost": base.cost,
            }
        )
    return out
