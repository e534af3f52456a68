"""The policies against each other: what they pay is what their purchases cost, and none sees what it did not buy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from recorded import (
    BUDGETS,
    SECOND,
    SMALL,
    Bill,
    Row,
    constellation,
    decisions,
    moved,
    only,
    permuted,
    purchases,
    run,
    table,
    world,
)

from pointsman.classifiers import load_embedder
from pointsman.domain import Objective, ObjectiveKind
from pointsman.errors import BadRequest
from pointsman.router.jobs.evaluation.contest import POINTS, Rules, contest, error_prices
from pointsman.router.jobs.evaluation.reading import read_recording

TRAIN, TEST = world(), world(300, seed=1, first="t")
CUT = constellation(BUDGETS)


@pytest.fixture(scope="module")
def found() -> list[Row]:
    """All that was decided on the test table, budgets among the routes."""
    return decisions(run(TEST, CUT, TRAIN))


def test_every_decision_costs_what_its_purchases_cost(found: list[Row]) -> None:
    """Correctness, tokens and cost follow from `bought` and `answered_by` alone, at every point of every policy."""
    bill = Bill(TEST, CUT)
    for r in found:
        claimed = r["correct"], r["input_tokens"], r["output_tokens"], r["cost"]
        assert claimed == pytest.approx(bill.of(r["query_id"], r["bought"], r["answered_by"])), r
    kinds = Counter(tuple(r["bought"]) for r in found)
    assert any("b100#0" in kind and "full#0" in kind for kind in kinds), "a thought was continued somewhere"
    assert {"small#0", "b100#0", "b300#0", "full#0"} <= {r["answered_by"] for r in found}


@pytest.mark.parametrize(("routes", "best"), [(BUDGETS, "b300"), ((SMALL, SECOND), "second")])
def test_the_agreement_rule_pays_a_fallback_that_is_a_probe_once(routes: Any, best: str) -> None:
    """The best fixed route may be a probe itself, or a budget that falls back to one."""
    rows = [r | {"correct": 0.0} if r["model"] == "m-full" and r["output_tokens"] > 300 else r for r in TRAIN]
    found = run(rows, constellation(routes))
    assert found.report["best_fixed"]["name"] == best
    done, bill = only(decisions(found), "agreement"), Bill(rows, constellation(routes))
    assert {r["answered_by"] for r in done} == {"small#0", f"{best}#0"}
    for r in done:
        claimed = r["correct"], r["input_tokens"], r["output_tokens"], r["cost"]
        assert claimed == pytest.approx(bill.of(r["query_id"], r["bought"], r["answered_by"])), r


def test_a_signal_in_the_answers_is_used_and_saves(found: list[Row]) -> None:
    chosen = only(found, "pointsman", chosen=True)
    kinds = Counter(tuple(r["bought"]) for r in chosen)
    assert 0.4 < kinds["small#0", "second#0"] / len(chosen) < 0.8
    assert max(len(r["bought"]) for r in chosen) > 2


def test_the_curve_ends_at_the_best_fixed_route_with_the_same_prices_everywhere(found: list[Row]) -> None:
    points = {r["point"] for r in only(found, "pointsman")} - {None}
    assert points == set(range(POINTS + 1))
    assert all(r["bought"] == ["full#0"] for r in found if r["point"] == POINTS)
    train, test = (read_recording(table(rows), CUT) for rows in (TRAIN, TEST))
    assert error_prices(train) == error_prices(test)
    assert list(error_prices(train)) == sorted(error_prices(train))


def test_scores_are_one_for_a_question_and_probabilities_are_such(found: list[Row]) -> None:
    ours = only(found, "pointsman")
    assert len({(r["query_id"], r["score"]) for r in ours}) == len(TEST) / 3
    assert all(0 <= r[name] <= 1 for r in found for name in ("score", "p_correct", "p_best_fixed"))
    assert np.std([r["p_correct"] for r in only(found, "pointsman", chosen=True)]) > 0.01


# --- no leak


@pytest.mark.parametrize("estimator", ["ridge", "classes"])
def test_labels_of_the_test_table_move_no_decision(estimator: str) -> None:
    """Permuted they keep their mean, turned round they do not."""
    before = decisions(run(TEST, CUT, TRAIN, estimator=estimator))
    for spoilt in (permuted(TEST, ["correct"], lambda r: True), [r | {"correct": 1 - r["correct"]} for r in TEST]):
        after = decisions(run(spoilt, CUT, TRAIN, estimator=estimator))
        for policy in ("pointsman", "text_only", "agreement"):
            assert moved(only(before, policy), only(after, policy)) == set()


def test_labels_of_a_held_out_group_move_none_of_its_decisions() -> None:
    before = only(decisions(run(TRAIN, constellation())), "pointsman")
    spoilt = permuted(TRAIN, ["correct"], lambda r: r["group"] == "g3")
    after = only(decisions(run(spoilt, constellation())), "pointsman")
    held = {r["query_id"] for r in TRAIN if r["group"] == "g3"}
    differ = moved(before, after)
    assert not differ & held
    assert differ, "others learn from that group"


def unbought(rows: list[Row], chosen: list[Row]) -> list[Row]:
    """The rows with answers, tokens and labels of all that was not bought permuted."""
    known = purchases(chosen, CUT)
    columns = ["answer", "input_tokens", "output_tokens", "confidence_verbal", "correct"]
    return permuted(rows, columns, lambda r: (r["query_id"], r["model"], r["sample"]) not in known)


SIGNED = [r | {"confidence_verbal": 7919 * i % 100 / 100} for i, r in enumerate(TRAIN)]
SIGNED_TEST = [r | {"confidence_verbal": 7919 * i % 100 / 100} for i, r in enumerate(TEST)]


def test_what_was_not_bought_moves_no_decision() -> None:
    """Where the probes are bought everywhere, nothing that was decided moves, the score neither."""
    chosen = only(decisions(run(SIGNED_TEST, CUT, SIGNED)), "pointsman", chosen=True)
    spoilt = unbought(SIGNED_TEST, chosen)
    assert spoilt != SIGNED_TEST
    after = only(decisions(run(spoilt, CUT, SIGNED)), "pointsman", chosen=True)
    assert moved(chosen, after) == set()


@pytest.mark.parametrize("plan", ["max_cost", "ladder=none", "dear"])
def test_what_was_not_bought_moves_no_decision_where_probes_were_not_bought(plan: str) -> None:
    """The score is made of the probes' answers, bought or not (the scorer's definition); all else stays."""
    how: dict[str, Any] = {
        "max_cost": {"objective": Objective(ObjectiveKind.MAX_COST, 6.0)},
        "ladder=none": {"ladder": "none"},
        "dear": {"objective": Objective(ObjectiveKind.WILLINGNESS_TO_PAY, 310.0)},
    }[plan]
    chosen = only(decisions(run(TEST, CUT, TRAIN, **how)), "pointsman", chosen=True)
    after = only(decisions(run(unbought(TEST, chosen), CUT, TRAIN, **how)), "pointsman", chosen=True)
    blind = [[r | {"score": 0.0} for r in rows] for rows in (chosen, after)]
    assert moved(*blind) == set()
    if plan == "ladder=none":
        assert moved(chosen, after) == set()


def cheat(rows: list[Row], sees: str) -> list[Row]:
    """A policy that reads what it may not: the label of an answer, or whether full, which it did not buy, agrees."""
    by_query: dict[str, dict[str, Row]] = {}
    for r in rows:
        by_query.setdefault(r["query_id"], {})[r["model"]] = r
    made = []
    for query, of in by_query.items():
        small, full = of["m-small"], of["m-full"]
        sure = small["correct"] > 0.5 if sees == "labels" else small["answer"] == full["answer"]
        bought, by = (["small#0"], "small#0") if sure else (["small#0", "full#0"], "full#0")
        made.append(
            {"query_id": query, "policy": "pointsman", "point": None, "bought": bought, "answered_by": by}
            | {"score": float(sure), "p_correct": 0.9, "p_best_fixed": 0.9}
        )
    return made


def test_the_same_checks_catch_a_policy_that_cheats() -> None:
    spoilt = permuted(TEST, ["correct"], lambda r: True)
    assert moved(cheat(TEST, "labels"), cheat(spoilt, "labels"))
    assert not moved(cheat(TEST, "answers"), cheat(spoilt, "answers"))
    peeked = cheat(TEST, "answers")
    assert moved(peeked, cheat(unbought(TEST, peeked), "answers"))


# --- ways to hold a contest


def test_a_ladder_of_named_routes_buys_nothing_else() -> None:
    made = only(decisions(run(TEST, constellation(), TRAIN, ladder="second, full")), "pointsman")
    assert {b for r in made for b in r["bought"]} == {"second#0", "full#0"}


def test_what_may_not_be_bought_is_no_plan_either() -> None:
    """The plain agreement rule would be the plan here; who may not buy its probes goes without."""
    named = only(decisions(run(TEST, constellation(), TRAIN, ladder="small,full")), "pointsman", chosen=True)
    assert {b for r in named for b in r["bought"]} <= {"small#0", "full#0"}
    text = only(decisions(run(TEST, constellation(), TRAIN)), "text_only", chosen=True)
    assert {len(r["bought"]) for r in text} == {1}


def test_budgets_alone_do_not_sell_the_whole_thought() -> None:
    """`small,b300` may cut the thought at 300 tokens, not think it to its end; the best fixed route ends the curve."""
    made = only(decisions(run(TEST, CUT, TRAIN, ladder="small,b300")), "pointsman")
    rungs = [r for r in made if r["point"] not in (None, POINTS)]
    assert {b for r in rungs for b in r["bought"]} == {"small#0", "b300#0"}
    bill = Bill(TEST, CUT)
    for r in rungs:
        claimed = r["correct"], r["input_tokens"], r["output_tokens"], r["cost"]
        assert claimed == pytest.approx(bill.of(r["query_id"], r["bought"], r["answered_by"])), r


def test_who_streams_gets_nothing_behind_the_answer_that_came() -> None:
    """Elsewhere an earlier answer is given after full's was bought; while it streams a cut thought alone has something
    behind it: what stands in for it."""
    free, bound = (only(decisions(run(TEST, CUT, TRAIN, streamed=s)), "pointsman") for s in (False, True))
    assert any(r["bought"][-1] == "full#0" and r["answered_by"] != "full#0" for r in free)
    assert {r["answered_by"] for r in bound if "full#0" in r["bought"]} == {"full#0"}
    thought = {"b100#0", "b300#0", "full#0"}
    begun = [(r, min(i for i, b in enumerate(r["bought"]) if b in thought)) for r in bound if thought & {*r["bought"]}]
    assert begun
    assert all({*r["bought"][first:], r["answered_by"]} <= thought | {"small#0"} for r, first in begun)
    bill = Bill(TEST, CUT)
    for r in bound:
        claimed = r["correct"], r["input_tokens"], r["output_tokens"], r["cost"]
        assert claimed == pytest.approx(bill.of(r["query_id"], r["bought"], r["answered_by"])), r


def test_a_probe_that_streams_is_in_no_plain_rule() -> None:
    """Second is the best fixed route here, and full right just where second is not: the rule would be best of all. But
    who sees second's answer as it comes cannot be given another. (Too few questions for a ladder.)"""
    known = {r["query_id"]: r["correct"] for r in TRAIN if r["model"] == "m-second"}
    rows = [r | {"correct": 1 - known[r["query_id"]]} if r["model"] == "m-full" else r for r in TRAIN[:150]]
    wanted = Objective(ObjectiveKind.MAX_COST, 1e9)
    routes = constellation(hold_out_by="query")
    found = [run(TEST, routes, rows, streamed=streams, objective=wanted) for streams in (False, True)]
    plans = [each.report["policies"]["pointsman"]["plan"] for each in found]
    assert "agree" in plans[0]
    assert "agree" not in plans[1]


