"""Regression of many targets at once on the same rows: what a state of evidence says about what comes of each action.

One interface, `Smoother.fit(x, y, blocks, lead)`: it gives predictions for the training rows by fits that did not see
their block (cross-fitting), and a function for new rows. All targets of a state share one fit, so that hundreds of
them (each action at each price of an error) cost no more than one matrix product. `ridge` serves; the others are there
to compare with, on the same folds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest
from .calibration import sigmoid
from .linear import logistic_path
from .support import Standard, with_constant

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Predict: TypeAlias = Callable[[Doubles], Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """held_out (n, t): predictions for the training rows without their block; predict: (m, p) -> (m, t). linear: the
    same as arrays, mean (p,), scale (p,) and weights (1 + p, t), where that is all there is to it."""

    held_out: Doubles
    predict: Predict
    linear: tuple[Doubles, Doubles, Doubles] | None = None


class Smoother(Protocol):
    """A way to regress targets y (n, t) on rows x (n, p)."""

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        """blocks (n,): rows of one number are held out together. The first `lead` columns of y are labels in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Ridge:
    """Linear regression with a penalty on standardised weights (Hoerl & Kennard 1970), the constant free.

    penalty: in rows; how many rows of evidence a weight must outweigh."""

    penalty: float = 100.0

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        standard = Standard.of(x)
        z = with_constant(standard(x))
        prior = np.diag(np.concatenate([[1e-6], np.full(z.shape[1] - 1, self.penalty)]))
        gram, cross = z.T @ z + prior, z.T @ y
        held_out = np.empty_like(y)
        for block in np.unique(blocks):
            inside = blocks == block
            part, rest = z[inside], ~inside
            weights = np.linalg.solve(gram - part.T @ part, cross - part.T @ y[inside]) if rest.any() else 0 * cross
            held_out[inside] = part @ weights
        weights = np.asarray(np.linalg.solve(gram, cross), np.float64)
        linear = standard.mean, standard.scale, weights
        return Smooth(held_out, lambda new: with_constant(standard(new)) @ weights, linear)


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression of the labels (the first `lead` targets), ridge for the others.

    strength: prior variance of a standardised weight."""

    strength: float = 0.1
    penalty: float = 100.0

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        other = Ridge(self.penalty).fit(x, y, blocks, lead)
        standard = Standard.of(x)
        z = with_constant(standard(x))
        held_out = other.held_out.copy()
        for block in np.unique(blocks):
            inside = blocks == block
            if (~inside).any():
                held_out[inside, :lead] = self._labels(z[~inside], y[~inside, :lead])(z[inside])
        whole = self._labels(z, y[:, :lead])

        def predict(new: Doubles) -> Doubles:
            out = other.predict(new)
            out[:, :lead] = whole(with_constant(standard(new)))
            return out

        return Smooth(held_out, predict)

    def _labels(self, z: Doubles, labels: Doubles) -> Predict:
        """Probabilities of the labels; a label that never varies stays what it is."""
        columns: list[Doubles] = []
        for label in labels.T:
            constant = np.zeros(z.shape[1])
            if np.ptp(label) > 0:
                constant = logistic_path(z, label, np.ones(len(label)), (self.strength,))[0]
            else:
                constant[0] = 30.0 if label[0] > 0.5 else -30.0
            columns.append(constant)
        weights = np.stack(columns, axis=1)
        return lambda new: sigmoid(new @ weights)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The mean of the nearest training rows on standardised columns, drawn towards that of all (as `prior` rows)."""

    count: int = 60
    prior: float = 20.0

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        standard = Standard.of(x)
        z = standard(x)
        held_out = _without_block(blocks, y, lambda rest, inside: self._mean(z[rest], y[rest], z[inside]))
        return Smooth(held_out, lambda new: self._mean(z, y, standard(new)))

    def _mean(self, z: Doubles, y: Doubles, new: Doubles) -> Doubles:
        from sklearn.neighbors import NearestNeighbors  # pyright: ignore[reportMissingTypeStubs]  # it ships none
        from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]  # it ships none

        k = min(self.count, len(z))
        # One thread: so few rows are found sooner so than two wait for each other (600 rows in 0.02 s, not 0.5 s).
        with threadpool_limits(limits=1):
            found = cast("Any", NearestNeighbors(n_neighbors=k)).fit(z).kneighbors(new, return_distance=False)
        near = np.stack([y[places].sum(axis=0) for places in found])
        return (near + self.prior * y.mean(axis=0)) / (k + self.prior)


