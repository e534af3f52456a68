"""Whether probabilities mean what they say: the map that makes them so, and the figures that tell.

The map is Platt's (J. Platt, "Probabilistic outputs for support vector machines", 1999): p = sigmoid(slope * logit +
offset), with a prior that holds it at the identity until there is evidence, and a slope that is never negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

SLOPE_PRIOR_SD, OFFSET_PRIOR_SD = 0.5, 0.5
"""How far the map may lie from the identity before the data have said anything, on the logit scale."""

SHIFT_PRIOR_SD = 0.7
"""How far the level of a whole group may lie from what its scores say, on the logit scale."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of probabilities: logit(p) -> slope * logit(p) + offset; slope >= 0."""

    slope: float = 1.0
    offset: float = 0.0

    def apply(self, probabilities: Doubles) -> Doubles:
        """The probabilities after the map, in [0, 1], same shape, in the same order."""
        return sigmoid(self.slope * logit(probabilities) + self.offset)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One row of a reliability table: of `weight` in total, predicted on average `predicted`, came true `observed`."""

    low: float
    high: float
    weight: float
    predicted: float
    observed: float


def sigmoid(scores: Doubles) -> Doubles:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * scores))


def logit(probabilities: Doubles) -> Doubles:
    """log(p / (1 - p)) of probabilities held off 0 and 1 by 1e-9."""
    held = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.log(held) - np.log1p(-held)


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A map, and the penalised negative log likelihood per unit of weight that it reaches (nats): how much the scores
    tell, whatever their scale and whatever each group's level."""

    calibration: Calibration
    loss: float


def fit_calibration(
    scores: Doubles, correct: Doubles, weights: Doubles | None = None, groups: Integers | None = None
) -> CalibrationFit:
    """The map for held-out logits `scores` (n,) and what came true, `correct` (n,) in [0, 1].

    groups (n,): a number from 0 for rows that share a level, -1 for a row that shares none. A score made without a
    whole group misses the group's level, and misses it the wrong way round: without an easy group the others look
    harder. So each group has its own shift (a normal effect of mean 0) while the slope is sought, and the map is the
    one for a group with shift 0. A slope below 0 is never taken: then the scores carry nothing, and the map is a
    constant. Penalised maximum likelihood by Newton's method."""
    weight = np.ones_like(scores) if weights is None else weights
    place = np.full(len(scores), -1, dtype=np.int64) if groups is None else groups
    fitted = _newton(scores, correct, weight, place)
    if fitted.calibration.slope >= 0:
        return fitted
    flat = _newton(np.zeros_like(scores), correct, weight, place)
    return CalibrationFit(Calibration(0.0, flat.calibration.offset), flat.loss)


def _newton(scores: Doubles, correct: Doubles, weights: Doubles, groups: Integers) -> CalibrationFit:
    """Slope, offset and the groups' shifts together; the shifts' part of the curvature is diagonal (Schur)."""
    design = np.stack([scores, np.ones_like(scores)], axis=1)
    place, count = np.where(groups < 0, 0, groups + 1), int(groups.max(initial=-1)) + 2
    precision = np.array([SLOPE_PRIOR_SD**-2, OFFSET_PRIOR_SD**-2])
    shift_precision = np.full(count, SHIFT_PRIOR_SD**-2)
    shift_precision[0] = 1e12  # rows of no group have no shift
    centre = np.array([1.0, 0.0])
    at, shifts = centre, np.zeros(count)

    def loss(place_of: Doubles, shift: Doubles) -> float:
        z = design @ place_of + shift[place]
        prior = precision @ (place_of - centre) ** 2 + shift_precision @ shift**2
        return float(weights @ (np.logaddexp(0.0, z) - correct * z) + 0.5 * prior)

    now = loss(at, shifts)
    for _ in range(50):
        p = sigmoid(design @ at + shifts[place])
        miss, curve = weights * (p - correct), weights * p * (1 - p)
        slope = design.T @ miss + precision * (at - centre)
        shift_slope = np.bincount(place, miss, count) + shift_precision * shifts
        cross = np.stack([np.bincount(place, curve * column, count) for column in design.T], axis=1)
        diagonal = np.bincount(place, curve, count) + shift_precision
        schur = (design.T * curve) @ design + np.diag(precision) - (cross.T / diagonal) @ cross
        step: Doubles = np.linalg.solve(schur, slope - cross.T @ (shift_slope / diagonal)).astype(np.float64)
        shift_step = (shift_slope - cross @ step) / diagonal
        size = 1.0
        while (after := loss(at - size * step, shifts - size * shift_step)) > now and size > 1e-6:
            size /= 2
        if after > now:
            break
        at, shifts, gain, now = at - size * step, shifts - size * shift_step, now - after, after
        if gain < 1e-9 * max(1.0, now):
            break
    return CalibrationFit(Calibration(float(at[0]), float(at[1])), now / float(weights.sum()))


