"""Figures on recorded outcomes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Price, Route
from pointsman.router.jobs.evaluation import figures
from pointsman.router.jobs.evaluation.replay import Recorded

ROUTES = tuple(Route(n, "m", "think", i, Price(0.1, 0.0, 1.0)) for i, n in enumerate(("small", "middle", "full")))


def data(correct: list[list[float]], cost: list[list[float]]) -> Recorded:
    c, k = np.array(correct, float), np.array(cost, float)
    return Recorded(ROUTES, np.arange(len(c)), c, k, k, c, k, np.zeros(len(c), bool))


WORLD = data([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], [[1, 4, 10]] * 4)
ROWS = np.arange(4)


def test_fixed_routes_and_the_best_of_them() -> None:
    fixed = figures.fixed(WORLD, ROWS)
    assert [fixed[n].accuracy for n in ("small", "middle", "full")] == [0.25, 0.5, 0.75]
    assert figures.best_fixed(fixed) == "full"


def test_ties_for_the_best_go_to_the_cheaper() -> None:
    tied = data([[1, 1, 1]] * 3, [[1, 4, 10]] * 3)
    assert figures.best_fixed(figures.fixed(tied, np.arange(3))) == "small"


def test_the_oracle_takes_the_cheapest_right_answer_and_the_cheapest_of_the_wrong() -> None:
    found = figures.oracle(WORLD, ROWS)
    assert found.accuracy == 0.75
    assert found.cost == pytest.approx((1 + 4 + 10 + 1) / 4)


def test_random_mixing_is_a_line_between_two_routes() -> None:
    fixed = figures.fixed(WORLD, ROWS)
    half = figures.random_mix(fixed, 7.0)
    assert half is not None
    assert half.accuracy == pytest.approx(0.625)
    assert half.cost == pytest.approx(7.0)
    assert sum(half.share.values()) == pytest.approx(1.0)


def test_random_mixing_cannot_be_cheaper_than_the_cheapest_route() -> None:
    assert figures.random_mix(figures.fixed(WORLD, ROWS), 0.5) is None


@given(st.floats(1.0, 20.0), st.floats(1.0, 20.0))
def test_more_money_never_mixes_worse(a: float, b: float) -> None:
    fixed = figures.fixed(WORLD, ROWS)
    low, high = (figures.random_mix(fixed, c) for c in sorted((a, b)))
    assert low is not None
    assert high is not None
    assert low.accuracy <= high.accuracy + 1e-12
    assert high.cost <= max(a, b) + 1e-9


def test_the_interval_covers_the_mean_and_narrows_with_data() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.normal(0.3, 1, 100), rng.normal(0.3, 1, 10_000)
    (a, b), (c, d) = figures.interval(few), figures.interval(many)
    assert a < few.mean() < b
    assert c < many.mean() < d
    assert d - c < (b - a) / 5


def test_rows_of_one_question_do_not_count_as_many() -> None:
    """Repeating every row ten times as one cluster leaves the interval as wide as without the repeats."""
    values = np.random.default_rng(2).normal(0, 1, 60)
    once = figures.interval(values, clusters=np.arange(60))
    repeated = figures.interval(np.repeat(values, 10), clusters=np.repeat(np.arange(60), 10))
    assert once == pytest.approx(repeated, abs=0.02)


def test_a_few_groups_have_a_t_interval_over_their_means() -> None:
    """Groups of one size: the textbook's interval of three means, however many rows stand behind each."""
    values, groups = np.repeat([1.0, 2.0, 4.5], 100), np.repeat([0, 1, 2], 100)
    half = 4.303 * np.std([1.0, 2.0, 4.5], ddof=1) / np.sqrt(3)
    assert figures.interval(values, clusters=groups) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-3)


def test_few_groups_seldom_seem_better_by_chance() -> None:
    """Groups that differ by chance around no gain: the lower bound is above zero in about one world of forty."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(3), 200)
    lows = [
        figures.interval(rng.normal(np.repeat(rng.normal(0, 1, 3), 200), 0.1), clusters=groups)[0] for _ in range(400)
    ]
    assert np.mean(np.array(lows) > 0) < 0.05


def test_one_group_has_rows_for_its_units() -> None:
    values = np.random.default_rng(4).normal(0.3, 1, 100)
    assert figures.interval(values, clusters=np.zeros(100)) == figures.interval(values)


def test_the_interval_of_nothing_is_not_a_number() -> None:
    assert all(math.isnan(x) for x in figures.interval(np.array([])))
