"""What a policy is worth above what needs no learning.

*Mixing* is the best random mix of any two of: the fixed routes, the plain agreement rule, and no answer at no cost,
chosen in hindsight. *Saved* is the policy's, at a loss of accuracy against the best fixed route: the mix of two of its
points (the best fixed route is always one) is chosen on four fifths of the questions and scored on the fifth, so that
many points do not make a lucky one. *Skill* is what is saved above mixing at the loss that was realised. Costs are
relative to the best fixed route's; arrays are points x questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

LOSSES = (0.005, 0.01, 0.02)
"""Losses of accuracy (shares) at which saving is looked at."""

_PARTS = 5
_PLAYS = 20


@dataclass(frozen=True, slots=True)
class AtLoss:
    """At one loss: share of the best fixed route's cost saved, what mixing saves there, the difference and its 95 %
    interval (None without resamples)."""

    saved: float
    mixing: float
    skill: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """What needs no learning: correctness and cost, each (points, n); point 0 is the best fixed route, the last is no
    answer."""

    correct: Doubles
    cost: Doubles

    @property
    def accuracy(self) -> float:
        """Of the best fixed route."""
        return float(self.correct[0].mean())


def cheapest_mix(accuracy: Doubles, cost: Doubles, need: float) -> tuple[int, int, float]:
    """(better, worse, share of the better) of the cheapest mix of two points with this accuracy; one point must reach
    it. accuracy and cost are (points,)."""
    order = np.lexsort((cost, -accuracy))
    cheaper = cost[order] < np.concatenate([[np.inf], np.minimum.accumulate(cost[order])[:-1]])
    order = order[cheaper]
    enough, short = order[accuracy[order] >= need], order[accuracy[order] < need]
    if not len(short):
        return int(enough[-1]), int(enough[-1]), 1.0
    share = (need - accuracy[short]) / (accuracy[enough][:, None] - accuracy[short])
    total = share * cost[enough][:, None] + (1 - share) * cost[short]
    best, worse = np.unravel_index(total.argmin(), total.shape)
    return int(enough[best]), int(short[worse]), float(share[best, worse])


def mixing(plain: Plain, need: float, weights: Doubles | None = None) -> float:
    """Share of the best fixed route's cost that mixing saves at this accuracy (at most the best fixed route's own)."""
    w = np.full(plain.correct.shape[1], 1.0) if weights is None else weights
    accuracy, cost = plain.correct @ w / w.sum(), plain.cost @ w / w.sum()
    better, worse, share = cheapest_mix(accuracy, cost, min(need, float(accuracy[0])))
    return float(1 - (share * cost[better] + (1 - share) * cost[worse]) / cost[0])


def at_losses(correct: Doubles, cost: Doubles, plain: Plain, resamples: int, seed: int = 0) -> list[AtLoss]:
    """Saved, mixing and skill of a policy's points at each of LOSSES."""
    points = np.vstack([plain.correct[0], correct, plain.correct[-1]])
    costs = np.vstack([plain.cost[0], cost, plain.cost[-1]])
    rng, one = np.random.default_rng(seed), np.ones(points.shape[1])
    saved, mixed = _play(points, costs, plain, one, rng, _PLAYS)
    drawn = [np.subtract(*_play(points, costs, plain, _resample(rng, len(one)), rng, 1)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if drawn else (np.zeros(3), np.zeros(3))
    return [
        AtLoss(
            float(saved[i]),
            float(mixed[i]),
            float(saved[i] - mixed[i]),
            (float(low[i]), float(high[i])) if drawn else None,
        )
        for i in range(len(LOSSES))
    ]


def _resample(rng: np.random.Generator, n: int) -> Doubles:
    return rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)


def _play(
    correct: Doubles, cost: Doubles, plain: Plain, weights: Doubles, rng: np.random.Generator, times: int
) -> tuple[Doubles, Doubles]:
    """(saved, mixing at the loss realised), each (losses,), averaged over divisions into fifths."""
    found = [_crossed(correct, cost, weights, rng.permutation(len(weights)) % _PARTS) for _ in range(times)]
    saved, loss = np.mean(found, axis=0)
    top = float(plain.correct[0] @ weights / weights.sum())
    return saved, np.array([mixing(plain, top - x, weights) for x in loss])


def _crossed(correct: Doubles, cost: Doubles, weights: Doubles, part: Integers) -> Doubles:
    """(2, losses): saved and lost, on each part at the mix that was chosen on the others."""
    shares = (part[:, None] == np.arange(_PARTS)) * weights[:, None]
    right, paid, size = correct @ shares, cost @ shares, shares.sum(axis=0)
    got = np.zeros((2, len(LOSSES)))
    for k in range(_PARTS):
        rest = size.sum() - size[k]
        accuracy, mean = (right.sum(axis=1) - right[:, k]) / rest, (paid.sum(axis=1) - paid[:, k]) / rest
        for n, loss in enumerate(LOSSES):
            better, worse, share = cheapest_mix(accuracy, mean, float(accuracy[0]) - loss)
            got[0, n] += share * paid[better, k] + (1 - share) * paid[worse, k]
            got[1, n] += share * right[better, k] + (1 - share) * right[worse, k]
    return np.stack([1 - got[0] / paid[0].sum(), (right[0].sum() - got[1]) / size.sum()])


def apgr(score: Doubles, groups: NDArray[np.str_], gain: Doubles) -> float | None:
    """Area under the share of the small-to-full gap recovered over the share of questions sent to full, those with low
    scores first; ranks within groups, ties in expectation. Random is 0.5. None where there is no gap.

    score, gain (right of full less right of small): (n,)."""
    rank = np.empty(len(score))
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        values, place = np.unique(score[inside], return_inverse=True)
        size = np.bincount(place, minlength=len(values))
        rank[inside] = ((np.cumsum(size) - (size - 1) / 2)[place] - 0.5) / len(inside)
    _, place = np.unique(rank.round(12), return_inverse=True)
    mean = np.bincount(place, gain) / np.bincount(place)
    recovered = np.concatenate([[0.0], np.cumsum(mean[place][np.argsort(rank, kind="stable")])])
    if recovered[-1] <= 0:
        return None
    return float(np.trapezoid(recovered / recovered[-1], dx=1 / len(score)))
