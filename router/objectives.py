"""From what the owner wants to what an error may cost.

The policy maximises `error_price * p_correct - cost` (policy.py). `willingness_to_pay` is that price itself; for
`quality` it is read off the curve that the training part gave: the cheapest point, priced or a fixed route, that kept
this share of the best fixed route's correctness there. Where a fixed route does it at least as cheaply, the fixed route
is the plan: routing must not cost more than what needs no learning.

Where the routes know different things (a model for sums, another for prose) no single route is a measure: if choosing
by the text was clearly more often right than the best fixed route, the share is of what choosing reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..domain import Objective, ObjectiveKind
from ..errors import BadRequest
from .queries import is_number

COMPLEMENTARY = 0.05
"""Routes know different things where choosing between them is right this much more often than the best of them."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a rule came to on the training part, groups left out: accuracy in [0, 1], mean cost a query in currency.

    One of `error_price` (currency an error, deciding on the text), `route` (a fixed route) and `rung` (the ladder at
    the price with this place) says which rule. sure: the accuracy that may be relied on; None: that measured."""

    accuracy: float
    cost: float
    error_price: float | None = None
    route: str | None = None
    rung: int | None = None
    sure: float | None = None

    @property
    def kept(self) -> float:
        """The accuracy that an objective may count on."""
        return self.accuracy if self.sure is None else self.sure


@dataclass(frozen=True, slots=True)
class Priced:
    """Maximise error_price * p_correct - cost, over routes expected to cost at most max_cost (currency; None: any)."""

    error_price: float
    max_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """One route for everything, and why."""

    route: str
    reason: str


@dataclass(frozen=True, slots=True)
class Climbing:
    """Buy evidence before committing, by the ladder at the price of an error with this place."""

    rung: int


Plan: TypeAlias = Priced | Fixed | Climbing


def plan(objective: Objective, curve: Sequence[Point]) -> Plan | None:
    """What the objective asks for, given the training part's curve; None where the curve says nothing."""
    rungs = [p for p in curve if p.rung is not None]
    if objective.kind is ObjectiveKind.WILLINGNESS_TO_PAY:
        others = [objective.value * p.accuracy - p.cost for p in curve if p.rung is None]
        value, rung = max(((objective.value * p.kept - p.cost, p.rung) for p in rungs), default=(0.0, None))
        if rung is not None and value > max(others, default=0.0):
            return Climbing(rung)
        return Priced(objective.value)
    if objective.kind is ObjectiveKind.MAX_COST:
        # Correctness is all that counts below the limit: a price far above any cost.
        dearest = max((p.cost for p in curve), default=objective.value)
        return Priced(1e6 * dearest + 1.0, max_cost=objective.value)
    if not any(p.route is not None for p in curve):
        return None
    need = objective.value * reference(curve)
    enough = [p for p in curve if p.kept >= need - 1e-9]  # never empty: the point that is the measure is among them
    best = min(enough, key=lambda p: (p.cost, p.route is None, p.rung is not None))
    if best.route is not None:
        return Fixed(best.route, "the cheapest way to this quality is this one route for everything")
    if best.rung is not None:
        return Climbing(best.rung)
    assert best.error_price is not None
    return Priced(best.error_price)


def on_text(curve: Sequence[Point]) -> tuple[Point, ...]:
    """The points that need nothing bought."""
    return tuple(p for p in curve if p.rung is None)


def reference(curve: Sequence[Point]) -> float:
    """The accuracy that `quality` is a share of: the best fixed route's, or, where routes know different things, what
    choosing between them reached and may be relied on for. The curve must have a fixed route."""
    fixed = max(p.accuracy for p in curve if p.route is not None)
    priced = max((min(p.accuracy, p.kept) for p in curve if p.route is None), default=0.0)
    return priced if priced - fixed > COMPLEMENTARY else fixed


def as_objective(given: Objective | str | float) -> Objective:
    """What Python callers give: an objective, its text, or a bare number, which is a quality. Raises BadRequest."""
    if isinstance(given, Objective):
        return check_objective(given)
    if isinstance(given, str):
        return parse_objective(given)
    return check_objective(Objective(ObjectiveKind.QUALITY, given))


def parse_objective(text: str) -> Objective:
    """An objective out of `quality=0.98`, `willingness_to_pay=3` or `max_cost=0.5`; a bare number is a quality.

    Raises BadRequest naming what is allowed."""
    name, _, value = text.partition("=") if "=" in text else ("quality", "", text)
    try:
        return check_objective(Objective(ObjectiveKind(name.strip()), float(value)))
    except ValueError:
        kinds = ", ".join(kind.value for kind in ObjectiveKind)
        raise BadRequest(
            f"{text!r} is no objective: write one of {kinds}, then = and a number.", field="objective"
        ) from None


def check_objective(objective: Objective) -> Objective:
    """The objective itself where its value makes sense. Raises BadRequest."""
    value = objective.value
    if not is_number(value):
        raise BadRequest(f"objective must be a number or kind=number, not {value!r:.50}.", field="objective")
    if objective.kind is ObjectiveKind.QUALITY and not 0 < value <= 1:
        raise BadRequest(f"quality is a share above 0 and at most 1, not {value}.", field="objective")
    if not (math.isfinite(value) and value >= 0):
        raise BadRequest(f"{objective.kind.value} is a number of 0 or more, not {value}.", field="objective")
    return objective
