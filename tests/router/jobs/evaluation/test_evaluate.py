"""Evaluation: held out strictly, and the same whatever order the table has."""

from __future__ import annotations

import random
from typing import Any

import pytest
from recorded import BUDGETS, FULL, SECOND, SMALL, Row, constellation, decisions, only, run, world

from pointsman.errors import DataError
from pointsman.router.jobs.evaluation.evaluate import Evaluation, plain

ROWS = world(300)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(ROWS, constellation(BUDGETS), resamples=20)


def apgrs(of: Evaluation) -> dict[str, float]:
    return {name: p["apgr"] for name, p in of.report["policies"].items() if p}


def test_duplicated_rows_and_the_order_of_rows_change_nothing(found: Evaluation) -> None:
    twice = [*ROWS, *ROWS]
    random.Random(0).shuffle(twice)
    again = run(twice, constellation(BUDGETS), resamples=20)
    assert again.report == found.report
    assert decisions(again) == decisions(found)


def test_the_order_of_routes_between_first_and_last_hardly_moves_apgr(found: Evaluation) -> None:
    small, second, b100, b300, full = BUDGETS
    other = apgrs(run(ROWS, constellation((small, b300, b100, second, full))))
    assert other == pytest.approx(apgrs(found), abs=0.01)


def test_the_order_of_probes_hardly_moves_apgr(found: Evaluation) -> None:
    other = apgrs(run(ROWS, constellation(BUDGETS, probes=("second", "small"))))
    assert other["pointsman"] == pytest.approx(apgrs(found)["pointsman"], abs=0.01)


def test_no_decision_depends_on_the_seed(found: Evaluation) -> None:
    other = run(ROWS, constellation(BUDGETS), resamples=20, seed=5)
    assert decisions(other) == decisions(found)
    assert apgrs(other) == apgrs(found)
    at = [e.report["policies"]["pointsman"]["at_loss"]["1.0"] for e in (found, other)]
    assert at[0]["ci95"] != at[1]["ci95"]
    assert at[0]["skill"] == pytest.approx(at[1]["skill"], abs=0.02)


def test_questions_that_were_trained_on_are_removed_from_the_test_and_counted() -> None:
    """The same prompt in other letters and blanks, under another name."""
    test = world(100, seed=1, first="t")
    seen = {r["query_id"] for r in test if r["query_id"] < "t0030"}
    repeats = [
        r | {"query_id": "z" + r["query_id"], "prompt": f"  {r['prompt'].upper()}\n"}
        for r in test
        if r["query_id"] in seen
    ]
    made = run(test, constellation(), [*ROWS, *repeats])
    assert made.report["n_removed"] == 30
    assert made.report["n_queries"] == 70
    assert not seen & {r["query_id"] for r in decisions(made)}
    with pytest.raises(DataError, match="stands in the training table") as caught:
        run(test, constellation(), test)
    assert caught.value.column == "prompt"


def test_repeats_of_a_held_out_question_are_removed_from_the_training_part() -> None:
    """A twin in another group whose labels tell the truth: the question's own decisions must not know of it."""
    twin = [
        r | {"query_id": "zz", "group": "g5", "prompt": r["prompt"].upper()} for r in ROWS if r["query_id"] == "q0000"
    ]
    lie = [r | {"correct": 1 - r["correct"]} for r in twin]
    rows = [only(decisions(run([*ROWS, *t], constellation())), "pointsman") for t in (twin, lie)]

    def of(query: str, made: list[Row]) -> list[Any]:
        return [(r["bought"], r["score"], r["p_correct"]) for r in made if r["query_id"] == query]

    # g0 (where the question is) is held out with its twin left out of training: everything in g0 is the same.
    held = {r["query_id"] for r in ROWS if r["group"] == "g0"}
    assert all(of(q, rows[0]) == of(q, rows[1]) for q in held)
    others = {r["query_id"] for r in ROWS if r["group"] == "g1"}
    assert any(of(q, rows[0]) != of(q, rows[1]) for q in others)
    assert all(len(made) for made in rows)


def test_every_question_is_tested_once_and_nothing_is_removed_in_folds(found: Evaluation) -> None:
    assert found.report["n_removed"] == 0
    assert found.report["n_queries"] == len({r["query_id"] for r in ROWS})
    assert found.report["groups"] == [f"g{i}" for i in range(6)]


def test_training_on_a_table_tests_on_the_other_alone() -> None:
    test = world(60, seed=1, first="t")
    made = run(test, constellation((SMALL, SECOND, FULL)), ROWS)
    assert {r["query_id"] for r in decisions(made)} == {r["query_id"] for r in test}
    other = run([r | {"group": "one"} for r in test], constellation((SMALL, SECOND, FULL)), ROWS)
    assert [r["score"] for r in decisions(made)] == [r["score"] for r in decisions(other)]


def test_a_training_part_of_one_group_is_held_out_by_questions_within() -> None:
    """Else no state would have a prediction that did not see its own group, and nothing would ever be routed."""
    test = world(150, seed=1, first="t")
    one = [r | {"group": "only"} for r in ROWS]
    made = run(test, constellation(), one)
    bought = {tuple(r["bought"]) for r in only(decisions(made), "pointsman")}
    assert {("small#0", "second#0"), ("small#0", "second#0", "full#0")} < bought
    assert [note for note in made.report["notes"] if "one group (only)" in note and "questions" in note]
    assert made.report["policies"]["pointsman"]["chosen"]["saved"] > 0.05
    assert not run(test, constellation(), ROWS).report["notes"]


def test_two_groups_teach_each_other() -> None:
    """With one of them held out the other stands alone in the training part."""
    rows = [r | {"group": f"g{i // 3 % 2}"} for i, r in enumerate(ROWS)]
    made = run(rows, constellation())
    assert len(made.report["notes"]) == 2
    assert len({tuple(r["bought"]) for r in only(decisions(made), "pointsman")}) > 2


@pytest.mark.parametrize("by", ["benchmark", "group"])
def test_one_fold_only_cannot_be_held_out(by: Any) -> None:
    rows = [r | {by: "one"} for r in ROWS[:60]]
    with pytest.raises(DataError, match="nothing can be held out") as caught:
        run(rows, constellation(hold_out_by=by))
    assert (caught.value.file, caught.value.column) == ("made.parquet", by)


def test_a_fold_whose_training_part_is_all_repeats_says_so() -> None:
    rows = [r | {"group": f"g{i // 3 % 2}", "prompt": "always the same"} for i, r in enumerate(ROWS[:60])]
    with pytest.raises(DataError, match="nothing is left to learn from") as caught:
        run(rows, constellation())
    assert caught.value.column == "prompt"


def test_figures_are_rounded_for_files() -> None:
    assert plain({"a": (0.12345678, 1), "b": [None, "x"]}) == {"a": [0.123457, 1], "b": [None, "x"]}
