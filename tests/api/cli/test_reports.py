"""Training reports as tables."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from pointsman.api.cli.reports import GROUPS_SHOWN, budget_words, money, price_words, share, shares, training_report

PRICE = {"input": 0.15, "output": 0.6, "assumed": False}


def figure(accuracy: float) -> dict[str, Any]:
    """What a policy came to."""
    return {"accuracy": accuracy, "output_tokens": 10.0, "cost": 2.0, "share": {"small": 0.25, "full": 0.75}}


def report(groups: int = 2, **changes: Any) -> dict[str, Any]:
    """A training report of two routes."""
    route = {
        "model": "digits",
        "mode": "think",
        "thinking_budget": 17,
        "price": PRICE,
        "labelled": 1234,
        "accuracy": 0.5,
        "output_tokens": 9.87,
        "calibration": {"ece": 0.0213, "brier": 0.1456},
    }
    return {
        "n_queries": 1234,
        "n_complete": 1200,
        "n_groups": groups,
        "routes": {"small": {**route, "thinking_budget": 0, "mode": "direct"}, "full": route},
        "objective": {"kind": "quality", "value": 0.98},
        "held_out": {
            "fixed": {"small": figure(0.4), "full": figure(0.9)},
            "best_fixed": "full",
            "policy": figure(0.89),
            "accuracy_gain": -0.01,
            "accuracy_gain_ci95": [-0.02, 0.001],
            "saved": 0.37,
            "random_mix": figure(0.7),
            "oracle": figure(0.95),
            "by_group": [
                {
                    "group": f"g{i}",
                    "n": 600,
                    "accuracy": 0.88,
                    "cost": 1.0,
                    "best_fixed_accuracy": 0.91,
                    "best_fixed_cost": 2.0,
                }
                for i in range(groups)
            ],
        },
        "notes": ["tokens are a guess"],
        **changes,
    }


def shown(told: dict[str, Any]) -> str:
    """The report as plain text."""
    screen = Console(width=130, force_terminal=False, record=True)
    with screen.capture() as caught:
        for part in training_report(told):
            screen.print(part)
    return caught.get()


def test_a_report_shows_data_routes_groups_rivals_and_notes() -> None:
    """All that the job found is there: counts, calibration, groups beside the best fixed route, the intervals."""
    text = shown(report())
    for said in (
        "1,234 queries, 1,200 with an outcome on every route, 2 groups",
        "at most 17 thought tokens",
        "0.15/0.6",
        "0.021",
        "0.146",
        "g1",
        "always full",
        "random mix",
        "oracle",
        "saves 37% of the cost of always full",
        "-1.0 points (95 % interval -2.0 to +0.1)",
        "small 25%, full 75%",
        "Note: tokens are a guess.",
    ):
        assert said in text


def test_a_report_without_whole_outcomes_says_so() -> None:
    """Where no query ran on every route there is no replay, and the report says what follows from it."""
    text = shown(report(held_out=None))
    assert "cannot be replayed" in text
    assert "always full" not in text


def test_many_groups_are_cut_and_the_title_says_it() -> None:
    """Only the first groups are shown."""
    text = shown(report(groups=40))
    assert f"the first {GROUPS_SHOWN}" in text
    assert f"g{GROUPS_SHOWN} " not in text


def test_what_is_not_known_is_a_dash() -> None:
    """An untried route has no accuracy, a policy below the cheapest route no random mix."""
    told = report()
    told["routes"]["small"] |= {"accuracy": None, "output_tokens": None, "calibration": {"ece": None, "brier": None}}
    told["held_out"]["random_mix"] = None
    text = shown(told)
    assert "random mix" not in text
    assert " - " in text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (share(0.985), "98.5%"),
        (share(None), "-"),
        (money(0.0000123), "1.23e-05"),
        (price_words({**PRICE, "assumed": True}), "~0.15/0.6"),
        (price_words({**PRICE, "assumed": False, "listed": True}), "$0.15/0.6"),
        (budget_words(1024), ", at most 1,024 thought tokens"),
        (budget_words(0), ""),
        (shares({"small": 0.0, "full": 1.0}), "full 100%"),
        (shares({}), "-"),
    ],
)
def test_numbers_are_written_in_one_way(said: str, expected: str) -> None:
    """Shares in per cent, money to three digits, assumed prices marked, unused routes left out."""
    assert said == expected
