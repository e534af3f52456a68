"""The regressions that a fit is made of, and the posterior covariance of their weights.

Rows are (n, p) with a first column of ones, whose weight (the constant) is not shrunk. scikit-learn fits; it is
imported when a fit starts, so that nothing on the serving path waits for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .calibration import sigmoid

Doubles: TypeAlias = NDArray[np.float64]


def logistic_path(x: Doubles, y: Doubles, w: Doubles, strengths: Sequence[float]) -> list[Doubles]:
    """Logistic regression of labels y in [0, 1] with weights w, once for each prior variance of a weight, each fit
    starting where the last one ended. Weights (p,) for each strength. Both classes must be there."""
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]  # it ships none

    right, wrong = w * y, w * (1 - y)  # a label that is a share is both, each by its weight
    rows = np.concatenate([np.flatnonzero(right > 0), np.flatnonzero(wrong > 0)])
    labels = np.repeat([1, 0], [int((right > 0).sum()), int((wrong > 0).sum())])
    weight = np.concatenate([right[right > 0], wrong[wrong > 0]])
    model = cast("Any", LogisticRegression(solver="newton-cholesky", tol=1e-5, warm_start=True))
    inputs, out = x[rows, 1:], list[Doubles]()
    for strength in strengths:
        with _searching():
            model.set_params(C=strength).fit(inputs, labels, sample_weight=weight)
        out.append(np.concatenate([model.intercept_, model.coef_[0]]))
    return out


def logistic_near(x: Doubles, y: Doubles, w: Doubles, centre: Doubles, precision: Doubles) -> tuple[Doubles, Doubles]:
    """Logistic regression of labels y in [0, 1] with weights w on rows x (n, q) under a normal prior of this mean (q,)
    and precision (q, q): the most probable weights (q,) and their posterior covariance (q, q). One class is enough."""

    def loss(weights: Doubles) -> float:
        z, off = x @ weights, weights - centre
        return float(w @ (np.logaddexp(0.0, z) - y * z) + 0.5 * off @ precision @ off)

    at, now = centre, loss(centre)
    for _ in range(50):
        p = sigmoid(x @ at)
        curvature = (x.T * (w * p * (1 - p))) @ x + precision
        step = np.linalg.solve(curvature, x.T @ (w * (p - y)) + precision @ (at - centre)).astype(np.float64)
        size = 1.0
        while (after := loss(at - size * step)) > now and size > 1e-6:
            size /= 2
        if after >= now:
            break
        at, gain, now = at - size * step, now - after, after
        if gain < 1e-10 * max(1.0, now):
            break
    p = sigmoid(x @ at)
    return at, np.linalg.inv((x.T * (w * p * (1 - p))) @ x + precision).astype(np.float64)


def poisson_path(x: Doubles, y: Doubles, penalties: Sequence[float]) -> list[Doubles]:
    """Poisson regression with log link of y >= 0 (of mean about 1), once for each penalty. Weights (p,) for each."""
    from sklearn.linear_model import PoissonRegressor  # pyright: ignore[reportMissingTypeStubs]  # it ships none

    model = cast("Any", PoissonRegressor(solver="newton-cholesky", tol=1e-5, warm_start=True))
    out = list[Doubles]()
    for penalty in penalties:
        with _searching():
            model.set_params(alpha=penalty).fit(x[:, 1:], y)
        out.append(np.concatenate([[model.intercept_], model.coef_]))
    return out


@contextmanager
def _searching() -> Generator[None]:
    """Where a step of the Newton solver finds no descent (labels that hardly vary), scikit-learn
    says so and goes on with L-BFGS, to the same end: nothing that an owner could act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Line search of Newton solver")
        yield


def logistic_factor(x: Doubles, w: Doubles, weights: Doubles, strength: float) -> Doubles:
    """Laplace's posterior covariance of logistic weights as a factor L (p, p): covariance = L L'."""
    p = sigmoid(x @ weights)
    return _factor((x.T * (w * p * (1 - p))) @ x, 1.0 / strength)


def poisson_factor(x: Doubles, weights: Doubles, penalty: float, dispersion: float) -> Doubles:
    """The same for Poisson weights; dispersion: variance of a count over its mean (1 for a true Poisson)."""
    curvature = (x.T * np.exp(x @ weights)) @ x
    return _factor(curvature, penalty * len(x)) * np.sqrt(max(dispersion, 1e-6))


def _factor(curvature: Doubles, precision: float) -> Doubles:
    """L with L L' = the inverse of the curvature plus the prior's precision (next to none on the constant)."""
    prior = np.diag(np.concatenate([[1e-6], np.full(len(curvature) - 1, precision)]))
    lower = np.linalg.cholesky(curvature + prior)
    return np.asarray(np.linalg.inv(lower).T, dtype=np.float64)
