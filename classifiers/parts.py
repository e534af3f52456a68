"""One linear model of one route, and what stands in its place where a route's own data bear none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration

Doubles: TypeAlias = NDArray[np.float64]

MAX_LEVEL_VARIANCE = 4.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a route's own model says of the rows that it was fitted on, each by a model that had not seen it, and of the
    others. scores (n,): calibrated by slope alone, so on the scale of slope * (row @ weights). p (n,): probability of a
    correct answer; NaN where the row has no held-out one. noise: mean variance of the scores by what the fit cannot
    know."""

    scores: Doubles
    p: Doubles
    noise: float


@dataclass(frozen=True, slots=True)
class Part:
    """One linear model of one route: weights (p,), covariance factor (p, p), and what comes with it. heard: only where
    the route has a model of its own of being right."""

    weights: Doubles
    factor: Doubles
    level_variance: float
    least: float
    most: float = np.nan
    calibration: Calibration | None = None
    heard: Heard | None = None


def constant_correct(size: int, y: Doubles, w: Doubles) -> Part:
    """Laplace's rule of succession as a model of `size` weights: the mean of Beta(right + 1, wrong + 1), the variance
    of its logit."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]  # it ships none

    right, wrong = float(w @ y) + 1.0, float(w @ (1 - y)) + 1.0
    variance = sum(float(cast("Any", special).polygamma(1, count)) for count in (right, wrong))
    weights, factor = np.zeros(size), np.zeros((size, size))
    weights[0] = np.log(right / wrong) * np.sqrt(1.0 + np.pi / 8.0 * variance)  # undoes `moderated`
    factor[0, 0] = np.sqrt(variance)
    return Part(weights, factor, 0.0, least=0.5 / (float(w.sum()) + 1.0))


def constant_tokens(size: int, y: Doubles) -> Part:
    """The mean of few values, with the spread of log tokens held at 1 until they say more; NaN where there is none."""
    weights, factor = np.zeros(size), np.zeros((size, size))
    if len(y) == 0:
        weights[0] = np.nan
        return Part(weights, factor, 0.0, np.nan)
    mean = max(float(y.mean()), 1e-9)
    logs = np.clip(np.log(np.maximum(y, 1e-9) / mean), -3, 3)
    weights[0] = np.log(mean)
    factor[0, 0] = np.sqrt((float(logs @ logs) + 2.0) / (len(y) + 2.0) / len(y))
    return Part(weights, factor, 0.0, float(y.min()), float(y.max()))
