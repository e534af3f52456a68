"""`pointsman demo`: what it plays on, how it shows the result, and a small one played for real."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from pointsman.api.cli.demonstration import HIDDEN_PROMISES, demo_settings, show
from pointsman.api.cli.main import main
from pointsman.backends import load_modes
from pointsman.router.build import build_routes, present_models
from pointsman.router.jobs import demo as jobs
from pointsman.router.jobs import hidden


def figure(accuracy: float, output_tokens: float, **share: float) -> dict[str, Any]:
    """What the demonstration says of one contestant."""
    return {"accuracy": accuracy, "output_tokens": output_tokens, "cost": output_tokens + 1, "share": share}


RESULT: dict[str, Any] = {
    "routes": {
        "small": figure(0.42, 2, small=1),
        "budgeted": figure(0.66, 19, budgeted=1),
        "full": figure(0.99, 61, full=1),
    },
    "cold": figure(0.99, 61, full=1),
    "retrained": figure(0.985, 30, small=0.3, full=0.7),
    "best_fixed": {"name": "full", **figure(0.99, 61, full=1)},
    "random_mix": figure(0.75, 30, small=0.5, full=0.5),
    "oracle": figure(1.0, 22, small=0.4, full=0.6),
    "n_train": 300,
    "n_test": 600,
    "kept": {"accuracy": True, "tokens": True, "beats_random_mix": True},
    "hidden": {
        "routes": {
            "small": figure(0.55, 2, small=1),
            "budgeted": figure(0.6, 19, budgeted=1),
            "full": figure(0.98, 66, full=1),
        },
        "text_only": figure(0.97, 64, full=1),
        "evidence": figure(0.975, 36, small=0.5, full=0.5),
        "best_fixed": {"name": "full", **figure(0.98, 66, full=1)},
        "random_mix": figure(0.76, 36, small=0.5, full=0.5),
        "oracle": figure(0.99, 34, small=0.55, full=0.45),
        "n_train": 120,
        "n_test": 240,
        "reasons": {"small": "small has answered: 99% likely right, full 98%", "full": "[dim] full answers"},
        "kept": {"accuracy": True, "cheaper_than_text": True, "beats_random_mix": True},
    },
}


def shown(result: dict[str, Any]) -> str:
    """The result as a pipe gets it."""
    screen = Console(file=io.StringIO(), width=110, highlight=False)
    show(result, screen, 83.0)
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_it_plays_on_the_three_routes_of_digits_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small, budgeted and full on digits, full as the safe one, in the folder given; the environment's settings are not
    asked, so that everybody sees the same story."""
    monkeypatch.setenv("POINTSMAN_HOME", "/elsewhere")
    monkeypatch.setenv("POINTSMAN_CONFIG", "/no/such/file.yaml")
    settings = demo_settings(tmp_path)
    models, missing = present_models(settings)
    assert [route.name for route in build_routes(settings, models, load_modes({}))] == ["small", "budgeted", "full"]
    assert (settings.home, settings.safe_route, missing) == (tmp_path, "full", {})


@pytest.mark.usefixtures("quick_fits")
def test_a_small_one_is_played_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command starts the engine, logs, learns, tests, and writes its figures and its picture; the cold router is as
    full as the full route, and nothing of it is left running or in the owner's folders."""
    before = {child.pid for child in psutil.Process().children()}
    monkeypatch.setattr(jobs, "N_TRAIN", 60)
    monkeypatch.setattr(jobs, "N_TEST", 60)
    monkeypatch.setattr(hidden, "N_TRAIN", 24)
    monkeypatch.setattr(hidden, "N_TEST", 12)
    out, png = tmp_path / "demo.json", tmp_path / "demo.png"
    assert main(["demo", "--json", str(out), "--png", str(png)]) == 0
    shown = capsys.readouterr()
    assert "60 chains not trained on, 60 learnt from" in shown.out
    assert "testing: 180 of 180" in shown.err
    result = json.loads(out.read_text())
    assert (result["n_train"], result["n_test"]) == (60, 60)
    assert (result["hidden"]["n_train"], result["hidden"]["n_test"]) == (24, 12)
    assert result["cold"] == result["routes"]["full"]
    assert result["routes"]["small"]["output_tokens"] < result["retrained"]["output_tokens"]
    assert png.stat().st_size > 1000
    assert not (tmp_path / "data").exists()
    assert {child.pid for child in psutil.Process().children()} <= before


def test_the_result_is_a_table_a_picture_and_the_promises() -> None:
    """Every contestant with its figures, the axis of the picture, its promises kept, the sentence."""
    text = shown(RESULT)
    for said in ("always small", "cold", "retrained", "random mix", "oracle", "output tokens per query"):
        assert said in text
    assert text.count("kept  ") == 6
    assert "NOT KEPT" not in text
    assert "Retrained: 98.5% right at 49% of the full route's output tokens" in text


@pytest.mark.parametrize("promise", ["accuracy", "tokens", "beats_random_mix"])
def test_a_promise_that_was_not_kept_is_said(promise: str) -> None:
    """The demonstration hides nothing."""
    text = shown({**RESULT, "kept": {**RESULT["kept"], promise: False}})
    assert text.count("NOT KEPT") == 1


def test_the_second_story_has_its_own_table_promises_and_reasons() -> None:
    """As they are: nothing of a reason is taken for markup."""
    text = shown(RESULT)
    assert "240 chains whose text does not tell how hard they are, 120 learnt from" in text
    for said in ("on the text alone", "with evidence", "97.5%"):
        assert said in text
    assert "small: small has answered: 99% likely right, full 98%" in text
    assert "full: [dim] full answers" in text


@pytest.mark.parametrize("promise", ["accuracy", "cheaper_than_text", "beats_random_mix"])
def test_a_promise_of_the_second_story_that_was_not_kept_is_said(promise: str) -> None:
    second = RESULT["hidden"]
    text = shown({**RESULT, "hidden": {**second, "kept": {**second["kept"], promise: False}}})
    assert text.count("NOT KEPT") == 1
    assert HIDDEN_PROMISES[promise] in text
