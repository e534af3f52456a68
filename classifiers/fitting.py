"""Fitting an estimator to a training set, and predicting groups that the fit has not seen.

For each route, two linear models on the same rows: logistic regression (right or wrong) and Poisson regression with
log link (output tokens; consistent for the mean whatever the distribution, Gourieroux et al. 1984), fitted in alone.py
with what shrinkage.py chooses. Of being right the other routes tell more, the more the fewer labels a route has
(relatives.py). scikit-learn is imported when a fit starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from ..errors import DataError
from .alone import each_alone, tokens_alone
from .estimators import Estimator, Prediction
from .features import characters
from .parts import Part
from .relatives import with_relatives
from .shrinkage import FitSettings, Frame, Inner, prepared
from .support import Support
from .training import Doubles, Integers, TrainingSet, beside, folds


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
        frame, inner = prepared(rows, how)
        right = with_relatives(rows.routes, each_alone(inner, rows), inner.x, rows.correct, rows.weights)
        tokens = [tokens_alone(inner, rows.output_tokens[:, r]) for r in range(len(rows.routes))]
        return _assemble(rows, frame, inner, right, tokens)


def cross_predict(training: TrainingSet, count: int = 5, settings: FitSettings | None = None) -> HeldOut:
    """Every row predicted by an estimator fitted without its group, and without its question in another group.

    count: most folds; with fewer groups each is held out on its own (questions, where there is one group). Rows come
    back in the set's order. Raises DataError where nothing is left to fit on."""
    how = settings or FitSettings()
    order = np.array(sorted(range(len(training)), key=training.query_ids.__getitem__), dtype=np.int64)
    rows = training.rows(order)  # the last bits of a matrix product depend on the order of rows too
    held = folds(rows, count, how.seed)
    out = Prediction.empty(len(rows), len(rows.routes))
    for fold in range(int(held.max()) + 1):
        out_of = held == fold
        learnt_from = beside(held, fold, rows.questions)
        if not learnt_from.any():
            raise DataError("every group asks the same questions: nothing is left to learn from when one is held out")
        part = fit(rows.rows(learnt_from), how).predict(rows.features[out_of], rows.embeddings[out_of])
        out.fill(order[out_of], part)
    back = np.empty_like(held)
    back[order] = held
    return HeldOut(out, back)


def _assemble(
    rows: TrainingSet, frame: Frame, inner: Inner, right: Sequence[Part], tokens: Sequence[Part]
) -> Estimator:
    """The parts of all routes side by side; without the embedding's columns where no route uses them."""
    mean, scale, centre, projection = frame
    wide = 1 + len(mean)
    used = any(part.weights[wide:].any() for part in (*right, *tokens))
    p = wide + (projection.shape[1] if used else 0)
    parts = (*right, *tokens)
    weights = np.stack([part.weights[:p] for part in parts], axis=1)
    product = np.concatenate([weights, *(part.factor[:p, :p] for part in parts)], axis=1)
    support = Support.of(inner.x[:, 1:p], inner.blocks())
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
        support_mean=support.standard.mean,
        support_scale=support.standard.scale,
        support_spread=support.spread,
        support_farthest=np.array([support.farthest]),
    )


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
