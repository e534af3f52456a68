"""Controls must fail, and a real signal must beat nearly all of them."""

from __future__ import annotations

import numpy as np
import pytest
from recorded import constellation, run, table, world

from pointsman.domain import Json
from pointsman.router.jobs.evaluation.controls import Division, controls
from pointsman.router.jobs.evaluation.reading import read_recording

COUNT = 200


@pytest.fixture(scope="module")
def report() -> Json:
    return run(world(), constellation(), controls=COUNT).report


@pytest.mark.parametrize("name", ["shuffled_labels", "random_features"])
def test_controls_are_chance_and_a_real_signal_beats_them(report: Json, name: str) -> None:
    control = report["controls"][name]
    assert control["mean"] == pytest.approx(0.5, abs=0.03)
    assert 0 < control["sd"] < 0.15
    assert report["policies"]["pointsman"]["apgr"] > 0.75
    assert control["p"] == pytest.approx(1 / (1 + COUNT))


def test_the_share_that_chance_reaches_is_counted() -> None:
    """Against a real score that is chance itself, about half of the controls are at least as good."""
    recording = read_recording(table(world(120)), constellation())
    rng, n = np.random.default_rng(0), len(recording)
    part = Division(rng.normal(size=(n, 3)), recording.correct[:, 0], rng.normal(size=(n, 3)), np.arange(n))
    gain = recording.correct[:, 2] - recording.correct[:, 0]
    by_chance = controls(recording, [part], gain, 0.5, 100, 0)
    assert all(0.3 < c.p < 0.7 for c in by_chance.values())
    never, always = (controls(recording, [part], gain, real, 20, 0) for real in (1.1, -1.0))
    assert never["shuffled_labels"].p == pytest.approx(1 / 21)
    assert always["random_features"].p == 1.0


def test_without_controls_there_are_none_and_the_seed_draws_them() -> None:
    rows = world(150)
    assert run(rows, constellation()).report["controls"] == {"shuffled_labels": None, "random_features": None}
    one, two, other = (run(rows, constellation(), controls=5, seed=s).report["controls"] for s in (1, 1, 2))
    assert one == two
    assert one != other
