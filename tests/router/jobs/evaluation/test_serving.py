"""What an artifact that serves would have decided on recorded questions."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from laddered import embedder
from recorded import FULL, SECOND, SMALL, Row, constellation, table, world

from pointsman.classifiers import Artifact, PolicyPoint
from pointsman.domain import Objective, Observation, Route
from pointsman.errors import DataError
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.evaluation.serving import serving_entry
from pointsman.router.jobs.retrain import retrain

NAMES = ("small", "second", "full")
PLAIN = constellation((SMALL, SECOND, FULL))


@lru_cache(maxsize=1)
def artifact(folder: Path) -> Artifact:
    """What 300 questions teach."""
    routes = tuple(
        Route(r.name, r.model, r.mode, None if r is FULL else 0, r.price) for r in (SMALL, SECOND, FULL) if r.price
    )
    model = {route.model: route.name for route in routes}
    rows = [
        Observation(
            r["query_id"],
            r["group"],
            model[r["model"]],
            r["correct"],
            r["input_tokens"],
            r["output_tokens"],
            text=r["prompt"],
            answer=r["answer"],
        )
        for r in world(300)
    ]
    return retrain(rows, Aim(routes, Objective(), "full"), embedder(), folder).artifact


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return artifact(tmp_path_factory.mktemp("artifacts"))


def asked(*prompts: str) -> list[Row]:
    """Other questions of the same world, the first of them in these words."""
    rows = world(40, seed=1, first="t")
    ids = sorted({row["query_id"] for row in rows})
    said = dict(zip(ids, prompts, strict=False))
    return [row | {"prompt": said.get(row["query_id"], row["prompt"])} for row in rows]


def test_a_fixed_plan_is_one_route_for_everything(made: Artifact) -> None:
    fixed = replace(made, policy=(PolicyPoint(0.9, 1.0, route="second"), PolicyPoint(0.9, 5.0, route="full")))
    entry = serving_entry(fixed, read_recording(table(asked()), PLAIN), Objective(), embedder())
    assert entry.plan == "always second"
    assert {path.bought for path in entry.chosen.paths} == {("second",)}


def test_a_priced_plan_takes_the_best_worth_and_the_dearest_for_a_text_like_none(made: Artifact) -> None:
    """At a price of an error of nothing the cheapest is worth most; of a strange text nothing is known."""
    cheap = replace(made, policy=(PolicyPoint(0.9, 1.0, error_price=0.0), PolicyPoint(0.5, 9.0, route="full")))
    recording = read_recording(table(asked("{}();" * 4000)), PLAIN)
    entry = serving_entry(cheap, recording, Objective(), embedder())
    assert entry.plan == "on the text"
    by = [entry.chosen.paths[code].answered_by for code in entry.chosen.path[:, 0]]
    assert by[0] == "full"
    assert set(by[1:]) == {"small"}


def test_a_ladder_is_gone_up_at_its_rung(made: Artifact) -> None:
    assert made.ladder is not None
    rung = len(made.ladder.prices) // 2
    points = (PolicyPoint(0.9, 1.0, rung=rung, sure=0.9), PolicyPoint(0.9, 9.0, route="full"))
    recording = read_recording(table(asked()), PLAIN)
    entry = serving_entry(replace(made, policy=points), recording, Objective(), embedder())
    assert entry.plan == f"ladder at price {rung}"
    assert {path.bought[0] for path in entry.chosen.paths} <= {"small", "second", "full"}
    assert ((entry.chosen.p_correct >= 0) & (entry.chosen.p_correct <= 1)).all()
    assert np.isfinite(entry.chosen.cost).all()


def test_routes_that_it_does_not_know_are_named(made: Artifact) -> None:
    other = constellation((SMALL, replace(FULL, name="huge")))
    with pytest.raises(DataError, match="huge"):
        serving_entry(made, read_recording(table(asked()), other), Objective(), embedder())
