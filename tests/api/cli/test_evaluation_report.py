"""An evaluation's figures as tables and as a picture: every figure there, names as they are, gaps as a dash."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import constellation, run, world
from rich.console import Console

from pointsman.api.cli.evaluation_plot import no_learning, save_plane
from pointsman.api.cli.evaluation_report import LINES_SHOWN, show
from pointsman.api.cli.plots import mixing_line
from pointsman.domain import Json
from pointsman.errors import DataError
from pointsman.router.jobs.evaluation.evaluate import plain


@pytest.fixture(scope="module")
def made() -> Json:
    return plain(run(world(240), constellation(), resamples=20, controls=5).report)


@pytest.fixture
def figures(made: Json) -> Json:
    """The report of a small evaluation, to be changed."""
    return copy.deepcopy(made)


def shown(told: Json) -> str:
    """The report as plain text."""
    screen = Console(width=200, force_terminal=False)
    with screen.capture() as caught:
        for part in show(told):
            screen.print(part)
    return caught.get()


def test_every_part_is_there(figures: Json) -> None:
    text = shown(figures)
    for said in (
        "240 questions, 6 folds; price: work",
        f"{figures['routes']['full']['accuracy']:.1%}",
        f"{figures['oracle']['accuracy']:.1%}",
        f"{figures['policies']['pointsman']['apgr']:.3f}",
        "chosen in training for quality 0.99",
        "skill at 0.5",
        "Probes bought at the chosen point",
        "small > second = small",
        "Control random features: APGR",
        figures["verdict"]["sentence"],
    ):
        assert said in text
    assert "left out" not in text
    assert "stream" not in text
    assert "work; the best fixed route's and the last route's answers stream" in shown(figures | {"streamed": True})


def test_what_is_not_known_is_a_dash_and_what_was_removed_is_said(figures: Json) -> None:
    figures["n_removed"], figures["notes"] = 7, ["tokens are a guess"]
    figures["repeatable_oracle"] = {"accuracy": 0.777, "cost": None, "n": 10}
    figures["policies"]["agreement"] = None
    for route in (*figures["routes"].values(), figures["oracle"]):
        route["cost"] = None
    for policy in (figures["policies"]["pointsman"], figures["policies"]["text_only"]):
        policy["at_loss"] = dict.fromkeys(policy["at_loss"])
        policy["apgr"] = None
        policy["chosen"] |= {"saved": None, "skill": None, "saved_against_last": None, "ci95": None}
    text = shown(figures)
    assert "7 that stand in the training table too left out" in text
    assert "Note: tokens are a guess" in text
    assert "77.7%" in text
    assert "skill at 0.5" not in text
    assert "agreement" not in text
    assert " - " in text


def test_names_are_shown_as_they_are(figures: Json) -> None:
    """A bracket in a name is no markup."""
    figures["constellation"] = "routes.yaml:q[4]"
    figures["notes"] = ["q[red]"]
    figures["routes"]["q[bold]"] = figures["routes"]["small"]
    figures["verdict"]["sentence"] = "Run q[/x] for everything."
    text = shown(figures)
    for name in ("routes.yaml:q[4]", "q[red]", "q[bold]", "q[/x]"):
        assert name in text


def test_the_commonest_states_are_shown(figures: Json) -> None:
    figures["calibration"] = {f"state {i:02} = x": {"ece": 0.1, "brier": 0.2, "n": 100 + i} for i in range(15)}
    text = shown(figures)
    assert f"the {LINES_SHOWN} commonest" in text
    assert "state 14" in text
    assert "state 04" not in text


@pytest.mark.parametrize("calls", [False, True])
def test_the_plane_is_drawn_with_and_without_costs(figures: Json, tmp_path: Path, calls: bool) -> None:
    figures["policies"]["agreement"] = None
    if calls:
        points: list[Any] = [figures["oracle"], *figures["routes"].values()]
        for policy in filter(None, figures["policies"].values()):
            points += [policy["chosen"], *policy["curve"]]
        for point in [*points, *figures["plain"]]:
            point["cost"] = None
    save_plane(figures, tmp_path / "deep" / "plane.png")
    assert (tmp_path / "deep" / "plane.png").read_bytes().startswith(b"\x89PNG")


def test_the_line_of_mixing_holds_the_plain_rule_and_saves_what_the_figures_say(figures: Json) -> None:
    """At the accuracy of the policies, the line is as cheap as the mixing that their skill is measured against."""
    marks, best = no_learning(figures, True), figures["best_fixed"]
    assert [mark.label for mark in marks][-2:] == ["probes agree, else full", "no answer"]
    line = mixing_line(marks)
    rule = marks[-2]
    assert (rule.x, rule.y) in line
    assert (rule.x, rule.y) not in mixing_line([mark for mark in marks if mark.label in figures["routes"]])
    for name in ("agreement", "text_only"):
        chosen = figures["policies"][name]["chosen"]
        need = min(chosen["accuracy"], best["accuracy"])
        cost = np.interp(need, [y for _, y in line], [x for x, _ in line])
        assert chosen["saved"] - chosen["skill"] == pytest.approx(1 - cost / best["cost"], abs=1e-4)
    shares = {mark.label: mark.x for mark in no_learning(figures, False)}
    assert (shares["full"], shares["small"], shares["no answer"]) == (1.0, 0.0, 0.0)
    assert 0.2 < shares["probes agree, else full"] < 0.6


def test_a_picture_that_cannot_be_written_names_its_file(figures: Json, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError) as caught:
        save_plane(figures, tmp_path / "file" / "plane.png")
    assert str(tmp_path) in str(caught.value.file)
