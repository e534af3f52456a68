"""The plain estimators of routes: from the text, and from the probes' answers."""

from __future__ import annotations

import numpy as np
import pytest
from recorded import BUDGETS, constellation, resampled, table, world

from pointsman.classifiers.smoothers import Ridge
from pointsman.router.jobs.evaluation.models import fit_routes, probe_rows, probe_tracks, text_rows
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.recording import Recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    return read_recording(table(world(600)), constellation(BUDGETS))


def test_a_model_knows_every_fixed_route_budgets_too(recording: Recording) -> None:
    model = fit_routes(recording, probe_rows(recording, recording), Ridge())
    assert model.names == ("small", "second", "b100", "b300", "full")
    p, cost = model.predict(probe_rows(recording, recording))
    assert p.shape == cost.shape == model.held_out_p.shape == (600, 5)
    assert ((p >= 0) & (p <= 1)).all()
    assert p.mean(axis=0)[[0, 4]] == pytest.approx(recording.correct.mean(axis=0)[[0, 2]], abs=0.02)
    assert cost[:, 4].mean() == pytest.approx(recording.cost_to(2, 3).mean(), rel=0.01)
    assert (np.diff(cost[:, 2:].mean(axis=0)) > 0).all()


def test_agreement_of_the_probes_tells_and_the_text_does_not(recording: Recording) -> None:
    small = recording.correct[:, 0]
    told = [
        fit_routes(recording, x, Ridge()).held_out_p[:, 0]
        for x in (probe_rows(recording, recording), text_rows(recording))
    ]
    assert np.corrcoef(told[0], small)[0, 1] > 0.6
    assert abs(np.corrcoef(told[1], small)[0, 1]) < 0.15


def test_the_score_is_made_of_the_probes_or_of_the_first_route() -> None:
    rows = table(world(20))
    assert probe_tracks(read_recording(rows, constellation(BUDGETS, probes=("second", "small")))) == (0, 1)
    assert probe_tracks(read_recording(rows, constellation(BUDGETS, probes=()))) == (0,)
    again = table(resampled(world(20), 3))
    assert probe_tracks(read_recording(again, constellation(BUDGETS, probes=("second",), samples=3))) == (1, 4, 7)
    assert probe_tracks(read_recording(again, constellation(BUDGETS, probes=(), samples=2))) == (0, 3)
    by_first = read_recording(rows, constellation(BUDGETS, probes=()))
    assert probe_rows(by_first, by_first).shape[1] == 6  # four of the text, length and readability of one answer


def test_which_signs_count_is_fixed_by_the_training_questions() -> None:
    """A sign that only the test table has is not looked at; one that it lacks is one half."""
    plain = read_recording(table(world(20)), constellation())
    signed = read_recording(table([r | {"confidence_verbal": 0.9} for r in world(20)]), constellation())
    assert probe_rows(signed, plain).shape == probe_rows(plain, plain).shape
    there, absent = probe_rows(signed, signed), probe_rows(plain, signed)
    assert there.shape == absent.shape
    differ = (there != absent).any(axis=0)
    assert set(there[:, differ].ravel().tolist()) == {0.9}
    assert set(absent[:, differ].ravel().tolist()) == {0.5}
