"""Each route's own models: of being right, of its output tokens; before the others are heard (relatives.py).

Shrinkage is by held-out likelihood; the held-out scores then set the calibration, and how far an unseen group's level
lies off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .calibration import fit_calibration, sigmoid
from .estimators import moderated
from .linear import logistic_factor, logistic_path, poisson_factor, poisson_path
from .parts import MAX_LEVEL_VARIANCE, Part, constant_correct, constant_tokens
from .relatives import heard
from .shrinkage import FitSettings, Frame, Inner, Mask, prepared, search
from .training import Doubles, Integers, TrainingSet

GROUP_LABELS, GROUPS = 10, 3
"""A group's level is estimated from this many labels on; its spread from this many groups on."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Each route's own model of being right, before the others are heard, in the training set's order of routes; the
    rows that they were fitted on (n, p), in order of query_id; and what makes such a row of features and embedding."""

    parts: tuple[Part, ...]
    x: Doubles
    frame: Frame


def fit_alone(training: TrainingSet, settings: FitSettings | None = None) -> Alone:
    """The first half of a fit: what `with_relatives` starts from. Raises DataError as `fit`."""
    how, rows = settings or FitSettings(), training.ordered()
    frame, inner = prepared(rows, how)
    return Alone(tuple(each_alone(inner, rows)), inner.x, frame)


def each_alone(inner: Inner, rows: TrainingSet) -> list[Part]:
    """One part a route, of being right."""
    return [correct_alone(inner, rows.correct[:, r], rows.weights[:, r]) for r in range(len(rows.routes))]


def correct_alone(inner: Inner, correct: Doubles, weights: Doubles) -> Part:
    """One route's model of being right: shrinkage by held-out likelihood, calibration on the held-out scores."""
    known = np.isfinite(correct) & (weights > 0)
    y, w = np.where(known, correct, 0.0), np.where(known, weights, 0.0)
    splits = inner.splits(known, lambda inside: _enough(y[inside], w[inside], inner.how))
    if not splits or not _enough(y[known], w[known], inner.how):
        return constant_correct(inner.x.shape[1], y, w)
    seen = np.logical_or.reduce([outside for _, outside in splits])
    levels = _levels(inner.groups, seen)

    def path(x: Doubles, inside: Mask) -> list[Doubles]:
        return logistic_path(x[inside], y[inside], w[inside], inner.how.strengths)

    choice = search(
        inner,
        splits,
        inner.how.strengths,
        path,
        lambda scores: fit_calibration(scores[seen], y[seen], w[seen], levels[seen]).loss,
    )
    x, variance = inner.scaled(choice.scale), np.zeros(len(y))
    for (inside, outside), fold_weights in zip(splits, choice.weights, strict=True):
        factor = logistic_factor(x[inside], w[inside], fold_weights, choice.shrinkage)
        variance[outside] = ((x[outside] @ factor) ** 2).sum(axis=1)
    moderate = moderated(choice.scores, variance)
    logits = moderate[seen]
    calibration = fit_calibration(logits, y[seen], w[seen], levels[seen]).calibration
    p = sigmoid(calibration.slope * logits + calibration.offset)
    information = w[seen] * p * (1 - p)
    level = 1.0 / max(float(information.sum()), 1e-9) + _spread(levels[seen], w[seen] * (y[seen] - p), information)
    weight = logistic_path(x[known], y[known], w[known], (choice.shrinkage,))[0]
    factor = logistic_factor(x[known], w[known], weight, choice.shrinkage)
    least = 0.5 / (float(w.sum()) + 1.0)
    weight, factor = inner.full(weight, factor, choice.scale)
    part = Part(weight, factor, min(level, MAX_LEVEL_VARIANCE), least, calibration=calibration)
    return replace(part, heard=heard(inner.x, part, seen, choice.scores, moderate))


def tokens_alone(inner: Inner, tokens: Doubles) -> Part:
    """One route's model of its output tokens: shrinkage by held-out Poisson deviance."""
    known = np.isfinite(tokens)
    y = tokens[known]
    splits = inner.splits(known, lambda inside: float(tokens[inside].sum()) > 0)
    if len(y) < inner.how.min_labels or not splits:
        return constant_tokens(inner.x.shape[1], y)
    seen = np.logical_or.reduce([outside for _, outside in splits])
    unit = float(y.mean())
    relative = np.where(known, tokens, 0.0) / unit
    low, high = np.log(max(float(relative[known].min()), 1e-3)), np.log(float(relative[known].max()))

    def path(x: Doubles, inside: Mask) -> list[Doubles]:
        return poisson_path(x[inside], relative[inside], inner.how.token_penalties)

    def deviance(scores: Doubles) -> float:
        held = np.clip(scores[seen], low, high)
        return float((np.exp(held) - relative[seen] * held).mean())

    choice = search(inner, splits, inner.how.token_penalties, path, deviance)
    means = np.exp(np.clip(choice.scores[seen], low, high))
    dispersion = float(((relative[seen] - means) ** 2 / means).mean())
    level = _spread(_levels(inner.groups, seen)[seen], relative[seen] - means, means, dispersion)
    x = inner.scaled(choice.scale)[known]
    weights = poisson_path(x, relative[known], (choice.shrinkage,))[0]
    factor = poisson_factor(x, weights, choice.shrinkage, dispersion)
    weights[0] += np.log(unit)
    weights, factor = inner.full(weights, factor, choice.scale)
    return Part(weights, factor, min(level, MAX_LEVEL_VARIANCE), float(y.min()), float(y.max()))


def _enough(y: Doubles, w: Doubles, how: FitSettings) -> bool:
    """Whether these labels can bear a model; otherwise the route gets a constant."""
    return len(y) >= how.min_labels and min(float(w @ y), float(w @ (1 - y))) >= how.min_minority


def _levels(groups: NDArray[np.str_], seen: Mask) -> Integers:
    """A number for each group of at least GROUP_LABELS seen rows, -1 for all others; (n,)."""
    names, place = np.unique(groups, return_inverse=True)
    large = np.bincount(place, seen, len(names)) >= GROUP_LABELS
    return np.where(large, np.cumsum(large) - 1, -1)[place]


def _spread(levels: Integers, misses: Doubles, information: Doubles, dispersion: float = 1.0) -> float:
    """Variance, between groups, of how far their level lies off, beyond what chance explains (method of moments).

    levels: the group's number or -1. misses: observed minus expected by row; information: how much a row's expectation
    moves with the level; both summed over a group give its shift (one Newton step) and the shift's own variance."""
    inside = levels >= 0
    total, known = (np.bincount(levels[inside], values[inside]) for values in (misses, information))
    if len(total) < GROUPS:
        return 0.0
    known = np.maximum(known, 1e-9)
    shift = np.clip(total / known, -3.0, 3.0)
    return max(0.0, float((shift**2 - dispersion / known).mean()))
