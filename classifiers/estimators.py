"""What each route will do with a query: arrays that were fitted elsewhere, and one matrix product to read them.

Importing and using this module needs numpy only; `fitting.py` makes the arrays.

A query's row is x = (1, standardised features, projected embedding). For each of R routes the fit gives a weight
vector and a factor L of the weights' posterior covariance (Laplace's approximation: MacKay, "The evidence framework
applied to classification networks", 1992), for correctness (logistic) and for output tokens (Poisson with log link).
All of them stand side by side in one matrix, so x times that matrix holds every route's scores and, as the squared
length of x L, their variances: small where there were data, growing with the distance from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .calibration import sigmoid
from .features import characters
from .support import Standard, Support

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

REACH = 8.0
"""Standard deviations from the training data beyond which a feature counts no further."""

MAX_LOGIT_VARIANCE = 25.0
"""Bound on the variance of a logit: beyond it a probability is as unknown as it can be."""

MAX_LOG_VARIANCE = 4.0
"""Bound on the variance of log tokens: beyond it the standard error says "unknown" anyway."""

ROWS_AT_ONCE = 2048
"""Rows of one matrix product: bounds the memory of a large batch."""

_NODES, _WEIGHTS = (np.asarray(part, dtype=np.float64) for part in np.polynomial.hermite_e.hermegauss(7))
_SHARES = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What R routes are expected to do with n queries; each array is (n, R), float64, columns in the estimator's order;
    beyond (n,): which queries are so unlike those learnt from that nothing should rest on this (support.py).

    p_correct and its standard error are in [0, 1] ([0, 0.5] for the error); tokens are counts, NaN for a route whose
    tokens were never recorded. Standard errors are of the estimate (the expected value), not of one draw."""

    p_correct: Doubles
    p_correct_se: Doubles
    input_tokens: Doubles
    output_tokens: Doubles
    output_tokens_se: Doubles
    beyond: Mask

    @classmethod
    def empty(cls, n: int, routes: int) -> Prediction:
        """Nothing known yet, to be filled."""
        known = {name: np.full((n, routes), np.nan) for name in _BY_ROUTE}
        return cls(**known, beyond=np.zeros(n, bool))

    def fill(self, rows: Integers, part: Prediction) -> None:
        """Put a prediction for these rows in its place."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)

    def of(self, columns: Sequence[int]) -> Prediction:
        """The routes at these columns alone, in this order."""
        return replace(self, **{name: getattr(self, name)[:, list(columns)] for name in _BY_ROUTE})


_BY_ROUTE = ("p_correct", "p_correct_se", "input_tokens", "output_tokens", "output_tokens_se")


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Fitted arrays for R routes, f features, d embedding dimensions projected to k, p = 1 + f + k.

    feature_mean, feature_scale (f,); embedding_mean (d,); projection (d, k).
    product (p, 2R + 2Rp): weights of correctness, weights of log tokens, then the 2R covariance factors.
    slope, offset, level_variance (R,): calibration of correctness; how far the level of a whole unseen group lies off,
    as a variance of logits. p_least (R,): no probability is closer to 0 or 1 than this.
    tokens_least, tokens_most (R,): the range seen in training; tokens_level_variance (R,): as above, of log tokens.
    input_base, input_per_character (R,): input tokens = base + per character * characters of the text.
    support_mean, support_scale (p - 1,), support_spread (p, p), support_farthest (1,): how far the training rows reach
    (support.py)."""

    routes: tuple[str, ...]
    feature_mean: Floats
    feature_scale: Floats
    embedding_mean: Floats
    projection: Floats
    product: Floats
    slope: Doubles
    offset: Doubles
    level_variance: Doubles
    p_least: Doubles
    tokens_least: Doubles
    tokens_most: Doubles
    tokens_level_variance: Doubles
    input_base: Doubles
    input_per_character: Doubles
    support_mean: Doubles
    support_scale: Doubles
    support_spread: Floats
    support_farthest: Doubles

    @property
    def support(self) -> Support:
        """What rows the fit may speak of."""
        standard = Standard(self.support_mean, self.support_scale)
        return Support(standard, self.support_spread, float(self.support_farthest[0]))

    def predict(self, features: Floats, embeddings: Floats) -> Prediction:
        """Estimates of all routes for n queries. features: (n, f); embeddings: (n, d). Raises ValueError for other
        widths."""
        f, d = len(self.feature_mean), len(self.embedding_mean)
        if features.shape[1:] != (f,) or embeddings.shape[1:] != (d,):
            raise ValueError(f"features {features.shape}, embeddings {embeddings.shape}; trained on (n, {f}), (n, {d})")
        if len(features) <= ROWS_AT_ONCE:
            return self._predict(features, embeddings)
        starts = range(0, len(features), ROWS_AT_ONCE)
        parts = [self._predict(features[s : s + ROWS_AT_ONCE], embeddings[s : s + ROWS_AT_ONCE]) for s in starts]
        names = [field.name for field in fields(Prediction)]
        return Prediction(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def _predict(self, features: Floats, embeddings: Floats) -> Prediction:
        r = len(self.routes)
        row = design(features, embeddings, self.feature_mean, self.feature_scale, self.embedding_mean, self.projection)
        out = row @ self.product
        scores = out[:, : 2 * r].astype(np.float64)
        spread = out[:, 2 * r :].reshape(len(out), 2 * r, -1)
        variance = np.einsum("nrp,nrp->nr", spread, spread).astype(np.float64)
        p, p_se = self._correctness(scores[:, :r], variance[:, :r])
        tokens, tokens_se = self._tokens(scores[:, r:], variance[:, r:])
        inputs = characters(features)[:, None] * self.input_per_character + self.input_base
        beyond = self.support.beyond(row[:, 1:].astype(np.float64))
        return Prediction(p, p_se, inputs, tokens, tokens_se, beyond)

    def _correctness(self, scores: Doubles, variance: Doubles) -> tuple[Doubles, Doubles]:
        """Calibrated probability and its standard error: the spread of sigmoid(x) for normal x, by quadrature."""
        p = sigmoid(self.slope * moderated(scores, variance) + self.offset)
        p = np.minimum(np.maximum(p, self.p_least), 1.0 - self.p_least)
        steep = np.maximum(self.slope, 1.0)
        sd = np.sqrt(np.minimum(steep * steep * variance + self.level_variance, MAX_LOGIT_VARIANCE))
        draws = 1.0 / (1.0 + (1.0 / p - 1.0)[..., None] * np.exp(sd[..., None] * _NODES))
        mean = draws @ _SHARES
        return p, np.sqrt(np.maximum((draws * draws) @ _SHARES - mean * mean, 0.0))

    def _tokens(self, log_tokens: Doubles, variance: Doubles) -> tuple[Doubles, Doubles]:
        """Expected output tokens within the range seen in training, and the standard error (log-normal)."""
        tokens = np.exp(np.minimum(log_tokens, 50.0))
        tokens = np.minimum(np.maximum(tokens, self.tokens_least), self.tokens_most)
        spread = np.sqrt(np.expm1(np.minimum(variance + self.tokens_level_variance, MAX_LOG_VARIANCE)))
        return tokens, tokens * spread

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array by its name: what an artifact stores."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "routes"}

    @classmethod
    def from_arrays(cls, routes: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> Estimator:
        """The estimator whose `arrays()` these were. Raises ValueError where one is missing, too many, of another type
        or of a shape that does not fit."""
        names = {field.name for field in fields(cls)} - {"routes"}
        if set(arrays) != names:
            raise ValueError(f"arrays {sorted(set(arrays) ^ names)} are missing or unknown")
        r, f, (d, k) = len(routes), len(arrays["feature_mean"]), arrays["projection"].shape
        p = 1 + f + k
        shapes = {"feature_mean": (f,), "feature_scale": (f,), "embedding_mean": (d,), "projection": (d, k)}
        shapes |= {"product": (p, 2 * r + 2 * r * p), "support_spread": (p, p)}
        single = set(shapes)
        shapes |= {"support_mean": (p - 1,), "support_scale": (p - 1,), "support_farthest": (1,)}
        for name in names:
            dtype = np.float32 if name in single else np.float64
            if arrays[name].shape != shapes.get(name, (r,)) or arrays[name].dtype != dtype:
                raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}")
        return cls(routes, **{name: np.ascontiguousarray(arrays[name]) for name in sorted(names)})


def moderated(scores: Doubles, variance: Doubles) -> Doubles:
    """The logit of the mean of sigmoid(x) for normal x of this mean and variance (MacKay 1992): uncertain scores move
    towards one half."""
    return scores / np.sqrt(1.0 + (np.pi / 8.0) * variance)


def design(
    features: Floats,
    embeddings: Floats,
    feature_mean: Floats,
    feature_scale: Floats,
    embedding_mean: Floats,
    projection: Floats,
) -> Floats:
    """Rows of the linear model: 1, standardised features (within REACH), projected embedding; (n, 1 + f + k)."""
    wide = 1 + features.shape[1]
    rows = np.ones((len(features), wide + projection.shape[1]), dtype=np.float32)
    standardised = np.divide(features - feature_mean, feature_scale, out=rows[:, 1:wide])
    np.minimum(np.maximum(standardised, -REACH, out=standardised), REACH, out=standardised)
    np.matmul(embeddings - embedding_mean, projection, out=rows[:, wide:])
    return rows
