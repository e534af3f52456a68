"""Fitting an estimator to a training set, and predicting groups that the fit has not seen.

For each route, two linear models on the same rows: logistic regression (right or wrong) and Poisson regression with
log link (output tokens; consistent for the mean whatever the distribution, Gourieroux et al. 1984). How strongly they
shrink, and how much the embedding may say beside the lexical features (often nothing: off its home benchmark an
embedding misleads), is chosen on whole groups held out inside the training set. The held-out scores then set the
calibration and how far an unseen group's level lies off. Of being right the other routes tell more, the more the
fewer labels a route has (relatives.py). scikit-learn is imported when a fit starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .calibration import fit_calibration, sigmoid
from .estimators import Estimator, Floats, Prediction, design, moderated
from .features import characters
from .linear import logistic_factor, logistic_path, poisson_factor, poisson_path
from .parts import MAX_LEVEL_VARIANCE, Part, constant_correct, constant_tokens
from .relatives import heard, with_relatives
from .training import Doubles, Integers, TrainingSet, beside, folds

Mask: TypeAlias = NDArray[np.bool_]

GROUP_LABELS, GROUPS = 10, 3
"""A group's level is estimated from this many labels on; its spread from this many groups on."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to fit. strengths: candidates for the prior variance of a logistic weight; token_penalties: for the penalty
    of the Poisson weights; embedding_scales: how large the embedding's part may be beside the features (0: without).
    A route with fewer labels than `min_labels`, or fewer than `min_minority` of the rarer class, has no
    model of its own: what its relatives tell stands for it, else a constant."""

    seed: int = 0
    inner_folds: int = 5
    max_components: int = 64
    rows_per_component: int = 40
    strengths: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)
    token_penalties: tuple[float, ...] = (0.3, 0.03, 0.003)
    embedding_scales: tuple[float, ...] = (0.0, 0.3, 1.0)
    min_labels: int = 20
    min_minority: float = 5.0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions for rows by estimators that saw none of their group. folds (n,): which rows stood together."""

    prediction: Prediction
    folds: Integers


def fit(training: TrainingSet, settings: FitSettings | None = None) -> Estimator:
    """The estimator for this training set. The order of rows changes nothing; the seed only places the folds.

    Raises DataError where a training set holds a single question (see `folds`)."""
    from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]  # it ships none

    import_module("sklearn.linear_model")  # before the limit: it reaches only libraries that are loaded
    how = settings or FitSettings()
    rows = training.ordered()
    # One thread: the same sums on any machine, the other cores left alone, and no OpenMP barriers: where the cores were
    # busy, waiting at them took 50 s of a fit of 300 rows.
    with threadpool_limits(limits=1):
        frame, inner = _prepared(rows, how)
        right = with_relatives(rows.routes, _each_alone(inner, rows), inner.x, rows.correct, rows.weights)
        tokens = [_fit_tokens(inner, rows.output_tokens[:, r]) for r in range(len(rows.routes))]
    return _assemble(rows, frame, right, tokens)


@dataclass(frozen=True, slots=True)
class Alone:
    """Each route's own model of being right, before the others are heard, in the training set's order of routes; the
    rows that they were fitted on (n, p), in order of query_id; and what makes such a row of features and embedding."""

    parts: tuple[Part, ...]
    x: Doubles
    frame: tuple[Floats, Floats, Floats, Floats]


def fit_alone(training: TrainingSet, settings: FitSettings | None = None) -> Alone:
    """The first half of a fit: what `with_relatives` starts from. Raises DataError as `fit`."""
    how, rows = settings or FitSettings(), training.ordered()
    frame, inner = _prepared(rows, how)
    return Alone(tuple(_each_alone(inner, rows)), inner.x, frame)


def cross_predict(training: TrainingSet, count: int = 5, settings: FitSettings | None = None) -> HeldOut:
    """Every row predicted by an estimator fitted without its group, and without its question in another group.

    count: most folds; with fewer groups each is held out on its own (questions, where there is one group). Rows come
    back in the set's order. Raises DataError where nothing is left to fit on."""
    how = settings or FitSettings()
    order = np.array(sorted(range(len(training)), key=training.query_ids.__getitem__), dtype=np.int64)
    rows = training.rows(order)  # the last bits of a matrix product depend on the order of rows too
    held = folds(rows, count, how.seed)
    shape = (len(rows), len(rows.routes))
    out = Prediction(*(np.full(shape, np.nan) for _ in fields(Prediction)))
    for fold in range(int(held.max()) + 1):
        out_of = held == fold
        learnt_from = beside(held, fold, rows.questions)
        if not learnt_from.any():
            raise DataError("every group asks the same questions: nothing is left to learn from when one is held out")
        part = fit(rows.rows(learnt_from), how).predict(rows.features[out_of], rows.embeddings[out_of])
        for field in fields(Prediction):
            getattr(out, field.name)[order[out_of]] = getattr(part, field.name)
    back = np.empty_like(held)
    back[order] = held
    return HeldOut(out, back)


