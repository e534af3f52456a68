"""What observing tells of what `auto` would have saved."""

from __future__ import annotations

from datetime import UTC, datetime

from pointsman.domain import Decision, Estimate, Objective, Price, Route
from pointsman.router.jobs.observed import observed_saving

FULL = Route("full", "qwen", "think", None, Price(0.1, 0.0, 1.0))


def decision(observed: str | None, *, small: float = 1.0, full: float = 10.0, learnt: bool = True) -> Decision:
    """`full` answered; the two routes are expected to cost so much, at 90 and 94 % right."""
    known = {
        name: Estimate(name, p, 0.0, 10.0, 10.0, 0.0, cost, 0.0)
        for name, p, cost in (("small", 0.90, small), ("full", 0.94, full))
    }
    return Decision(
        "d", datetime.now(UTC), FULL, "observe", Objective(), "p", estimates=known if learnt else {}, observed=observed
    )


def test_all_observed_decisions_are_added_up() -> None:
    said = observed_saving([decision("small"), decision("full"), decision("full"), decision("small")])
    assert said == (
        "of 4 observed decisions auto would have taken another route in 2; by its estimates: 45% of the cost saved "
        "(22 instead of 40), 92.0% right instead of 94.0%"
    )


def test_without_estimates_nothing_is_claimed() -> None:
    """Nothing was learnt then, or tokens of a route were never counted."""
    assert observed_saving([]) is None
    assert observed_saving([decision("full", learnt=False), decision("small", small=float("nan"))]) is None


def test_free_routes_have_no_cost_to_save() -> None:
    assert "no cost to save" in (observed_saving([decision("small", small=0.0, full=0.0)]) or "")
