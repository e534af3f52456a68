"""The verdict: a word, a sentence and a recommendation, true to the interval."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.domain import Json
from pointsman.router.jobs.evaluation.verdict import FEWEST, PAYS, PAYS_NOT, UNKNOWN, verdict


def at(skill: float, low: float, high: float) -> dict[str, Any]:
    """Saved beside mixing at one loss."""
    return {"saved": 0.5, "mixing": 0.5 - skill, "skill": skill, "ci95": (low, high)}


def report(half: Any, one: Any, n: int = 1000, two: Any = None, **more: Any) -> Json:
    """A report of two budgets and full, the best."""
    routes = {
        "small": {"accuracy": 0.5, "cost": 5.0},
        "b300": {"accuracy": 0.895, "cost": 200.0},
        "full": {"accuracy": 0.9, "cost": 500.0},
    }
    return {
        "n_queries": n,
        "routes": routes,
        "best_fixed": {"name": "full", **routes["full"]},
        "objective": {"kind": "quality", "value": 0.99},
        "policies": {"pointsman": {"at_loss": {"0.5": half, "1.0": one, "2.0": two or at(0.9, 0.8, 1.0)}}},
        **more,
    }


@pytest.mark.parametrize(
    ("half", "one", "word"),
    [
        (at(0.2, 0.1, 0.3), at(-0.1, -0.2, 0.0), PAYS),
        (at(-0.1, -0.2, 0.0), at(0.2, 0.01, 0.3), PAYS),
        (at(0.2, -0.01, 0.4), at(0.2, 0.0, 0.4), PAYS_NOT),  # the interval reaches nothing
        (at(0.2, 0.1, 0.3) | {"ci95": None}, at(0.2, 0.1, 0.3) | {"ci95": None}, UNKNOWN),  # none was drawn
        (None, None, UNKNOWN),  # calls are the cost
    ],
)
def test_routing_pays_where_its_skill_is_above_nothing_to_the_intervals_end(half: Any, one: Any, word: str) -> None:
    """At half a point or one point of loss; two points do not count."""
    found = verdict(report(half, one), "ladder at price 3")
    assert found["verdict"] == word
    assert found["recommended"] == ("routing" if word == PAYS else "b300")


def test_a_verdict_that_routing_pays_says_how_much_and_beside_what() -> None:
    sentence = verdict(report(at(0.2, 0.1, 0.3), at(0.1, -0.1, 0.2)), "x")["sentence"]
    assert (
        sentence
        == "Routing saves 50 % of full's cost where mixing fixed routes saves 30 % (difference 10 to 30 points)."
    )


def test_a_verdict_that_it_does_not_names_the_budget_to_set() -> None:
    said = verdict(report(at(-0.02, -0.1, 0.03), at(-0.02, -0.1, 0.03)), "x")["sentence"]
    assert said.startswith("Run b300 for everything: 60 % cheaper than full at -0.5 points.")
    assert "(-2 points at one point of loss, -10 to 3)" in said


def test_the_recommendation_keeps_the_quality_that_was_asked_for() -> None:
    strict = report(None, None, objective={"kind": "quality", "value": 1.0})
    assert verdict(strict, "x")["recommended"] == "full"
    lax = report(None, None, objective={"kind": "quality", "value": 0.5})
    assert verdict(lax, "x")["recommended"] == "small"
    other = report(None, None, objective={"kind": "max_cost", "value": 3.0})
    assert verdict(other, "x")["recommended"] == "full"


def test_few_questions_are_no_verdict() -> None:
    found = verdict(report(at(0.2, 0.1, 0.3), at(0.2, 0.1, 0.3), FEWEST - 1), "x")
    assert found["verdict"] == UNKNOWN
    assert str(FEWEST - 1) in found["sentence"]
    assert found["recommended"] == "b300"
    assert verdict(report(at(0.2, 0.1, 0.3), None, FEWEST), "x")["verdict"] == PAYS
