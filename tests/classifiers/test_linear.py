from __future__ import annotations

import numpy as np
import pytest

from pointsman.classifiers.calibration import sigmoid
from pointsman.classifiers.linear import logistic_near, logistic_path


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.concatenate([np.ones((n, 1)), rng.normal(size=(n, 2))], axis=1)
    y = (rng.random(n) < sigmoid(x @ np.array([0.5, -1.0, 0.3]))).astype(np.float64)
    return x, y, rng.uniform(0.2, 1.0, n)


def test_near_nothing_in_particular_it_is_the_usual_regression() -> None:
    x, y, w = drawn(400)
    at, _ = logistic_near(x, y, w, np.zeros(3), np.diag([1e-9, 1.0, 1.0]))
    assert at == pytest.approx(logistic_path(x, y, w, (1.0,))[0], abs=1e-3)


def test_without_labels_that_count_the_prior_stands() -> None:
    x, y, _ = drawn(30)
    centre, precision = np.array([0.3, 1.0, -2.0]), np.diag([1.0, 4.0, 0.25])
    at, covariance = logistic_near(x, y, np.zeros(30), centre, precision)
    assert at == pytest.approx(centre)
    assert covariance == pytest.approx(np.linalg.inv(precision))


def test_one_class_moves_the_level_and_no_further_than_the_prior_lets_it() -> None:
    x, _, w = drawn(50)
    at, covariance = logistic_near(x, np.ones(50), w, np.zeros(3), np.eye(3))
    assert 1.0 < at[0] < 6.0
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_the_end_is_the_most_probable_place() -> None:
    x, y, w = drawn(80, seed=3)
    centre, precision = np.array([2.0, 2.0, 2.0]), np.diag([0.5, 3.0, 1.0])

    def loss(at: np.ndarray) -> float:
        z = x @ at
        return float(w @ (np.logaddexp(0, z) - y * z) + 0.5 * (at - centre) @ precision @ (at - centre))

    at, _ = logistic_near(x, y, w, centre, precision)
    steps = np.concatenate([np.eye(3), -np.eye(3)]) * 1e-3
    assert all(loss(at + step) > loss(at) for step in steps)