@dataclass(frozen=True, slots=True)
class Classes:
    """A table: the mean of the rows whose yes-or-no columns (agreements, unread answers) are the same, drawn towards
    the mean of all (as `prior` rows). The text and lengths are not looked at."""

    prior: float = 20.0

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        flags = np.flatnonzero(((x == 0) | (x == 1)).all(axis=0))
        keys = x[:, flags]
        held_out = _without_block(blocks, y, lambda rest, inside: self._table(keys[rest], y[rest])(keys[inside]))
        whole = self._table(keys, y)
        return Smooth(held_out, lambda new: whole(new[:, flags]))

    def _table(self, keys: Doubles, y: Doubles) -> Predict:
        known, place = np.unique(keys, axis=0, return_inverse=True)
        total = np.zeros((len(known), y.shape[1]))
        np.add.at(total, place, y)
        overall: Doubles = np.asarray(y.mean(axis=0), np.float64)
        count = np.bincount(place, minlength=len(known))[:, None]
        means = np.concatenate([(total + self.prior * overall) / (count + self.prior), overall[None]])
        rows = {key: row for row, key in enumerate(_keys(known))}
        return lambda new: means[[rows.get(key, -1) for key in _keys(new)]]


@dataclass(frozen=True, slots=True)
class Trees:
    """Extremely randomised trees (Geurts et al. 2006) grown on the labels; their leaves average every target."""

    trees: int = 60
    leaf: int = 20

    def fit(self, x: Doubles, y: Doubles, blocks: Integers, lead: int) -> Smooth:
        held_out = _without_block(blocks, y, lambda rest, inside: self._forest(x[rest], y[rest], lead)(x[inside]))
        return Smooth(held_out, self._forest(x, y, lead))

    def _forest(self, x: Doubles, y: Doubles, lead: int) -> Predict:
        from sklearn.ensemble import ExtraTreesRegressor  # pyright: ignore[reportMissingTypeStubs]  # it ships none

        forest = cast("Any", ExtraTreesRegressor(self.trees, min_samples_leaf=self.leaf, random_state=0))
        forest.fit(x, y[:, : max(1, lead)])
        tables: list[Doubles] = []
        for tree, leaves in enumerate(forest.apply(x).T):
            size = int(forest.estimators_[tree].tree_.node_count)
            total = np.zeros((size, y.shape[1]))
            np.add.at(total, leaves, y)
            tables.append(total / np.maximum(np.bincount(leaves, minlength=size), 1)[:, None])

        def predict(new: Doubles) -> Doubles:
            found = forest.apply(new).T
            return sum((table[leaves] for table, leaves in zip(tables, found, strict=True)), np.zeros(1)) / self.trees

        return predict


SMOOTHERS: dict[str, Smoother] = {
    "ridge": Ridge(),
    "logistic": Logistic(),
    "knn": Neighbours(),
    "trees": Trees(),
    "classes": Classes(),
}
"""By the name that `--estimator` takes; the first serves."""


def smoother(name: str) -> Smoother:
    """The estimator of that name. Raises BadRequest naming those there are."""
    if name not in SMOOTHERS:
        raise BadRequest(f"There is no estimator {name!r}; there are {', '.join(SMOOTHERS)}.", field="estimator")
    return SMOOTHERS[name]


def _without_block(blocks: Integers, y: Doubles, predict: Callable[[Mask, Mask], Doubles]) -> Doubles:
    """Predictions (n, t) for each block from the others: predict(rest, inside), masks of rows. Where there is one block
    only, from itself."""
    held_out = np.empty_like(y)
    for block in np.unique(blocks):
        inside = blocks == block
        held_out[inside] = predict(~inside if (~inside).any() else inside, inside)
    return held_out


def _keys(flags: Doubles) -> list[bytes]:
    """Each row of noughts and ones as something that can be looked up."""
    return [row.tobytes() for row in flags.astype(np.uint8)]
