"""The report: the names of the specification, and figures that follow from the table and the decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recorded import BUDGETS, SECOND, SMALL, Bill, constellation, decisions, mean, only, run, table, world

from pointsman.domain import Json
from pointsman.router.jobs.evaluation.evaluate import Evaluation
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.report import plain_points, stacked

ROWS = world(400)
ROUTES = constellation(BUDGETS)
POINT = {"accuracy", "cost", "output_tokens", "dear_share"}
ROUTE = {"accuracy", "input_tokens", "output_tokens", "cost"}
OURS = {"notes", "streamed", "plain"}
"""What a report holds beside the specification's keys."""


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(ROWS, ROUTES, resamples=50, controls=5)


@pytest.fixture(scope="module")
def report(found: Evaluation) -> Json:
    return found.report


def test_the_keys_are_those_of_the_specification(report: Json) -> None:
    head = {"constellation", "price", "objective", "n_queries", "n_removed", "groups", "seed", "artifact"}
    parts = {"routes", "best_fixed", "oracle", "repeatable_oracle", "policies", "controls", "calibration", "probes"}
    assert set(report) == head | parts | {"verdict"} | OURS
    assert all(set(route) == ROUTE for route in report["routes"].values())
    assert set(report["best_fixed"]) == ROUTE | {"name"}
    assert (
        {"pointsman", "text_only", "agreement"}
        <= set(report["policies"])
        <= {*("pointsman", "text_only", "agreement", "knn")}
    )
    for policy in report["policies"].values():
        assert set(policy) == {"apgr", "curve", "at_loss", "chosen"} | {"skill_mean", "plan", "apgr_probed"}
        assert set(policy["at_loss"]) == {"0.5", "1.0", "2.0"}
        assert all(set(loss) == {"saved", "mixing", "skill", "ci95"} for loss in policy["at_loss"].values())
        assert all(set(point) == POINT for point in policy["curve"])
        more = {"accuracy_delta", "ci95", "saved", "skill", "saved_against_last", "promised_loss"}
        assert set(policy["chosen"]) == POINT | more
    assert set(report["controls"]) == {"shuffled_labels", "random_features"}
    assert all(set(control) == {"mean", "sd", "p"} for control in report["controls"].values())
    assert all(set(state) == {"ece", "brier", "n"} for state in report["calibration"].values())
    assert all(set(probe) == {"bought_share", "cost"} for probe in report["probes"].values())
    assert {"verdict", "sentence", "recommended"} <= set(report["verdict"])
    assert report["artifact"] is None


def test_routes_cost_what_buying_them_for_everything_costs(report: Json) -> None:
    bill, ids = Bill(ROWS, ROUTES), sorted({r["query_id"] for r in ROWS})
    for name, route in report["routes"].items():
        right, inputs, outputs, cost = np.mean([bill.of(query, [name], name) for query in ids], axis=0)
        claimed = [route[key] for key in ("accuracy", "input_tokens", "output_tokens", "cost")]
        assert claimed == pytest.approx([right, inputs, outputs, cost])
    best = max(report["routes"], key=lambda n: report["routes"][n]["accuracy"])
    assert report["best_fixed"] == {"name": best, **report["routes"][best]}


def test_the_oracle_takes_the_cheapest_right_answer(report: Json) -> None:
    bill, names = Bill(ROWS, ROUTES), [r.name for r in BUDGETS]
    best = []
    for query in sorted({r["query_id"] for r in ROWS}):
        ends = [bill.of(query, [name], name) for name in names]
        best.append(min((-end[0], end[3]) for end in ends))
    right, cost = np.mean(best, axis=0)
    assert report["oracle"] == {"accuracy": pytest.approx(-right), "cost": pytest.approx(cost)}


def test_the_chosen_point_and_the_curve_follow_from_the_decisions(found: Evaluation, report: Json) -> None:
    made = decisions(found)
    best = report["best_fixed"]
    for name in ("pointsman", "text_only", "agreement"):
        rows, chosen = only(made, name, chosen=True), report["policies"][name]["chosen"]
        assert chosen["accuracy"] == pytest.approx(mean(rows, "correct"))
        assert chosen["cost"] == pytest.approx(mean(rows, "cost"))
        assert chosen["output_tokens"] == pytest.approx(mean(rows, "output_tokens"))
        assert chosen["dear_share"] == pytest.approx(np.mean(["full#0" in r["bought"] for r in rows]))
        assert chosen["accuracy_delta"] == pytest.approx(mean(rows, "correct") - best["accuracy"])
        assert chosen["saved"] == pytest.approx(1 - mean(rows, "cost") / best["cost"])
        assert chosen["saved_against_last"] == pytest.approx(1 - mean(rows, "cost") / report["routes"]["full"]["cost"])
        assert chosen["promised_loss"] == pytest.approx(mean(rows, "p_best_fixed") - mean(rows, "p_correct"))
        low, high = chosen["ci95"]
        assert low <= chosen["accuracy_delta"] <= high
    for k, point in enumerate(report["policies"]["pointsman"]["curve"]):
        rows = [r for r in made if r["point"] == k]
        assert (point["accuracy"], point["cost"]) == pytest.approx((mean(rows, "correct"), mean(rows, "cost")))


