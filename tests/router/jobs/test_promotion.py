"""A new policy is promoted only for what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pointsman.domain import Objective, Price, Route
from pointsman.router.jobs.evaluation.replay import Aim, Recorded, Served, choices
from pointsman.router.jobs.promotion import Comparison, compare, compare_results
from pointsman.router.objectives import Fixed, Plan, Priced

ROUTES = tuple(Route(n, "m", "think", i, Price(0.1, 0.0, 1.0)) for i, n in enumerate(("small", "full")))
AIM = Aim(ROUTES, Objective(), "full")


def world(n: int = 400) -> Recorded:
    rng = np.random.default_rng(0)
    easy = rng.random(n) < 0.5
    p = np.stack([np.where(easy, 0.97, 0.03), np.full(n, 0.97)], axis=1)
    correct = (rng.random((n, 2)) < p).astype(float)
    cost = np.tile([1.0, 10.0], (n, 1))
    return Recorded(ROUTES, np.arange(n), correct, cost, cost.copy(), p, cost.copy(), np.zeros(n, bool))


def judged(data: Recorded, plan: Plan, *rest: Any) -> Comparison:
    """The comparison of a policy with one plan for everything."""
    return compare(data, choices(data, plan, "full"), *rest)


def test_a_policy_that_saves_without_losing_is_better_than_the_safe_route() -> None:
    found = judged(world(), Priced(30.0), AIM, None, 30.0)
    assert found.better
    assert found.serving == "the safe route full"
    assert found.cost_change < -3
    assert found.low > 0


def test_a_policy_that_loses_more_than_it_saves_is_not() -> None:
    found = judged(world(), Fixed("small", "cheap"), AIM, None, 30.0)
    assert not found.better
    assert found.high < 0


def test_the_same_policy_is_not_better_than_itself() -> None:
    data = world()
    found = judged(data, Priced(30.0), AIM, Served(data, Priced(30.0)), 30.0)
    assert (found.differ, found.gain, found.better) == (0.0, 0.0, False)
    assert "what serves does" in found.sentence


def test_an_estimate_alone_promotes_nothing() -> None:
    """Only the safe route was ever logged: the gain is a guess, and stays one."""
    data = world()
    data.correct[:, 0] = np.nan
    data.cost[:, 0] = np.nan
    found = judged(data, Priced(30.0), AIM, None, 30.0)
    assert found.low > 0
    assert found.seen == 0
    assert not found.better
    assert "were seen on both routes; at least 20 must be" in found.sentence


def refuted() -> Recorded:
    """On 500 queries that were seen on both routes the cheap one is always wrong, whatever the estimates say; on 500
    others, seen on the dear one only, the estimates say that it is right."""
    n = 1000
    p = np.tile([0.97, 0.97], (n, 1))
    correct, cost = np.ones((n, 2)), np.tile([1.0, 10.0], (n, 1))
    correct[:500, 0] = 0.0
    correct[500:, 0] = np.nan
    seen = cost.copy()
    seen[500:, 0] = np.nan
    return Recorded(ROUTES, np.arange(n), correct, seen, cost, p, cost, np.zeros(n, bool))


def test_what_was_seen_is_not_outvoted_by_estimates() -> None:
    """As many queries again look good by estimate: together the gain is above zero, seen alone it is far below."""
    found = judged(refuted(), Fixed("small", "cheap"), AIM, None, 12.0)
    assert found.low > 0
    assert found.seen_high < 0
    assert not found.better
    assert "the 500 queries that were seen on both routes do not show it" in found.sentence


def test_what_was_logged_beside_does_not_forbid_a_promotion() -> None:
    """As many queries again went down the dear route only: what was seen on both is as good as before."""
    data = world(1000)
    more = world(2100)
    more.correct[1000:, 0] = np.nan
    more.cost[1000:, 0] = np.nan
    assert judged(data, Priced(30.0), AIM, None, 30.0).better
    assert judged(more, Priced(30.0), AIM, None, 30.0).better


def test_a_choice_that_nothing_is_known_of_is_left_out() -> None:
    """The serving artifact sends everything down a route whose tokens were never counted here."""
    data = world()
    for table in (data.correct, data.cost, data.expected_cost):
        table[:, 0] = np.nan
    found = judged(data, Fixed("full", "dear"), AIM, Served(data, Fixed("small", "cheap")), 30.0)
    assert (found.gain, found.seen, found.better) == (0.0, 0, False)


def test_optimistic_estimates_do_not_hide_what_was_seen() -> None:
    """The estimates say that small is always right; the outcomes say that it is not."""
    data = world()
    flattering = replace(data, p_correct=np.full_like(data.correct, 0.99))
    assert not judged(flattering, Priced(30.0), AIM, None, 30.0).better


def test_few_queries_prove_nothing() -> None:
    assert not judged(world(6), Priced(11.0), AIM, None, 11.0).better


def test_queries_that_the_serving_artifact_learnt_from_do_not_count() -> None:
    """It is right on all of them, for it saw the answers; on the others it is worse."""
    data = world(400)
    fresh = np.arange(400) >= 200
    serving = Served(data, Fixed("full", "dear"))
    found = judged(data, Priced(30.0), AIM, serving, 30.0, fresh)
    alone = judged(world(400), Priced(30.0), AIM, serving, 30.0)
    assert (found.n, found.learnt, found.better) == (200, 200, True)
    assert (alone.n, alone.learnt) == (400, 0)
    few = judged(data, Priced(30.0), AIM, serving, 30.0, np.arange(400) >= 390)
    assert not few.better
    assert few.sentence.startswith("It cannot be compared with the serving artifact, which learnt from 390 of these")


def results(right: list[float], cost: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(right), np.array(cost)


def test_two_policies_by_what_came_of_them_by_hand() -> None:
    """At 10 an error: cheaper by 5, right instead of wrong for 1 more, the same, cheaper by 5 and wrong."""
    new, old = results([1, 1, 1, 0], [1, 7, 6, 1]), results([1, 0, 1, 1], [6, 6, 6, 6])
    found = compare_results(new, old, np.array(["a", "b", "c", "d"]), "the safe route full", 10.0, 3)
    assert (found.serving, found.n, found.learnt, found.error_price) == ("the safe route full", 4, 3, 10.0)
    assert found.gain == pytest.approx((5 + 9 + 0 - 5) / 4)
    assert (found.differ, found.seen) == (0.75, 3)
    assert found.seen_gain == pytest.approx(3.0), "of those decided otherwise alone"
    assert (found.accuracy_gain, found.cost_change) == (0.0, pytest.approx(-9 / 4))
    assert not found.better


def test_results_that_are_surely_better_are_promoted_and_those_by_luck_are_not() -> None:
    rng = np.random.default_rng(0)
    n, groups = 300, np.array([f"g{i % 10}" for i in range(300)])
    old = (rng.random(n) < 0.9).astype(float), np.full(n, 10.0)
    saved = old[0], np.where(rng.random(n) < 0.6, 2.0, 11.0)
    better = compare_results(saved, old, groups, "the serving artifact", 30.0, 0)
    assert better.better
    assert better.sentence.startswith("Better against the serving artifact, on 300 queries")
    assert better.low < better.gain < better.high
    lost = np.where(rng.random(n) < 0.3, 0.0, old[0]), saved[1]
    assert not compare_results(lost, old, groups, "the serving artifact", 30.0, 0).better
    few = compare_results((old[0][:19], saved[1][:19]), (old[0][:19], old[1][:19]), groups[:19], "s", 0.0, 0)
    assert not few.better


def test_the_same_results_are_no_better_than_themselves() -> None:
    same = results([1, 0, 1], [1, 2, 3])
    found = compare_results(same, same, np.array(["a", "b", "c"]), "the serving artifact", 10.0, 0)
    assert (found.differ, found.seen, found.gain, found.better) == (0.0, 0, 0.0, False)
    assert np.isnan(found.seen_gain)
    assert "what serves does" in found.sentence


def test_where_nothing_is_left_to_compare_on_it_is_said() -> None:
    none = results([], [])
    found = compare_results(none, none, np.array([], str), "the serving artifact", 10.0, 40)
    assert (found.n, found.better) == (0, False)
    assert found.sentence.startswith("It cannot be compared with the serving artifact, which learnt from 40 of these")
