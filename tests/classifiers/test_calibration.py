from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.calibration import (
    Calibration,
    auroc,
    brier,
    ece,
    fit_calibration,
    log_loss,
    logit,
    reliability,
    sigmoid,
)

LABELS = st.lists(st.tuples(st.floats(-12, 12), st.floats(0, 1), st.floats(0.1, 1)), min_size=1, max_size=60)


@given(LABELS, st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_a_fitted_map_keeps_order_and_range(rows: list[tuple[float, float, float]], asked: list[float]) -> None:
    scores, correct, weights = np.array(rows).T
    fitted = fit_calibration(scores, correct, weights)
    mapped = fitted.calibration.apply(np.sort(asked))
    assert fitted.calibration.slope >= 0
    assert np.isfinite(fitted.loss)
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert (np.diff(mapped) >= -1e-12).all()


def test_overconfident_scores_are_brought_down_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    correct = (rng.random(20_000) < sigmoid(truth)).astype(float)
    fitted = fit_calibration(3 * truth + 1, correct).calibration
    assert fitted.slope == pytest.approx(1 / 3, abs=0.02)
    assert fitted.offset == pytest.approx(-1 / 3, abs=0.05)
    before, after = sigmoid(3 * truth + 1), fitted.apply(sigmoid(3 * truth + 1))
    assert ece(before, correct) > 0.1
    assert ece(after, correct) < 0.015


def test_scores_that_point_the_wrong_way_become_a_constant() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=5000)
    correct = (rng.random(5000) < sigmoid(truth + 1)).astype(float)
    fitted = fit_calibration(-truth, correct).calibration
    assert fitted.slope == 0
    assert fitted.apply(np.array([0.3]))[0] == pytest.approx(correct.mean(), abs=0.01)


def test_few_labels_leave_the_map_near_the_identity() -> None:
    fitted = fit_calibration(np.array([1.0, -1.0]), np.array([0.0, 1.0])).calibration
    assert abs(fitted.slope - 1) < 0.4
    assert abs(fitted.offset) < 0.3


def test_a_groups_level_does_not_hide_what_scores_tell_inside_it() -> None:
    """Scores made without a group miss its level the wrong way round: pooled they look worthless."""
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2, 3], 2000)
    level = np.array([-2.0, -0.7, 0.7, 2.0])[groups]
    inside = rng.normal(size=8000)
    correct = (rng.random(8000) < sigmoid(inside + level)).astype(float)
    scores = inside - 0.7 * level
    assert fit_calibration(scores, correct).calibration.slope < 0.2
    assert fit_calibration(scores, correct, groups=groups).calibration.slope == pytest.approx(1, abs=0.15)


def test_weights_count_like_repetitions() -> None:
    scores, correct = np.array([1.0, -1.0, 0.5]), np.array([1.0, 0.0, 1.0])
    twice = fit_calibration(np.tile(scores, 2), np.tile(correct, 2)).calibration
    weighted = fit_calibration(scores, correct, np.full(3, 2.0)).calibration
    assert weighted.slope == pytest.approx(twice.slope)
    assert weighted.offset == pytest.approx(twice.offset)


def test_an_identity_map_changes_nothing() -> None:
    p = np.array([0.01, 0.3, 0.99])
    assert Calibration().apply(p) == pytest.approx(p)
    assert sigmoid(logit(p)) == pytest.approx(p)
    assert sigmoid(np.array([-1e6, 1e6])) == pytest.approx([0, 1])


def test_ece_of_honest_probabilities_is_small_and_of_false_ones_their_distance() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(50_000)
    assert ece(p, (rng.random(50_000) < p).astype(float)) < 0.01
    assert ece(np.full(4, 0.9), np.array([1.0, 0, 0, 0])) == pytest.approx(0.65)


def test_scores_of_calibration_by_hand() -> None:
    p, y = np.array([0.8, 0.4, 0.5]), np.array([1.0, 0.0, np.nan])
    assert brier(p, y) == pytest.approx((0.04 + 0.16) / 2)
    assert log_loss(p, y) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert brier(p, y, np.array([3.0, 1.0, 1.0])) == pytest.approx((3 * 0.04 + 0.16) / 4)
    rows = reliability(p, y)
    assert [(row.low, row.predicted, row.observed) for row in rows] == [(0.4, 0.4, 0.0), (0.8, 0.8, 1.0)]


def test_without_labels_the_figures_are_nan_and_the_table_empty() -> None:
    p, y = np.array([0.5]), np.array([np.nan])
    assert reliability(p, y) == []
    assert np.isnan([ece(p, y), brier(p, y), log_loss(p, y), auroc(p, y)]).all()
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([1.0, 1.0])))


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=25))
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, float]]) -> None:
    scores, correct = np.array(rows, dtype=float).T
    both = list(zip(scores, correct, strict=True))
    pairs = [(a, ya * (1 - yb), b) for a, ya in both for b, yb in both]
    total = sum(weight for _, weight, _ in pairs)
    found = auroc(scores, correct)
    if total == 0:
        assert np.isnan(found)
    else:
        won = sum(weight * ((a > b) + 0.5 * (a == b)) for a, weight, b in pairs)
        assert found == pytest.approx(won / total)
