"""The rows of a fit, and how strongly it shrinks: chosen on whole groups held out inside the training set.

A row is the lexical features and, beside them, the embedding on its main axes; how much the embedding may say is chosen
with the shrinkage (often nothing: off its home benchmark an embedding misleads)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from .estimators import Floats, design
from .training import Doubles, Integers, TrainingSet, beside, folds

Mask: TypeAlias = NDArray[np.bool_]
Frame: TypeAlias = tuple[Floats, Floats, Floats, Floats]
"""What makes a row of features and embedding: feature mean and scale, embedding mean and projection."""


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
class Inner:
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

    def blocks(self) -> Integers:
        """Which rows are held out together, (n,)."""
        found = np.zeros(len(self.x), dtype=np.int64)
        for fold, (_, outside) in enumerate(self.sides):
            found[outside] = fold
        return found

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


def prepared(rows: TrainingSet, how: FitSettings) -> tuple[Frame, Inner]:
    """How a row is made, and the rows with their inner folds."""
    frame = _frame(rows, how)
    x = design(rows.features, rows.embeddings, *frame).astype(np.float64)
    return frame, Inner(x, 1 + rows.features.shape[1], _sides(rows, how), np.array(rows.groups), how)


def _frame(rows: TrainingSet, how: FitSettings) -> Frame:
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


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that did best on held-out rows: the embedding's scale, the shrinkage, the held-out scores (n,), the
    weights of each split, and the loss."""

    scale: float
    shrinkage: float
    scores: Doubles
    weights: tuple[Doubles, ...]
    loss: float


def search(
    inner: Inner,
    splits: Sequence[tuple[Mask, Mask]],
    shrinkages: Sequence[float],
    path: Callable[[Doubles, Mask], Sequence[Doubles]],
    loss: Callable[[Doubles], float],
) -> Choice:
    """The best of embedding scales and shrinkages. path: rows, which of them to fit on -> weights per shrinkage."""
    best: Choice | None = None
    for scale in inner.scales():
        x = inner.scaled(scale)
        paths = [path(x, inside) for inside, _ in splits]
        for at, shrinkage in enumerate(shrinkages):
            scores = np.zeros(len(x))
            for (_, outside), weights in zip(splits, paths, strict=True):
                scores[outside] = x[outside] @ weights[at]
            found = Choice(scale, shrinkage, scores, tuple(weights[at] for weights in paths), loss(scores))
            if best is None or found.loss < best.loss - 1e-6:  # on a tie the simpler one, which comes first
                best = found
    if best is None:
        raise ValueError("no candidates")
    return best
