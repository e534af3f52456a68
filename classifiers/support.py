"""How far the training rows reach: which new rows a fit on them may speak of.

The *leverage* of a row z is z (Z'Z + penalty)^-1 z': how much the variance of its prediction grows by where it stands
(Hoaglin & Welsch, "The hat matrix in regression and ANOVA", 1978). A row of more leverage than every fitted row is
extrapolated, though each of its columns alone may look usual (*hidden extrapolation*: Montgomery, Peck & Vining,
"Introduction to linear regression analysis", 2012, 3.8). Here a training row's leverage is taken over the rows of other
blocks: so far away the predictions were tried, when blocks were held out. What lies further was tried nowhere; twice as
far is allowed, since of rows of one kind, too, one in n + 1 is further than the farthest of n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

PENALTY = 100.0
"""In rows, as in the regression that speaks of them (smoothers.Ridge)."""
MARGIN = 2.0
"""How many times the leverage of the farthest training row is still supported."""
SAME = 1e-6
"""Relative: a column that never varied is still the same within this."""


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """Rows standardised as the training rows were: mean 0, spread 1, a column that never varies left at 0.

    mean (p,), scale (p,): infinite for such a column."""

    mean: Doubles
    scale: Doubles

    @classmethod
    def of(cls, x: Doubles) -> Standard:
        """By rows x (n, p)."""
        spread = x.std(axis=0)
        return cls(x.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))

    def __call__(self, x: Doubles) -> Doubles:
        return (x - self.mean) / self.scale

    def varied(self, x: Doubles) -> Mask:
        """Where a row (of (n, p)) differs in a column that never varied, (n,)."""
        same = np.abs(x - self.mean) <= SAME * (1 + np.abs(self.mean))
        return np.asarray((np.isinf(self.scale) & ~same).any(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What training rows of p columns support. spread (1 + p, 1 + p): a factor of the inverse of their penalised Gram
    matrix, the constant first; farthest: the most leverage of a training row over the rows of other blocks."""

    standard: Standard
    spread: Floats
    farthest: float

    @classmethod
    def of(cls, x: Doubles, blocks: Integers) -> Support:
        """By training rows x (n, p), those of one block (n,) being held out together."""
        standard = Standard.of(x)
        z = with_constant(standard(x))
        gram = z.T @ z + np.diag(np.concatenate([[1e-6], np.full(z.shape[1] - 1, PENALTY)]))
        farthest = 0.0
        for block in np.unique(blocks):
            inside = blocks == block
            part = z[inside]
            rest = gram if inside.all() else gram - part.T @ part
            farthest = max(farthest, float(np.einsum("np,pn->n", part, np.linalg.solve(rest, part.T)).max()))
        spread = np.linalg.inv(np.linalg.cholesky(gram)).T
        return cls(standard, spread.astype(np.float32), farthest)

    def beyond(self, x: Doubles) -> Mask:
        """Which of the rows x (n, p), or whether the row (p,), the training rows say nothing of."""
        z = with_constant(np.atleast_2d(self.standard(x))) @ self.spread.astype(np.float64)
        far = np.einsum("np,np->n", z, z) > MARGIN * self.farthest
        return far.reshape(x.shape[:-1]) | self.standard.varied(x)


def with_constant(z: Doubles) -> Doubles:
    """Rows (n, p) with a one before each, (n, 1 + p)."""
    return np.concatenate([np.ones((len(z), 1)), z], axis=1)
