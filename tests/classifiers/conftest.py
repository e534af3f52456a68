"""Parts that the classifiers' tests share: the shipped encoder, and small worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pointsman.classifiers import Embedder, TrainingSet, load_embedder
from pointsman.classifiers.features import FEATURES
from pointsman.classifiers.training import Doubles


@pytest.fixture(scope="session")
def static() -> Embedder:
    """The encoder that ships."""
    return load_embedder("static")


@dataclass(frozen=True)
class World:
    """Queries with the truth behind them: training set, true probabilities (n, R), true mean tokens (n, R)."""

    training: TrainingSet
    p: Doubles
    tokens: Doubles


def make_world(n: int, seed: int = 0, groups: int = 0, dimensions: int = 8) -> World:
    """n queries, three routes: two that depend on the query's difficulty (the first feature), one that is always right.

    groups: so many groups of equal size; 0: each query is its own group."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, len(FEATURES))).astype(np.float32)
    embeddings = rng.normal(size=(n, dimensions)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    difficulty = features[:, 0].astype(np.float64)
    logits = np.stack([0.5 - 1.5 * difficulty, 1.5 - difficulty, np.full(n, 50.0)], axis=1)
    p = 1 / (1 + np.exp(-logits))
    tokens = np.stack([np.full(n, 5.0), 100 * np.exp(0.5 * difficulty), 400 * np.exp(0.3 * difficulty)], axis=1)
    ids = tuple(f"q{i:06}" for i in range(n))
    training = TrainingSet(
        ids,
        tuple(f"g{i % groups}" for i in range(n)) if groups else ids,
        ids,
        features,
        embeddings,
        ("small", "budgeted", "full"),
        (rng.random(p.shape) < p).astype(np.float64),
        np.stack([20 + 0.25 * np.expm1(features[:, 0])] * 3, axis=1),
        np.maximum(rng.gamma(4.0, tokens / 4.0), 1.0),
        np.ones(p.shape),
    )
    return World(training, p, tokens)


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """`make_world`, for tests."""
    return make_world