def _frame(rows: TrainingSet, how: FitSettings) -> tuple[Floats, Floats, Floats, Floats]:
    """Feature mean and scale, embedding mean and projection.

    A feature that never varied keeps scale 1: its weight stays at the prior, so a text that has it is far off. The
    projection is on the main axes (by eigenvectors), the first at unit variance and the others in proportion."""
    features, embeddings = rows.features.astype(np.float64), rows.embeddings.astype(np.float64)
    scale = features.std(axis=0)
    scale[scale < 1e-6] = 1.0
    centre = embeddings.mean(axis=0)
    kept = min(how.max_components, len(rows) // how.rows_per_component, embeddings.shape[1])
    values, axes = np.linalg.eigh((embeddings - centre).T @ (embeddings - centre) / len(rows))
    axes = axes[:, ::-1][:, : kept if values[-1] > 1e-12 else 0]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    projection = axes * signs / np.sqrt(max(float(values[-1]), 1e-12))
    mean = features.mean(axis=0)
    return cast(
        "tuple[Floats, Floats, Floats, Floats]", tuple(a.astype(np.float32) for a in (mean, scale, centre, projection))
    )


def _sides(rows: TrainingSet, how: FitSettings) -> list[tuple[Mask, Mask]]:
    """(fit on, hold out) for each inner fold."""
    held = folds(rows, how.inner_folds, how.seed)
    return [(beside(held, k, rows.questions), held == k) for k in range(int(held.max()) + 1)]


def _prepared(rows: TrainingSet, how: FitSettings) -> tuple[tuple[Floats, Floats, Floats, Floats], _Inner]:
    """How a row is made, and the rows with their inner folds."""
    frame = _frame(rows, how)
    x = design(rows.features, rows.embeddings, *frame).astype(np.float64)
    return frame, _Inner(x, 1 + rows.features.shape[1], _sides(rows, how), np.array(rows.groups), how)


@dataclass(frozen=True, slots=True)
class _Inner:
    """The rows of a fit (n, p), of which the first `wide` columns are no embedding, with groups (n,), and for each
    fold which rows it may be fitted on and which it holds out."""

    x: Doubles
    wide: int
    sides: Sequence[tuple[Mask, Mask]]
    groups: NDArray[np.str_]
    how: FitSettings

    def scaled(self, scale: float) -> Doubles:
        """The rows with the embedding's columns at this scale; without them at 0."""
        if scale == 0:
            return self.x[:, : self.wide]
        return np.concatenate([self.x[:, : self.wide], self.x[:, self.wide :] * scale], axis=1)

    def scales(self) -> tuple[float, ...]:
        return self.how.embedding_scales if self.x.shape[1] > self.wide else (0.0,)

    def splits(self, known: Mask, fits: Callable[[Mask], bool]) -> list[tuple[Mask, Mask]]:
        """(fit on, hold out) for each fold that has known rows to hold out and enough of them to fit on."""
        pairs = [(known & inside, known & outside) for inside, outside in self.sides]
        return [(inside, outside) for inside, outside in pairs if outside.any() and fits(inside)]

    def full(self, weights: Doubles, factor: Doubles, scale: float) -> tuple[Doubles, Doubles]:
        """Weights and factor in terms of the unscaled rows, zeros where columns were left out."""
        p, q = self.x.shape[1], len(weights)
        at = np.concatenate([np.ones(self.wide), np.full(q - self.wide, scale)])
        out, square = np.zeros(p), np.zeros((p, p))
        out[:q], square[:q, :q] = weights * at, factor * at[:, None]
        return out, square


@dataclass(frozen=True, slots=True)
class _Choice:
    """The candidate that did best on held-out rows: the embedding's scale, the shrinkage, the held-out scores (n,), the
    weights of each split, and the loss."""

    scale: float
    shrinkage: float
    scores: Doubles
    weights: tuple[Doubles, ...]
    loss: float


def _search(
    inner: _Inner,
    splits: Sequence[tuple[Mask, Mask]],
    shrinkages: Sequence[float],
    path: Callable[[Doubles, Mask], Sequence[Doubles]],
    loss: Callable[[Doubles], float],
) -> _Choice:
    """The best of embedding scales and shrinkages. path: rows, which of them to fit on -> weights per shrinkage."""
    best: _Choice | None = None
    for scale in inner.scales():
        x = inner.scaled(scale)
        paths = [path(x, inside) for inside, _ in splits]
        for at, shrinkage in enumerate(shrinkages):
            scores = np.zeros(len(x))
            for (_, outside), weights in zip(splits, paths, strict=True):
                scores[outside] = x[outside] @ weights[at]
            found = _Choice(scale, shrinkage, scores, tuple(weights[at] for weights in paths), loss(scores))
            if best is None or found.loss < best.loss - 1e-6:  # on a tie the simpler one, which comes first
                best = found
    if best is None:
        raise ValueError("no candidates")
    return best


def _each_alone(inner: _Inner, rows: TrainingSet) -> list[Part]:
    """One part a route, of being right."""
    return [_fit_correct(inner, rows.correct[:, r], rows.weights[:, r]) for r in range(len(rows.routes))]


def _fit_correct(inner: _Inner, correct: Doubles, weights: Doubles) -> Part:
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

    choice = _search(
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


def _enough(y: Doubles, w: Doubles, how: FitSettings) -> bool:
    """Whether these labels can bear a model; otherwise the route gets a constant."""
    return len(y) >= how.min_labels and min(float(w @ y), float(w @ (1 - y))) >= how.min_minority


def _levels(groups: NDArray[np.str_], seen: Mask) -> Integers:
    """A number for each group of at least GROUP_LABELS seen rows, -1 for all others; (n,)."""
    names, place = np.unique(groups, return_inverse=True)
    large = np.bincount(place, seen, len(names)) >= GROUP_LABELS
    return np.where(large, np.cumsum(large) - 1, -1)[place]


def _fit_tokens(inner: _Inner, tokens: Doubles) -> Part:
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

    choice = _search(inner, splits, inner.how.token_penalties, path, deviance)
    means = np.exp(np.clip(choice.scores[seen], low, high))
    dispersion = float(((relative[seen] - means) ** 2 / means).mean())
    level = _spread(_levels(inner.groups, seen)[seen], relative[seen] - means, means, dispersion)
    x = inner.scaled(choice.scale)[known]
    weights = poisson_path(x, relative[known], (choice.shrinkage,))[0]
    factor = poisson_factor(x, weights, choice.shrinkage, dispersion)
    weights[0] += np.log(unit)
    weights, factor = inner.full(weights, factor, choice.scale)
    return Part(weights, factor, min(level, MAX_LEVEL_VARIANCE), float(y.min()), float(y.max()))


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


def _input_line(text_length: Doubles, tokens: Doubles) -> tuple[float, float]:
    """(base, rate) of input tokens = base + rate * characters, neither negative; (0, 1/4) where nothing is known."""
    known = np.isfinite(tokens)
    x, y = text_length[known], tokens[known]
    if len(y) == 0 or x.sum() <= 0:
        return (float(y.mean()), 0.0) if len(y) else (0.0, 0.25)
    through_zero = (0.0, float(y.sum() / x.sum()))
    if len(y) < 3 or x.std() < 1e-9:
        return through_zero
    rate = float(np.cov(x, y, bias=True)[0, 1] / x.var())
    base = float(y.mean() - rate * x.mean())
    if rate < 0:
        return float(y.mean()), 0.0
    return (base, rate) if base >= 0 else through_zero


def _assemble(
    rows: TrainingSet, frame: tuple[Floats, Floats, Floats, Floats], right: Sequence[Part], tokens: Sequence[Part]
) -> Estimator:
    """The parts of all routes side by side; without the embedding's columns where no route uses them."""
    mean, scale, centre, projection = frame
    wide = 1 + len(mean)
    used = any(part.weights[wide:].any() for part in (*right, *tokens))
    p = wide + (projection.shape[1] if used else 0)
    parts = (*right, *tokens)
    weights = np.stack([part.weights[:p] for part in parts], axis=1)
    product = np.concatenate([weights, *(part.factor[:p, :p] for part in parts)], axis=1)
    lines = [_input_line(characters(rows.features), rows.input_tokens[:, r]) for r in range(len(rows.routes))]

    def column(of: Callable[[Part], float], among: Sequence[Part]) -> Doubles:
        return np.array([of(part) for part in among], dtype=np.float64)

    return Estimator(
        rows.routes,
        mean,
        scale,
        centre,
        projection[:, : p - wide],
        product.astype(np.float32),
        slope=column(lambda part: part.calibration.slope if part.calibration else 1.0, right),
        offset=column(lambda part: part.calibration.offset if part.calibration else 0.0, right),
        level_variance=column(lambda part: part.level_variance, right),
        p_least=column(lambda part: part.least, right),
        tokens_least=column(lambda part: part.least, tokens),
        tokens_most=column(lambda part: part.most, tokens),
        tokens_level_variance=column(lambda part: part.level_variance, tokens),
        input_base=np.array([base for base, _ in lines]),
        input_per_character=np.array([rate for _, rate in lines]),
    )
