"""Replay runs the serving policy over recorded outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointsman.domain import Price, Route
from pointsman.router.jobs.evaluation.replay import Recorded, choices, curve, error_prices
from pointsman.router.objectives import Fixed, Priced

ROUTES = tuple(Route(n, "m", "think", i, Price(0.1, 0.0, 1.0)) for i, n in enumerate(("small", "full")))


def world(n: int = 400, seed: int = 0) -> Recorded:
    """Half of the questions are easy (both right), half are hard (only full right), and the estimates know it."""
    rng = np.random.default_rng(seed)
    easy = rng.random(n) < 0.5
    p = np.stack([np.where(easy, 0.95, 0.05), np.full(n, 0.95)], axis=1)
    correct = (rng.random((n, 2)) < p).astype(float)
    cost = np.tile([1.0, 10.0], (n, 1))
    return Recorded(ROUTES, np.arange(n) % 8, correct, cost, cost, p, cost, np.zeros(n, bool))


def test_knowing_estimates_send_easy_questions_down_the_cheap_route() -> None:
    data = world()
    chosen = choices(data, Priced(20.0), "full")
    assert ((data.p_correct[:, 0] > 0.5) == (chosen == 0)).all()


def test_no_plan_is_the_safe_route_and_a_fixed_plan_is_its_route() -> None:
    data = world(20)
    assert (choices(data, None, "full") == 1).all()
    assert (choices(data, Fixed("small", "x"), "full") == 0).all()


def test_the_curve_has_both_fixed_routes_and_reaches_their_ends() -> None:
    points = curve(world())
    fixed = {p.route: p for p in points if p.route}
    priced = [p for p in points if p.error_price is not None]
    assert set(fixed) == {"small", "full"}
    assert min(p.cost for p in priced) == fixed["small"].cost
    assert max(p.accuracy for p in priced) >= fixed["full"].accuracy - 0.01
    assert min(p.cost for p in priced if p.accuracy >= fixed["full"].accuracy - 0.02) < 0.6 * fixed["full"].cost


def test_the_curve_reads_only_the_rows_that_it_is_given() -> None:
    """Changing the outcomes of other rows changes nothing."""
    data = world()
    rows = np.arange(200)
    other = data.correct.copy()
    other[200:] = 1 - other[200:]
    changed = replace(data, correct=other)
    assert curve(data, rows) == curve(changed, rows)


def test_questions_without_every_outcome_stay_out_of_the_curve() -> None:
    data = world(100)
    data.correct[60:, 0] = np.nan
    assert curve(data)[0].accuracy == data.correct[:60, 0].mean()


def test_in_a_log_of_one_route_a_question_estimates_stand_in() -> None:
    """Half of the questions went down one route, half down the other: the curve is there and no claim of certainty."""
    data = world(400)
    data.correct[::2, 0] = np.nan
    data.correct[1::2, 1] = np.nan
    points = curve(data)
    seen = data.correct[1::2, 0].sum() + data.p_correct[::2, 0].sum()
    assert points[0].accuracy == seen / 400
    data.correct[:] = np.nan
    assert curve(data) == ()


def test_a_route_whose_tokens_were_never_counted_is_no_point_of_the_curve() -> None:
    data = world()
    for table in (data.correct, data.cost, data.expected_cost):
        table[:, 0] = np.nan
    points = curve(data)
    assert {p.route for p in points} == {"full", None}
    assert {p.cost for p in points} == {10.0}


def test_error_prices_rise_from_below_the_cheapest_to_above_the_dearest() -> None:
    prices = error_prices(world(10))
    assert list(prices) == sorted(prices)
    assert prices[0] < 1.0
    assert prices[-1] > 10.0