def reliability(
    probabilities: Doubles, correct: Doubles, weights: Doubles | None = None, bins: int = 10
) -> list[ReliabilityBin]:
    """Predicted against observed in bins of equal width over [0, 1]; empty bins and NaN labels are left out."""
    p, y, w = _known(probabilities, correct, weights)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    rows: list[ReliabilityBin] = []
    for k in range(bins):
        inside = place == k
        total = float(w[inside].sum())
        if total > 0:
            predicted, observed = (float(w[inside] @ values[inside]) / total for values in (p, y))
            rows.append(ReliabilityBin(k / bins, (k + 1) / bins, total, predicted, observed))
    return rows


def ece(probabilities: Doubles, correct: Doubles, weights: Doubles | None = None, bins: int = 10) -> float:
    """Expected calibration error in [0, 1]: mean distance of predicted and observed over the bins, by weight (Guo et
    al., "On calibration of modern neural networks", 2017). NaN where no label is known."""
    rows = reliability(probabilities, correct, weights, bins)
    total = sum(row.weight for row in rows)
    return sum(row.weight * abs(row.predicted - row.observed) for row in rows) / total if rows else float("nan")


def brier(probabilities: Doubles, correct: Doubles, weights: Doubles | None = None) -> float:
    """Mean squared error of the probabilities, in [0, 1]; NaN where no label is known."""
    p, y, w = _known(probabilities, correct, weights)
    return float(w @ (p - y) ** 2 / w.sum()) if w.sum() > 0 else float("nan")


def log_loss(probabilities: Doubles, correct: Doubles, weights: Doubles | None = None) -> float:
    """Mean negative log likelihood in nats; labels may be shares in [0, 1]. NaN where no label is known."""
    p, y, w = _known(probabilities, correct, weights)
    z = logit(p)
    return float(w @ (np.logaddexp(0.0, z) - y * z) / w.sum()) if w.sum() > 0 else float("nan")


def auroc(scores: Doubles, correct: Doubles, weights: Doubles | None = None) -> float:
    """Chance that a right answer has the higher score than a wrong one, ties counting half; NaN for one class.

    A label that is a share counts as right by that share and as wrong by the rest."""
    s, y, w = _known(scores, correct, weights)
    values, place = np.unique(s, return_inverse=True)
    right = np.bincount(place, weights=w * y, minlength=len(values))
    wrong = np.bincount(place, weights=w * (1 - y), minlength=len(values))
    if right.sum() <= 0 or wrong.sum() <= 0:
        return float("nan")
    below = np.cumsum(wrong) - wrong
    return float(right @ (below + wrong / 2) / (right.sum() * wrong.sum()))


def _known(values: Doubles, correct: Doubles, weights: Doubles | None) -> tuple[Doubles, Doubles, Doubles]:
    """The rows with a label, as doubles."""
    known = np.isfinite(correct)
    weight = np.ones(correct.shape) if weights is None else weights
    return values[known].astype(np.float64), correct[known].astype(np.float64), weight[known].astype(np.float64)
