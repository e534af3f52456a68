"""The policy is a pure function: every rule of it, and what must hold whatever the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laddered import ROUTES, climbing, failed, said, unfitted

from pointsman.domain import Attempt, Enforcement, Estimate, Finish, Price, Purpose, Query, Route, Usage
from pointsman.errors import BackendUnavailable
from pointsman.router import policy
from pointsman.router.objectives import Climbing, Fixed, Priced
from pointsman.router.policy import Buy, Commit, Terms
from pointsman.router.swapping import Load

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


@pytest.mark.parametrize(("thought", "kept", "cut"), [(17, 0, True), (19, 0, True), (7, 10, True), (16, 0, False)])
def test_a_thought_that_came_to_its_budget_is_unfinished_where_the_owner_says_so(
    routes: tuple[Route, ...], thought: int, kept: int, cut: bool
) -> None:
    answered = replace(attempt("budgeted"), usage=Usage(10, 0, thought, 1), kept=kept, thinking_budget=17)
    wanted = terms(routes, escalate=True, cut_thoughts=True)
    whole = Commit("budgeted", "its answer is whole", bought=0)
    step = policy.next(QUERY, [answered], {}, wanted)
    assert step == (Commit("full", "the thought of budgeted was cut") if cut else whole)
    assert policy.next(QUERY, [answered], {}, terms(routes, escalate=True)) == whole
    without = replace(answered, thinking_budget=None), replace(answered, thinking_budget=0)
    assert all(policy.next(QUERY, [one], {}, wanted) == whole for one in without)


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


LADDER = Terms(ROUTES, Climbing(1), "dear", climb=climbing())


def test_a_ladder_buys_evidence_and_the_reason_says_so() -> None:
    step = policy.next(QUERY, (), {}, LADDER)
    assert step == Buy("cheap", "cheap's answer is worth its price as evidence")


def test_a_sure_answer_is_committed_to_with_its_odds() -> None:
    step = policy.next(QUERY, [said("cheap", sure=0.95)], {}, LADDER)
    assert isinstance(step, Commit)
    assert (step.route, step.bought) == ("cheap", 0)
    assert step.reason == "cheap has answered: 95% likely right, dear 90%"
    assert step.confidence == pytest.approx(0.95)


def test_one_that_is_not_sure_leads_to_a_commitment_that_streams() -> None:
    step = policy.next(QUERY, [said("cheap", sure=0.6)], {}, LADDER)
    assert isinstance(step, Commit)
    assert (step.route, step.bought, step.reason) == ("dear", None, "cheap has answered: dear answers")
    assert step.confidence == pytest.approx(0.9)


def test_what_failed_is_named_beside_what_was_shown() -> None:
    step = policy.next(QUERY, [failed("cheap")], {}, LADDER)
    assert (step.route, step.reason) == ("dear", "no evidence is worth its price; cheap failed")
    after = policy.next(QUERY, [said("cheap", sure=0.6), failed("dear")], {}, LADDER)
    assert isinstance(after, Commit)
    assert (after.bought, after.reason) == (0, "cheap has answered: 60% likely right, dear 90%; dear failed")
    with pytest.raises(BackendUnavailable):
        policy.next(QUERY, [failed("cheap"), failed("dear")], {}, LADDER)


THREE = ("small", "second", "full")
UNFITTED = Terms(
    tuple(Route(n, n, "direct", 0, PRICE) for n in THREE), Climbing(0), "full", climb=climbing(unfitted(THREE, "full"))
)


def test_where_the_ladder_was_taught_by_nothing_like_this_the_safe_route_answers() -> None:
    nothing = policy.next(QUERY, (), {}, UNFITTED)
    reason = "little evidence (no question like this was learnt from): the safe route answers"
    assert nothing == Commit("full", reason, little=True)
    both = [said("small", "7"), said("second", "7")]
    reason = "little evidence (small and second agree): the safe route answers"
    assert policy.next(QUERY, both, {}, UNFITTED) == Commit("full", reason, little=True)
    both[1] = said("second", "8")
    assert policy.next(QUERY, both, {}, UNFITTED).reason == reason.replace("agree", "differ")


def test_of_a_text_unlike_all_that_was_learnt_from_nothing_is_estimated() -> None:
    """Where the text decides; a plan of one route for everything, or a wish, rests on no estimate of this query."""
    priced = Terms(ROUTES, Priced(30.0), "dear", beyond=True)
    estimates = {r.name: Estimate(r.name, 0.9, 0.0, 10.0, 5.0, 0.0, 1.0 + (r.name == "dear"), 0.0) for r in ROUTES}
    assert policy.next(QUERY, (), estimates, replace(priced, beyond=False)).route == "cheap"
    step = policy.next(QUERY, (), estimates, priced)
    reason = "little evidence (no text like this was learnt from): the safe route answers"
    assert step == Commit("dear", reason, little=True)
    fixed = replace(priced, plan=Fixed("cheap", "the one route"))
    assert policy.next(QUERY, (), estimates, fixed) == Commit("cheap", "the one route")
    assert policy.next(QUERY, (), estimates, replace(priced, wished="cheap")).route == "cheap"


def test_what_was_not_measured_is_said_not_to_be() -> None:
    known = Estimate("dear", 0.3, 0.0, 10.0, 5.0, 0.0, 2.0, 0.0)
    conventional = Estimate("cheap", 0.9, 0.0, 10.0, 5.0, 0.0, 1.0, 0.0, measured=False)
    step = policy.next(QUERY, (), {"cheap": conventional, "dear": known}, Terms(ROUTES, Priced(30.0), "dear"))
    assert step == Commit("cheap", "the route for texts like this; how likely it is right was not measured")
    likely = replace(conventional, cost=30.0)
    other = policy.next(QUERY, (), {"cheap": likely, "dear": known}, Terms(ROUTES, Priced(30.0), "dear"))
    assert other == Commit("dear", "30% likely right"), "compared with nothing that nobody measured"


def test_a_cut_answer_whose_route_failed_when_asked_anew_leaves_the_others() -> None:
    """It can neither be given nor gone on with: what can still serve is asked, also where the best routes cannot."""
    cut = said("small", finish=Finish.LENGTH)
    left = replace(UNFITTED, routes=tuple(r for r in UNFITTED.routes if r.name != "full"))
    step = policy.next(QUERY, [cut, failed("small")], {}, left)
    assert step.route == "second"
    answered = policy.next(QUERY, [cut, failed("small"), said("second")], {}, left)
    assert isinstance(answered, Commit)
    assert (answered.route, answered.bought) == ("second", 2)
    plain = replace(left, climb=None, escalate=True)
    assert policy.next(QUERY, [cut, failed("small")], {}, plain).route == "second"


def test_the_safe_route_is_the_owners_not_the_best_fixed_one() -> None:
    """And its answer, if it was bought already, is not bought again."""
    safe = replace(UNFITTED, safe_route="second")
    assert policy.next(QUERY, (), {}, safe).route == "second"
    bought = policy.next(QUERY, [said("small"), said("second")], {}, safe)
    assert isinstance(bought, Commit)
    assert (bought.route, bought.bought) == ("second", 1)
    cut = policy.next(QUERY, [said("second", finish=Finish.LENGTH)], {}, safe)
    assert isinstance(cut, Commit)
    assert (cut.route, cut.bought, cut.resume) == ("second", 0, True), "it is gone on with"
    lost = policy.next(QUERY, [failed("second")], {}, safe)
    assert (lost.route, lost.reason) == ("full", "the safe route cannot serve this query: the dearest that can answers")


def test_a_wish_and_observe_go_before_the_ladder() -> None:
    assert policy.next(QUERY, (), {}, replace(LADDER, wished="dear")) == Commit("dear", "asked for")
    assert policy.next(QUERY, (), {}, replace(LADDER, fixed="dear")).reason == "observe: dear answers everything"


def test_where_the_ladder_has_nothing_to_say_what_was_bought_is_all_there_is() -> None:
    """Cut off, and the dear route cannot serve: half an answer is better than none."""
    half = said("cheap", "half an ans", sure=0.99, finish=Finish.LENGTH)
    step = policy.next(QUERY, [half], {}, replace(LADDER, routes=ROUTES[:1]))
    assert step == Commit("cheap", "no dearer route is left", bought=0)


def test_a_plan_to_climb_without_a_ladder_is_the_safe_route() -> None:
    known = {"cheap": estimate("cheap", 0.9, 1.0), "dear": estimate("dear", 0.9, 2.0)}
    step = policy.next(QUERY, (), known, replace(LADDER, climb=None))
    assert step == Commit("dear", "the ladder has no rung left: the safe route answers")


@given(st.lists(st.floats(0, 1), max_size=2), st.sampled_from([0, 1]), st.sampled_from(["ok", "cut", "failed"]))
def test_climbing_ends_and_commits_only_to_what_is_there_or_can_serve(
    sureness: list[float], price: int, how: str
) -> None:
    """Whatever the answers: each route is bought once at most, and what is given is whole."""
    answers = dict(zip(("cheap", "dear"), [*sureness, 0.5, 0.5], strict=False))
    evidence: list[Attempt] = []
    at = replace(LADDER, climb=climbing(price=price))
    while isinstance(step := policy.next(QUERY, evidence, {}, at), Buy):
        assert step.route not in {a.route for a in evidence}
        finish = Finish.LENGTH if how == "cut" else Finish.STOP
        came = said(step.route, sure=answers[step.route], finish=finish)
        evidence.append(failed(step.route) if how == "failed" else came)
    if step.bought is None:
        assert step.route not in {a.route for a in evidence}
    else:
        assert evidence[step.bought].route == step.route
        assert evidence[step.bought].finish is Finish.STOP


def test_after_a_complaint_the_likeliest_route_answers(routes: tuple[Route, ...]) -> None:
    """Whatever it costs, and whatever evidence would say: the cheap answer was given already."""
    known = {"small": estimate("small", 0.8, 1.0), "full": estimate("full", 0.9, 1000.0)}
    assert policy.next(QUERY, (), known, terms(routes)).route == "small"
    complained = terms(routes, complaint=True)
    step = policy.next(QUERY, (), known, complained)
    assert step == Commit("full", "the caller says that the last answer was wrong: the likeliest answers")
    assert policy.next(QUERY, (), known, replace(complained, wished="small")).route == "small"
    assert policy.next(QUERY, (), {}, replace(complained, plan=None)).route == "full"


def test_after_a_complaint_no_evidence_is_bought() -> None:
    """The answer that would be bought is the one that was complained of."""
    known = {"cheap": estimate("cheap", 0.8, 1.0), "dear": estimate("dear", 0.9, 100.0)}
    climbing_terms = Terms(routes=ROUTES, plan=Climbing(1), safe_route="dear", climb=climbing())
    assert isinstance(policy.next(QUERY, (), known, climbing_terms), Buy)
    step = policy.next(QUERY, (), known, replace(climbing_terms, complaint=True))
    assert isinstance(step, Commit)
    assert step.route == "dear"


TWO = (Route("cheap", "a", "direct", 0, PRICE), Route("dear", "b", "think", None, PRICE))
KNOWN = {"cheap": estimate("cheap", 0.5, 1.0), "dear": estimate("dear", 0.9, 3.0)}


def test_the_router_stays_with_what_is_loaded_unless_the_load_pays() -> None:
    """dear is worth 2 more at this price of an error: it is loaded for less than that, and not for more; the reason
    says so, and what was missed is told."""
    assert policy.next(QUERY, (), KNOWN, terms(TWO)).route == "dear"
    stays = policy.next(QUERY, (), KNOWN, terms(TWO, loads={"dear": Load("b", 12.0, 2.5)}))
    assert stays == Commit(
        "cheap", "50% likely right, dear 90%, at 33% of its cost; stays with a: loading b takes 12 s"
    )
    assert stays.gains == pytest.approx({"b": 2.0})
    swaps = policy.next(QUERY, (), KNOWN, terms(TWO, loads={"dear": Load("b", 12.0, 1.5)}))
    assert swaps == Commit("dear", "likeliest to be right (90%); loading b takes 12 s")
    paid = policy.next(QUERY, (), KNOWN, terms(TWO, loads={"dear": Load("b", 12.0, 2.5, forgone=1.0)}))
    assert paid.route == "dear", "others have missed it as well"


def test_what_was_missed_is_told_too_where_another_route_failed_or_the_answer_may_be_followed() -> None:
    three = (*TWO, Route("third", "a", "think", None, PRICE))
    loads = {"dear": Load("b", 12.0, 2.5)}
    after = policy.next(QUERY, [attempt("third", error="refused")], KNOWN, terms(three, loads=loads))
    assert (after.route, after.gains) == ("cheap", pytest.approx({"b": 2.0}))
    withheld = policy.next(QUERY, (), KNOWN, terms(TWO, loads=loads, escalate=True))
    assert isinstance(withheld, Buy)
    assert withheld.gains == pytest.approx({"b": 2.0})


def test_a_load_that_changes_nothing_is_not_spoken_of() -> None:
    step = policy.next(QUERY, (), KNOWN, terms(TWO, plan=Priced(0.1), loads={"dear": Load("b", 12.0, 2.5)}))
    assert step.reason == "50% likely right, dear 90%, at 33% of its cost"
    assert step.gains == pytest.approx({"b": -1.96})


def test_where_every_model_would_have_to_be_loaded_the_loads_are_compared() -> None:
    both = {"cheap": Load("a", 1.0, 0.1), "dear": Load("b", 12.0, 2.5)}
    step = policy.next(QUERY, (), KNOWN, terms(TWO, loads=both))
    assert (step.route, step.gains) == ("cheap", {})
    assert step.reason.endswith("; loading a takes 1.0 s")


def test_a_limit_on_the_cost_of_a_query_holds_for_its_load_too() -> None:
    """Whole: that others have forgone something makes it no cheaper. Nor is the price of an error there one by which
    anything is missed."""
    limited = terms(TWO, plan=Priced(1e6, max_cost=4.0))
    within = policy.next(QUERY, (), KNOWN, replace(limited, loads={"dear": Load("b", 12.0, 1.0)}))
    assert (within.route, within.gains) == ("dear", {})
    above = policy.next(QUERY, (), KNOWN, replace(limited, loads={"dear": Load("b", 12.0, 2.0, forgone=2.0)}))
    assert (above.route, above.gains) == ("cheap", {})
    assert above.reason.endswith("stays with a: loading b takes 12 s")


@pytest.mark.parametrize("changes", [{"wished": "dear"}, {"plan": Fixed("dear", "why")}, {"fixed": "dear"}])
def test_what_is_asked_for_is_obeyed_whatever_has_to_be_loaded(changes: dict[str, object]) -> None:
    loads = {"dear": Load("b", 1e6, 1e6)}
    assert policy.next(QUERY, (), KNOWN, terms(TWO, loads=loads, **changes)).route == "dear"
    assert policy.next(QUERY, (), KNOWN, terms(TWO, loads=loads, complaint=True)).route == "dear"
    assert policy.next(QUERY, (), {}, terms(TWO, loads=loads, plan=None, safe_route="dear")).route == "dear"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 10)), min_size=2, max_size=2),
    st.floats(0, 20),
    st.floats(0, 20),
    st.floats(0, 20),
)
def test_a_load_never_makes_its_route_more_attractive(
    known: list[tuple[float, float]], price: float, cost: float, forgone: float
) -> None:
    """And what is left to gain by it never depends on what it costs."""
    told = {name: estimate(name, *one) for name, one in zip(("cheap", "dear"), known, strict=True)}
    free = policy.next(QUERY, (), told, terms(TWO, plan=Priced(price)))
    load = Load("b", 1.0, cost, forgone)
    charged = policy.next(QUERY, (), told, terms(TWO, plan=Priced(price), loads={"dear": load}))
    assert not (free.route == "cheap" and charged.route == "dear")
    assert (charged.route == "dear") <= (charged.gains["b"] >= load.charge - 1e-9)
    assert (charged.route == "cheap") <= (charged.gains["b"] <= load.charge + 1e-9)