def test_no_ladder_commits_on_the_text_with_one_purchase() -> None:
    found = decisions(run(TEST, constellation(), TRAIN, ladder="none"))
    ours, text = only(found, "pointsman"), only(found, "text_only")
    assert all(len(r["bought"]) == 1 for r in ours)
    assert {(r["query_id"], r["score"]) for r in ours} == {(r["query_id"], r["score"]) for r in text}


def test_an_unknown_route_of_a_ladder_is_named() -> None:
    with pytest.raises(BadRequest, match="'none-such'"):
        run(TEST, constellation(), TRAIN, ladder="small,none-such")


def test_neighbours_of_the_text_stand_beside_where_wanted() -> None:
    """Routing on an embedding's neighbours has points of its own and one purchase a question."""
    train, test = (read_recording(table(rows), constellation()) for rows in (TRAIN, TEST))
    entry = contest(train, test, Rules(Objective()), load_embedder("static"))["knn"]
    assert entry is not None
    assert entry.curve is not None
    assert {path.bought for path in entry.curve.paths} <= {("small",), ("second",), ("full",)}
    assert len(entry.score) == len(test)


def test_agreement_stands_only_where_probes_can_agree() -> None:
    for routes in (constellation(probes=("small",)), constellation(answers_comparable=False)):
        assert run(TEST, routes, TRAIN).entries["agreement"] is None


def test_states_that_few_questions_reach_promise_the_usual_and_go_on_as_the_best_route() -> None:
    """Fewer training questions than any fit needs: everything goes down the best route, at its mean probability."""
    few = [r for r in TRAIN if r["query_id"] < "q0050"]
    made = [r for r in decisions(run(TEST, constellation(), few)) if r["policy"] == "pointsman" and r["point"] == 3]
    assert {tuple(r["bought"]) for r in made} == {("full#0",)}
    right = np.mean([r["correct"] for r in few if r["model"] == "m-full"])
    assert {round(r["p_correct"], 9) for r in made} == {round(float(right), 9)}
    assert {r["p_best_fixed"] for r in made} == {r["p_correct"] for r in made}


def test_calls_are_counted_where_tokens_are_not() -> None:
    rows = [r | {"output_tokens": None, "input_tokens": None} if r["model"] == "m-full" else r for r in TRAIN]
    found = run(rows, constellation(cost="calls"))
    assert all(r["cost"] is None and r["output_tokens"] is None for r in decisions(found))
    point = found.report["policies"]["pointsman"]["chosen"]
    assert point["cost"] is None
    assert 0 < point["dear_share"] < 1
