"""A calibration's result in words and tables."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pointsman.api.cli.calibration_report import budget_words, show
from pointsman.router.jobs.budgets import Best
from pointsman.router.jobs.calibrate import Calibrated, Ran
from pointsman.router.jobs.probe_worth import Told, Worth

FIGURES = {
    "n_queries": 300,
    "price": "list",
    "routes": {
        "full": {"accuracy": 0.9, "output_tokens": 900.0, "cost": 910.0},
        "small": {"accuracy": 0.5, "output_tokens": 9.0, "cost": 19.0},
        "idle": {"accuracy": 0.4, "output_tokens": 99.0, "cost": 119.0},
    },
    "verdict": {"verdict": "routing does not pay here", "sentence": "Run q[4] for everything."},
}


def shown(ran: Ran, made: Calibrated) -> str:
    screen = Console(file=io.StringIO(), width=140, highlight=False)
    for part in show(ran, made, 83.4, " --home h"):
        screen.print(part, soft_wrap=isinstance(part, str))
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_verdict_front_best_budget_and_what_to_type_next() -> None:
    best = Best("q[4]", "q[4](512)", 512, 0.89, 300.0, 310.0, "full", 0.9)
    made = Calibrated(
        Path("t.jsonl"), Path("t.yaml"), None, FIGURES, (best,), {"full": None, "small": None, "idle": "small"}, ()
    )
    text = shown(Ran((), (), (), 0, {}), made)
    order = [text.index(f"\n {name} ") for name in ("small", "idle", "full")]
    assert order == sorted(order), "cheapest first"
    assert text.count("dominated by small") == 1
    assert text.count("dominated") == 1
    for said in (
        "q[4]",
        "512 tokens",
        "90.0% (full)",
        "Routing does not pay here. Run q[4] for everything.",
        "1:23 min",
    ):
        assert said in text
    assert "More: pointsman evaluate --constellation t.yaml --home h --price list" in text


def test_what_evidence_tells_is_a_table_for_each_cheap_route() -> None:
    told = Told(
        "small",
        "full",
        300,
        0.5,
        0.9,
        0.02,
        (Worth("text", 300, 0.52, (0.45, 0.6), 0.51, 0.0), Worth("p_right", 290, 0.71, (0.64, 0.78), None, 0.03)),
    )
    made = Calibrated(Path("t.jsonl"), None, None, FIGURES, (), dict.fromkeys(FIGURES["routes"]), (), (told,))
    text = shown(Ran((), (), (), 0, {}), made)
    assert "What tells whether small is right (50.0%; full 90.0%)" in text
    assert "0.52 (0.45 to 0.60)" in text
    (line,) = [line for line in text.splitlines() if "the answer itself" in line]
    assert "2.0%" in line
    (line,) = [line for line in text.splitlines() if "p_right" in line]
    assert "0.71 (0.64 to 0.78)" in line
    assert "no gap" in line
    assert "3.0%" in line


def test_what_failed_and_what_was_too_little_is_said() -> None:
    made = Calibrated(Path("t.jsonl"), None, None, None, (), {}, ("Nothing was learnt: [too few]",))
    text = shown(Ran((), (), (), 3, {"away": "gone: refused [Errno 111]"}), made)
    assert "The route away failed always, and is left out: gone: refused [Errno 111]" in text
    assert "3 runs failed; --resume tries them again." in text
    assert "Nothing was learnt: [too few]" in text
    assert "Table: t.jsonl" in text
    assert "More:" not in text


@pytest.mark.parametrize(("budget", "words"), [(0, "off"), (None, "no limit"), (2048, "2,048 tokens")])
def test_budgets_in_words(budget: int | None, words: str) -> None:
    assert budget_words(budget) == words
