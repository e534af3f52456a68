"""From what the owner wants to the price of an error."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Objective, ObjectiveKind
from pointsman.errors import BadRequest
from pointsman.router.objectives import Fixed, Point, Priced, check_objective, parse_objective, plan

CURVE = (
    Point(0.30, 1.0, route="small"),
    Point(0.90, 10.0, route="full"),
    Point(0.50, 2.0, error_price=1.0),
    Point(0.85, 4.0, error_price=5.0),
    Point(0.895, 6.0, error_price=20.0),
)


@pytest.mark.parametrize(("quality", "expected"), [(0.98, 20.0), (0.94, 5.0), (0.5, 1.0)])
def test_quality_takes_the_cheapest_point_that_keeps_the_share(quality: float, expected: float) -> None:
    assert plan(Objective(value=quality), CURVE) == Priced(expected)


def test_quality_takes_a_fixed_route_where_routing_costs_more() -> None:
    dear = (*CURVE[:2], Point(0.90, 12.0, error_price=50.0))
    found = plan(Objective(value=1.0), dear)
    assert isinstance(found, Fixed)
    assert found.route == "full"


def test_at_equal_cost_the_fixed_route_wins() -> None:
    found = plan(Objective(value=1.0), (Point(0.9, 10.0, route="full"), Point(0.9, 10.0, error_price=3.0)))
    assert isinstance(found, Fixed)


def test_routes_that_know_different_things_are_measured_by_what_choosing_reaches() -> None:
    """A sum model and a prose model are each right on half; half must not pass for the whole."""
    curve = (
        Point(0.5, 1.0, route="sums"),
        Point(0.5, 10.0, route="prose"),
        Point(0.55, 2.0, error_price=1.0),
        Point(0.99, 6.0, error_price=50.0),
    )
    assert plan(Objective(value=0.9), curve) == Priced(50.0)


def test_an_empty_curve_is_no_plan_for_quality() -> None:
    assert plan(Objective(), ()) is None


def test_willingness_to_pay_is_the_price_itself() -> None:
    assert plan(Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 3.0), ()) == Priced(3.0)


def test_max_cost_keeps_its_limit() -> None:
    found = plan(Objective(ObjectiveKind.MAX_COST, 3.0), CURVE)
    assert isinstance(found, Priced)
    assert found.max_cost == 3.0
    assert found.error_price > 1e6


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_less_quality_never_costs_more(a: float, b: float) -> None:
    def cost(quality: float) -> float:
        found = plan(Objective(value=quality), CURVE)
        return next(
            p.cost
            for p in CURVE
            if found == Priced(p.error_price or math.nan) or (isinstance(found, Fixed) and p.route == found.route)
        )

    low, high = sorted((a, b))
    assert cost(low) <= cost(high)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.9", Objective(ObjectiveKind.QUALITY, 0.9)),
        ("quality=0.99", Objective(ObjectiveKind.QUALITY, 0.99)),
        ("willingness_to_pay=2", Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 2.0)),
        ("max_cost = 0.5", Objective(ObjectiveKind.MAX_COST, 0.5)),
    ],
)
def test_objectives_are_read(text: str, expected: Objective) -> None:
    assert parse_objective(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "speed=1", "quality=x", "quality=0", "quality=1.1", "max_cost=-1", "max_cost=nan", "willingness_to_pay=inf"],
)
def test_what_is_no_objective_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_objective(text)
    assert caught.value.field == "objective"


def test_a_sound_objective_passes_the_check() -> None:
    assert check_objective(Objective()) == Objective()
