"""A new policy is promoted only for what was seen."""

from __future__ import annotations

import numpy as np

from pointsman.domain import Objective, Price, Route
from pointsman.router.jobs.evaluation.replay import Aim, Recorded, Served
from pointsman.router.jobs.promotion import compare
from pointsman.router.objectives import Fixed, Priced

ROUTES = tuple(Route(n, "m", "think", i, Price(0.1, 0.0, 1.0)) for i, n in enumerate(("small", "full")))
AIM = Aim(ROUTES, Objective(), "full")


def world(n: int = 400) -> Recorded:
    rng = np.random.default_rng(0)
    easy = rng.random(n) < 0.5
    p = np.stack([np.where(easy, 0.97, 0.03), np.full(n, 0.97)], axis=1)
    correct = (rng.random((n, 2)) < p).astype(float)
    cost = np.tile([1.0, 10.0], (n, 1))
    return Recorded(ROUTES, np.arange(n), correct, cost, cost.copy(), p, cost.copy())


def test_a_policy_that_saves_without_losing_is_better_than_the_safe_route() -> None:
    found = compare(world(), Priced(30.0), AIM, None, 30.0)
    assert found.better
    assert found.serving == "the safe route full"
    assert found.cost_change < -3
    assert found.low > 0


def test_a_policy_that_loses_more_than_it_saves_is_not() -> None:
    found = compare(world(), Fixed("small", "cheap"), AIM, None, 30.0)
    assert not found.better
    assert found.high < 0


def test_the_same_policy_is_not_better_than_itself() -> None:
    data = world()
    found = compare(data, Priced(30.0), AIM, Served(data, Priced(30.0)), 30.0)
    assert (found.differ, found.gain, found.better) == (0.0, 0.0, False)
    assert "what serves does" in found.sentence


def test_an_estimate_alone_promotes_nothing() -> None:
    """Only the safe route was ever logged: the gain is a guess, and stays one."""
    data = world()
    data.correct[:, 0] = np.nan
    data.cost[:, 0] = np.nan
    found = compare(data, Priced(30.0), AIM, None, 30.0)
    assert found.low > 0
    assert found.support == 0
    assert not found.better
    assert "were seen" in found.sentence


def test_optimistic_estimates_do_not_hide_what_was_seen() -> None:
    """The estimates say that small is always right; the outcomes say that it is not."""
    data = world()
    flattering = Recorded(
        ROUTES, data.groups, data.correct, data.cost, data.cost, np.full_like(data.correct, 0.99), data.cost
    )
    assert not compare(flattering, Priced(30.0), AIM, None, 30.0).better


def test_few_queries_prove_nothing() -> None:
    assert not compare(world(6), Priced(11.0), AIM, None, 11.0).better
