"""What evidence is worth: signs that tell are found, those that do not stand at one half, costs are shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pointsman.domain import Json
from pointsman.router.jobs.probe_worth import MIN_QUESTIONS, worths


def run(i: int, route: str, *, right: bool, cost: float, sample: int = 0, answer: str = "7", **more: Any) -> Json:
    return {
        "query_id": f"q{i:03}",
        "group": f"g{i % 4}",
        "prompt": f"Question {i % 10}?",
        "route": route,
        "sample": sample,
        "correct": float(right),
        "cost": cost,
        "answer": answer,
        **more,
    }


def rows(n: int = 200, seed: int = 0) -> list[Json]:
    """small is right half the time and mostly knows it by its tokens; its word for it says nothing; other agrees with
    it where it is right; full is always right."""
    rng = np.random.default_rng(seed)
    found: list[Json] = []
    for i in range(n):
        right = bool(rng.random() < 0.5)
        signs = {
            "mean_probability": 0.5 * rng.random() + (0.4 if right else 0.0),
            "first_entropy": 0.5 * rng.random() + (0.0 if right else 0.4),
            "stated_confidence": rng.random(),
            "probe_costs": {"stated_confidence": 2.0},
        }
        found.append(run(i, "small", right=right, cost=1.0, answer="7" if right else "8", **signs))
        found.append(run(i, "small", right=right, cost=1.0, sample=1, answer="7" if rng.random() < 0.5 else "9"))
        found.append(run(i, "other", right=right, cost=3.0, answer="7"))
        found.append(run(i, "full", right=True, cost=10.0))
    return found


def test_signs_that_tell_are_told_from_those_that_do_not() -> None:
    told, other = worths(rows(), ("small", "other"), "full")
    assert (told.route, told.dear, told.n, other.route) == ("small", "full", 200, "other")
    assert told.dear_accuracy == 1.0
    assert told.cost == pytest.approx(0.1)
    by = {w.evidence: w for w in told.worth}
    for name in ("mean_probability", "first_entropy", "together"):
        assert by[name].auroc > 0.9, "entropy counts the other way round"
        assert by[name].apgr is not None
        assert by[name].apgr > 0.7
    for name in ("text", "stated_confidence"):
        low, high = by[name].ci95
        assert low < 0.6
        assert high > 0.4
        assert by[name].auroc == pytest.approx(0.5, abs=0.12)
    assert by["agrees with other"].auroc == 1.0
    assert by["second sample"].n == 200
    del by["text"], by["together"]
    assert max(by, key=lambda name: by[name].auroc) == "agrees with other"


def test_what_the_answer_itself_shows_is_free_and_the_rest_is_a_share_of_the_dear_route() -> None:
    by = {w.evidence: w.cost for w in worths(rows(), ("small", "other"), "full")[0].worth}
    assert by["text"] == by["mean_probability"] == 0.0
    assert by["stated_confidence"] == pytest.approx(0.2)
    assert by["agrees with other"] == pytest.approx(0.3)
    assert by["second sample"] == pytest.approx(0.1)
    assert by["together"] == pytest.approx(0.6)


def test_nothing_is_told_of_too_few_questions_or_of_answers_that_are_all_alike() -> None:
    few = rows(MIN_QUESTIONS - 1)
    assert worths(few, ("small",), "full") == ()
    assert worths([row | {"correct": 1.0} for row in rows()], ("small",), "full") == ()
    assert worths(rows(), ("full",), "full") == ()


def test_a_sign_that_is_seldom_known_is_left_out() -> None:
    """It would be a figure of a few questions."""
    some = [row | {"stated_confidence": None} if i > 40 else row for i, row in enumerate(rows())]
    names = [w.evidence for w in worths(some, ("small",), "full")[0].worth]
    assert "stated_confidence" not in names
    assert "mean_probability" in names


def test_where_the_dear_route_gains_nothing_there_is_no_share_of_a_gap() -> None:
    alike = [row | {"correct": 0.0} if row["route"] == "full" else row for row in rows()]
    (told,) = worths(alike, ("small",), "full")
    assert {w.apgr for w in told.worth} == {None}
