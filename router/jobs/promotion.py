"""Whether a new artifact is better than what serves, and making it serve.

The two policies decide the same queries. Where both choices' outcomes are known the difference is seen; where one is
not, the held-out estimate stands in (doubly robust estimation, Dudík, Langford and Li, arXiv 1103.4601, where the
propensity is 1). An estimate is only another's opinion of itself, and has no variance here: the gain must show on the
differing choices that were seen on both sides alone, and on all queries together. Queries that the serving artifact
learnt from would flatter it, so only others count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...domain import Json
from .evaluation.figures import interval
from .evaluation.replay import Aim, Floats, Ints, Recorded, Served, choices

Mask: TypeAlias = NDArray[np.bool_]

MIN_SEEN = 20
"""How many differing choices must have been seen on both sides: with fewer the interval is too narrow to rest on."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """New against serving, on n queries that the serving artifact did not learn from (learnt: how many it did).

    gain: mean of `error_price * correct - cost` new less serving, in currency a query, with its 95 % interval,
    estimates standing in for what was not seen; differ: share of queries decided differently; seen: how many of those
    were seen on both sides; seen_gain, seen_low, seen_high: the gain on those alone, NaN for none."""

    serving: str
    n: int
    learnt: int
    error_price: float
    gain: float
    low: float
    high: float
    differ: float
    seen: int
    seen_gain: float
    seen_low: float
    seen_high: float
    accuracy_gain: float
    cost_change: float

    @property
    def better(self) -> bool:
        """Whether both lower bounds are above zero, and enough was seen."""
        return bool(self.low > 0 and self.seen_low > 0 and self.seen >= MIN_SEEN)

    def as_json(self) -> Json:
        """All figures by name, and the sentence."""
        numbers = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**numbers, "better": self.better, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """Why it is promoted, or why not."""
        if self.learnt and self.n < MIN_SEEN:
            return (
                f"It cannot be compared with {self.serving}, which learnt from {self.learnt} of these queries: "
                f"{self.n} are left, at least {MIN_SEEN} are needed."
            )
        against = f"against {self.serving}, on {self.n} queries of held-out groups"
        if self.differ == 0:
            return f"It decides every query as what serves does ({against})."
        figures = f"gain {self.gain:.3g} a query, 95 % interval {self.low:.3g} to {self.high:.3g}"
        if self.better:
            return f"Better {against}: {figures}."
        if self.low > 0 and self.seen < MIN_SEEN:
            return (
                f"Looks better {against} ({figures}), but only {self.seen} of the queries that it decides otherwise "
                f"were seen on both routes; at least {MIN_SEEN} must be."
            )
        if self.low > 0:
            return (
                f"Looks better {against} ({figures}), but the {self.seen} queries that were seen on both routes do not "
                f"show it: gain {self.seen_gain:.3g}, 95 % interval {self.seen_low:.3g} to {self.seen_high:.3g}."
            )
        return f"Not shown to be better {against}: {figures}."


def compare(
    new: Recorded, mine: Ints, aim: Aim, served: Served | None, error_price: float, fresh: Mask | None = None
) -> Comparison:
    """The new policy's choices (n,) against the serving one (None: the safe route), at this price of an error.

    fresh (n,): the queries that the serving artifact did not learn from; None: all."""
    theirs, label = serving_choices(aim, served, len(mine))
    labelled = (~np.isnan(new.correct)).any(axis=1)
    rows = np.flatnonzero(labelled if fresh is None else labelled & fresh)
    mine, theirs = mine[rows], theirs[rows].astype(np.int64)
    correct_new, cost_new, seen_new = _value(new, rows, mine)
    correct_old, cost_old, seen_old = _value(new, rows, theirs)
    differ = mine != theirs
    gain = np.where(differ, error_price * (correct_new - correct_old) - (cost_new - cost_old), 0.0)
    told = ~np.isnan(gain)  # where a choice was neither seen nor can be estimated there is nothing to compare
    both = seen_new & seen_old & differ
    low, high = interval(gain[told], clusters=new.groups[rows][told])
    seen_low, seen_high = interval(gain[both], clusters=new.groups[rows][both])
    return Comparison(
        serving=label,
        n=len(rows),
        learnt=int(labelled.sum()) - len(rows),
        error_price=error_price,
        gain=_mean(gain[told]),
        low=low,
        high=high,
        differ=_mean(differ.astype(float)),
        seen=int(both.sum()),
        seen_gain=_mean(gain[both]) if both.any() else float("nan"),
        seen_low=seen_low,
        seen_high=seen_high,
        accuracy_gain=_mean(np.where(differ, correct_new - correct_old, 0.0)[told]),
        cost_change=_mean(np.where(differ, cost_new - cost_old, 0.0)[told]),
    )


def serving_choices(aim: Aim, served: Served | None, n: int) -> tuple[Ints, str]:
    """The route (by its place) that what serves takes for each of n queries, and what that is called. Where the serving
    artifact buys evidence first, its choice on the text stands for it."""
    if served is None:
        safe = [route.name for route in aim.routes].index(aim.safe_route)
        return np.full(n, safe, np.int64), f"the safe route {aim.safe_route}"
    return choices(served.data, served.plan, aim.safe_route), "the serving artifact"


def compare_results(
    new: tuple[Floats, Floats],
    old: tuple[Floats, Floats],
    groups: np.ndarray,
    label: str,
    error_price: float,
    learnt: int,
) -> Comparison:
    """Two policies by what came of them on the same queries: (right, cost) of each, (n,), all of it seen.

    learnt: how many queries more there were, which the serving artifact learnt from."""
    right, cost = new[0] - old[0], new[1] - old[1]
    gain = error_price * right - cost
    differ = (right != 0) | (np.abs(cost) > 1e-12)
    low, high = interval(gain, clusters=groups)
    seen_low, seen_high = interval(gain[differ], clusters=groups[differ])
    return Comparison(
        serving=label,
        n=len(gain),
        learnt=learnt,
        error_price=error_price,
        gain=_mean(gain),
        low=low,
        high=high,
        differ=_mean(differ.astype(float)),
        seen=int(differ.sum()),
        seen_gain=_mean(gain[differ]) if differ.any() else float("nan"),
        seen_low=seen_low,
        seen_high=seen_high,
        accuracy_gain=_mean(right),
        cost_change=_mean(cost),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def _value(data: Recorded, rows: Ints, chosen: Ints) -> tuple[Floats, Floats, np.ndarray]:
    """Correctness and cost of each choice: as seen, else as estimated; and whether it was seen.

    Where a choice was seen, estimate plus the correction of its own outcome is the outcome itself (propensity 1)."""
    correct, cost = data.correct[rows, chosen], data.cost[rows, chosen]
    seen = ~np.isnan(correct) & ~np.isnan(cost)
    return (
        np.where(seen, correct, data.p_correct[rows, chosen]),
        np.where(seen, cost, data.expected_cost[rows, chosen]),
        seen,
    )