def test_the_agreement_rule_is_no_better_than_mixing_which_holds_it(report: Json) -> None:
    """Skill is what is left above the best mix, in which the plain rule is one of the points."""
    assert report["policies"]["agreement"]["chosen"]["skill"] < 1e-9
    assert report["policies"]["agreement"]["chosen"]["saved"] > 0.1


def test_promises_are_kept_on_average(report: Json) -> None:
    chosen = report["policies"]["pointsman"]["chosen"]
    assert chosen["promised_loss"] == pytest.approx(-chosen["accuracy_delta"], abs=0.03)


def test_probes_and_calibration_follow_from_the_chosen_rows(found: Evaluation, report: Json) -> None:
    rows = only(decisions(found), "pointsman", chosen=True)
    bill = Bill(ROWS, ROUTES)
    for name in ("small", "second"):
        bought = [r for r in rows if f"{name}#0" in r["bought"]]
        cost = sum(bill.of(r["query_id"], [name], name)[3] for r in bought) / len(rows)
        assert report["probes"][name] == {
            "bought_share": pytest.approx(len(bought) / len(rows)),
            "cost": pytest.approx(cost),
        }
    assert all(state["n"] >= 20 for state in report["calibration"].values())
    state = [r for r in rows if r["bought"] == ["small#0", "second#0"] and r["answered_by"] == "small#0"]
    brier = np.mean([(r["p_correct"] - r["correct"]) ** 2 for r in state])
    assert report["calibration"]["small > second = small"]["brier"] == pytest.approx(brier)
    assert sum(state["n"] for state in report["calibration"].values()) > 0.8 * len(rows)


def test_where_calls_are_the_cost_there_are_no_costs() -> None:
    rows = [r | {"output_tokens": None} if r["model"] == "m-full" else r for r in ROWS]
    made = run(rows, constellation(cost="calls"), resamples=20).report
    assert all(route["cost"] is None and route["output_tokens"] is None for route in made["routes"].values())
    for policy in made["policies"].values():
        chosen = policy["chosen"]
        assert chosen["saved"] is chosen["skill"] is chosen["saved_against_last"] is chosen["cost"] is None
        assert policy["at_loss"] == {"0.5": None, "1.0": None, "2.0": None}
        assert 0 <= chosen["dear_share"] <= 1
        assert all(point["cost"] is None for point in policy["curve"])
    assert made["oracle"]["cost"] is None
    assert made["policies"]["pointsman"]["apgr"] > 0.7


@pytest.mark.parametrize(
    ("routes", "best", "behind"), [(BUDGETS, "b300", ("full", "b300")), ((SMALL, SECOND), "second", ("second",))]
)
def test_what_needs_no_learning_is_every_route_the_agreement_rules_and_silence(
    routes: Any, best: str, behind: tuple[str, ...]
) -> None:
    """The best route first. Behind the probes stand the last route and the best one, whole, or nothing where it is a
    probe itself (the scorer's definition, which charges a budget's fallback again)."""
    kinds = constellation(routes)
    bill, ids = Bill(ROWS, kinds), sorted({r["query_id"] for r in ROWS})
    points = plain_points(read_recording(table(ROWS), kinds), best)
    found = stacked(points)
    answers: dict[str, list[str]] = {}
    for r in ROWS:
        if r["model"] != "m-full":
            answers.setdefault(r["query_id"], []).append(r["answer"])
    names = [best, *(r.name for r in routes if r.name != best)]
    want = [[bill.of(q, [name], name) for q in ids] for name in names]
    for name in behind:
        rule = []
        for q in ids:
            probes, last = sum(bill.of(q, [p], p)[3] for p in ("small", "second")), bill.of(q, [name], name)
            same = len(set(answers[q])) == 1
            right = bill.of(q, ["small"], "small")[0] if same else last[0]
            rule.append((right, 0, 0, probes + (0 if same or name == "second" else last[3])))
        want.append(rule)
    want.append([(0.0, 0, 0, 0.0)] * len(ids))
    assert found.correct == pytest.approx(np.array([[end[0] for end in point] for point in want]))
    assert found.cost == pytest.approx(np.array([[end[3] for end in point] for point in want]))
    assert found.accuracy == found.correct[0].mean()
    rules = [f"probes agree, else {name}" for name in behind]
    assert [point.name for point in points] == [*names, *rules, "no answer"]
    last = routes[-1].name
    for point in points:
        bought = {last: 1.0, f"probes agree, else {last}": float(np.mean([len({*a}) > 1 for a in answers.values()]))}
        assert point.dear_share == pytest.approx(
            1.0 if last == "second" and point.name in rules else bought.get(point.name, 0.0)
        )
