"""From what the owner wants to the price of an error."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Objective, ObjectiveKind
from pointsman.errors import BadRequest
from pointsman.router.objectives import (
    Climbing,
    Fixed,
    Point,
    Priced,
    check_objective,
    on_text,
    parse_objective,
    plan,
    reference,
)

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


def rung(place: int, accuracy: float, cost: float, sure: float | None = None) -> Point:
    """A point of the ladder."""
    return Point(accuracy, cost, rung=place, sure=accuracy if sure is None else sure)


def test_evidence_is_bought_where_it_surely_keeps_the_quality_for_less() -> None:
    """0.98 of 0.90 is 0.882: on the text for 6, with evidence for 3."""
    assert plan(Objective(value=0.98), (*CURVE, rung(4, 0.89, 3.0), rung(5, 0.90, 3.5))) == Climbing(4)


@pytest.mark.parametrize(
    "point",
    [
        rung(4, 0.89, 3.0, sure=0.881),  # measured enough, not surely so
        rung(4, 0.87, 3.0),  # not enough
        rung(4, 0.90, 6.5),  # enough, but dearer than deciding on the text
        rung(4, 0.90, 6.0),  # no cheaper
    ],
)
def test_otherwise_nothing_is_bought(point: Point) -> None:
    assert plan(Objective(value=0.98), (*CURVE, point)) == Priced(20.0)


def test_more_sure_than_measured_counts() -> None:
    assert plan(Objective(value=0.98), (*CURVE, rung(4, 0.88, 3.0, sure=0.885))) == Climbing(4)


def test_at_equal_cost_one_route_for_everything_goes_before_evidence() -> None:
    found = plan(Objective(value=1.0), (*CURVE[:2], rung(0, 0.9, 10.0)))
    assert isinstance(found, Fixed)


def test_a_rung_that_may_not_be_relied_on_sets_no_measure() -> None:
    """Measured far above every route, surely only as good as they: what is wanted is a share of the best route, and
    deciding on the text alone wants the same."""
    unsure = (*CURVE, rung(0, 1.0, 5.0, sure=0.5))
    assert reference(unsure) == reference(CURVE) == 0.90
    assert plan(Objective(value=0.98), unsure) == plan(Objective(value=0.98), CURVE)
    alone = (*CURVE[:2], rung(0, 1.0, 5.0, sure=0.5))
    assert isinstance(plan(Objective(value=1.0), alone), Fixed)


def test_a_rung_that_surely_knows_more_than_any_route_is_the_measure() -> None:
    known = (*CURVE, rung(0, 0.99, 12.0, sure=0.97))
    assert reference(known) == 0.97
    assert plan(Objective(value=0.98), known) == Climbing(0)
    luck = (*CURVE, rung(0, 0.97, 12.0, sure=0.99))
    assert reference(luck) == 0.97, "no more than was measured"


points = st.builds(rung, st.integers(0, 9), st.floats(0, 1), st.floats(0, 100), st.floats(0, 1))


@given(st.lists(points, max_size=4), st.floats(0.01, 1))
def test_whatever_the_rungs_there_is_a_plan_that_keeps_the_quality(rungs: list[Point], quality: float) -> None:
    curve = (*CURVE, *rungs)
    found = plan(Objective(value=quality), curve)
    kept = [
        p.kept
        for p in curve
        if (isinstance(found, Climbing) and p.rung == found.rung)
        or (isinstance(found, Fixed) and p.route == found.route)
        or (isinstance(found, Priced) and p.error_price == found.error_price)
    ]
    assert max(kept) >= quality * reference(curve) - 1e-9


def test_a_price_of_an_error_buys_evidence_where_it_is_worth_more_than_every_other_rule() -> None:
    """At 100: full gains 90 - 10, the text 89.5 - 6, the rung 88 - 3 of what is sure."""
    wish = Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 100.0)
    assert plan(wish, (*CURVE, rung(2, 0.95, 3.0, sure=0.88), rung(3, 0.99, 3.0, sure=0.87))) == Climbing(2)
    assert plan(wish, (*CURVE, rung(2, 0.95, 3.0, sure=0.86))) == Priced(100.0)
    assert plan(Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 0.0), (rung(2, 0.95, 3.0),)) == Priced(0.0)


def test_a_limit_of_cost_buys_no_evidence() -> None:
    assert isinstance(plan(Objective(ObjectiveKind.MAX_COST, 3.0), (*CURVE, rung(0, 1.0, 0.1))), Priced)


def test_on_the_text_alone_there_are_no_rungs() -> None:
    assert on_text((*CURVE, rung(0, 1.0, 0.1))) == CURVE
    assert on_text((rung(0, 1.0, 0.1),)) == ()
    assert plan(Objective(), (rung(0, 1.0, 0.1),)) is None, "without a route there is nothing to be a share of"
