"""The policy is a pure function: every rule of it, and what must hold whatever the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain import Attempt, Enforcement, Estimate, Finish, Price, Purpose, Query, Route, Usage
from pointsman.errors import BackendUnavailable
from pointsman.router import policy
from pointsman.router.objectives import Fixed, Priced
from pointsman.router.policy import Buy, Commit, Terms

QUERY = Query(messages=({"role": "user", "content": "3+4"},))
NAMES = ("small", "budgeted", "full")
PRICE = Price(0.1, 0.0, 1.0)


def estimate(name: str, p: float, cost: float) -> Estimate:
    return Estimate(name, p, 0.0, 10.0, 10.0, 0.0, cost, 0.0)


def attempt(name: str, *, error: str | None = None, finish: Finish = Finish.STOP, answer: str | None = "7") -> Attempt:
    return Attempt(
        name,
        "digits",
        Purpose.ANSWER,
        Usage(),
        PRICE,
        0.0,
        1.0,
        1.0,
        finish,
        Enforcement.NATIVE,
        error=error,
        answer=answer,
    )


def terms(routes: tuple[Route, ...], **changes: object) -> Terms:
    return replace(Terms(routes=routes, plan=Priced(10.0), safe_route="full"), **changes)


def test_the_greatest_expected_utility_is_chosen(routes: tuple[Route, ...]) -> None:
    """0.9 at 1 beats 0.95 at 3 when an error costs 10, and loses when it costs 100."""
    known = {
        "small": estimate("small", 0.2, 0.1),
        "budgeted": estimate("budgeted", 0.9, 1.0),
        "full": estimate("full", 0.95, 3.0),
    }
    assert policy.next(QUERY, (), known, terms(routes)).route == "budgeted"
    assert policy.next(QUERY, (), known, terms(routes, plan=Priced(100.0))).route == "full"
    assert policy.next(QUERY, (), known, terms(routes, plan=Priced(0.0))).route == "small"


def test_the_reason_names_the_odds_and_the_share_of_the_cost(routes: tuple[Route, ...]) -> None:
    known = {"small": estimate("small", 0.9, 1.0), "full": estimate("full", 0.95, 4.0)}
    step = policy.next(QUERY, (), known, terms(routes, plan=Priced(1.0)))
    assert step.reason == "90% likely right, full 95%, at 25% of its cost"


def test_a_route_of_unknown_cost_is_never_offered(routes: tuple[Route, ...]) -> None:
    """Its tokens were never counted: a utility that is no number must not win because it is compared first."""
    known = {"small": estimate("small", 0.99, float("nan")), "full": estimate("full", 0.5, 3.0)}
    assert policy.next(QUERY, (), known, terms(routes)).route == "full"
    assert policy.next(QUERY, (), known, terms(routes, plan=Priced(10.0, max_cost=0.1))).route == "full"


def test_without_anything_learnt_the_safe_route_answers(routes: tuple[Route, ...]) -> None:
    step = policy.next(QUERY, (), {}, terms(routes, plan=None, safe_route="budgeted"))
    assert step == Commit("budgeted", "nothing is learnt for these routes yet: the safe route answers")


def test_where_the_safe_route_cannot_serve_the_dearest_that_can_answers(routes: tuple[Route, ...]) -> None:
    step = policy.next(QUERY, (), {}, terms(routes[:2], plan=None))
    assert isinstance(step, Commit)
    assert step.route == "budgeted"
    assert "safe route cannot serve" in step.reason


def test_a_fixed_plan_sends_everything_down_one_route(routes: tuple[Route, ...]) -> None:
    known = {name: estimate(name, 0.5, 1.0) for name in NAMES}
    assert policy.next(QUERY, (), known, terms(routes, plan=Fixed("budgeted", "why"))) == Commit("budgeted", "why")


def test_a_fixed_plan_whose_route_cannot_serve_or_failed_falls_to_the_likeliest(routes: tuple[Route, ...]) -> None:
    """And the reason says so: something is learnt, it is the route that is missing."""
    known = {"small": estimate("small", 0.9, 1.0), "budgeted": estimate("budgeted", 0.7, 1.0)}
    known["full"] = estimate("full", 0.6, 1.0)
    fixed = terms(routes[1:], plan=Fixed("small", "why"))
    why = "small cannot serve this query now: the likeliest of the others answers"
    assert policy.next(QUERY, (), known, fixed) == Commit("budgeted", why)
    failed = policy.next(QUERY, [attempt("small", error="refused")], known, replace(fixed, routes=routes))
    assert failed == Commit("budgeted", f"{why}; small failed")


def test_with_nothing_known_of_those_left_the_safe_route_answers(routes: tuple[Route, ...]) -> None:
    known = {"small": estimate("small", 0.9, 1.0)}
    step = policy.next(QUERY, (), known, terms(routes[1:]))
    assert step == Commit("full", "nothing is known of the routes that can serve: the safe route answers")


def test_the_callers_word_wins_over_everything(routes: tuple[Route, ...]) -> None:
    known = {"full": estimate("full", 1.0, 0.0)}
    chosen = policy.next(QUERY, (), known, terms(routes, wished="small", fixed="budgeted", escalate=True))
    assert chosen == Commit("small", "asked for")


def test_a_wished_route_that_failed_is_not_replaced_by_another(routes: tuple[Route, ...]) -> None:
    with pytest.raises(BackendUnavailable, match="asked for failed"):
        policy.next(QUERY, [attempt("small", error="refused")], {}, terms(routes, wished="small"))


def test_observe_answers_with_the_owners_route(routes: tuple[Route, ...]) -> None:
    known = {"small": estimate("small", 1.0, 0.0)}
    assert policy.next(QUERY, (), known, terms(routes, fixed="full")) == Commit(
        "full", "observe: full answers everything"
    )


def test_a_route_that_failed_is_not_tried_again(routes: tuple[Route, ...]) -> None:
    known = {"small": estimate("small", 1.0, 0.1), "full": estimate("full", 0.9, 1.0)}
    step = policy.next(QUERY, [attempt("small", error="refused")], known, terms(routes))
    assert step.route == "full"
    assert step.reason.endswith("small failed")


def test_when_every_route_failed_there_is_an_error(routes: tuple[Route, ...]) -> None:
    with pytest.raises(BackendUnavailable, match="no route can serve"):
        policy.next(QUERY, [attempt(name, error="x") for name in NAMES], {}, terms(routes))


def test_max_cost_keeps_the_likeliest_of_what_it_can_pay(routes: tuple[Route, ...]) -> None:
    known = {
        "small": estimate("small", 0.3, 1.0),
        "budgeted": estimate("budgeted", 0.6, 2.0),
        "full": estimate("full", 0.9, 9.0),
    }
    assert policy.next(QUERY, (), known, terms(routes, plan=Priced(1e9, max_cost=5.0))).route == "budgeted"
    step = policy.next(QUERY, (), known, terms(routes, plan=Priced(1e9, max_cost=0.5)))
    assert step.route == "small"
    assert "more than max_cost" in step.reason


def test_escalation_buys_first_and_keeps_a_whole_answer(routes: tuple[Route, ...]) -> None:
    known = {"small": estimate("small", 0.9, 0.1), "full": estimate("full", 0.95, 9.0)}
    able = terms(routes, plan=Priced(1.0), escalate=True)
    assert isinstance(policy.next(QUERY, (), known, able), Buy)
    assert policy.next(QUERY, [attempt("small")], known, able) == Commit("small", "its answer is whole", bought=0)


def test_an_unfinished_answer_goes_to_a_dearer_route(routes: tuple[Route, ...]) -> None:
    known = {name: estimate(name, 0.5, 1.0) for name in NAMES} | {"full": estimate("full", 0.9, 2.0)}
    able = terms(routes, escalate=True)
    step = policy.next(QUERY, [attempt("small", finish=Finish.LENGTH)], known, able)
    assert step == Commit("full", "the answer of small was unfinished")
    last = [attempt("small", finish=Finish.LENGTH), attempt("full", finish=Finish.LENGTH)]
    assert policy.next(QUERY, last, known, able) == Commit("full", "no dearer route is left", bought=1)


def test_the_dearest_route_is_committed_to_at_once_under_escalation(routes: tuple[Route, ...]) -> None:
    known = {"full": estimate("full", 0.95, 0.0)}
    assert isinstance(policy.next(QUERY, (), known, terms(routes, escalate=True)), Commit)


shares = st.floats(0, 1)
costs = st.floats(0, 100)


@given(st.lists(st.tuples(shares, costs), min_size=3, max_size=3), st.floats(0, 1000), st.floats(0, 1000))
def test_a_dearer_error_never_buys_a_less_likely_answer(figures: list[tuple[float, float]], a: float, b: float) -> None:
    """As the price of an error rises, the chosen route's probability of being right never falls."""
    made = tuple(Route(n, "digits", "think", i, PRICE) for i, n in enumerate(NAMES))
    known = {n: estimate(n, p, c) for n, (p, c) in zip(NAMES, figures, strict=True)}
    low, high = sorted((a, b))
    at = [known[policy.next(QUERY, (), known, terms(made, plan=Priced(price))).route] for price in (low, high)]
    assert at[0].p_correct <= at[1].p_correct + 1e-6


@given(st.permutations(list(NAMES)))
def test_the_order_of_estimates_changes_nothing(order: list[str]) -> None:
    made = tuple(Route(n, "digits", "think", i, PRICE) for i, n in enumerate(NAMES))
    values = {"small": (0.5, 1.0), "budgeted": (0.8, 2.0), "full": (0.9, 3.0)}
    known = {n: estimate(n, *values[n]) for n in order}
    assert policy.next(QUERY, (), known, terms(made, plan=Priced(5.0))).route == "budgeted"
