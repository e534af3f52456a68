"""What is chosen on groups held out inside a training set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pointsman.classifiers import auroc, fit
from pointsman.classifiers.shrinkage import FitSettings

QUICK = FitSettings(strengths=(0.01, 0.1, 1.0), token_penalties=(0.1, 0.01), embedding_scales=(0.0, 1.0), inner_folds=3)


def test_embeddings_that_tell_are_used_and_noise_is_dropped(world: Callable) -> None:
    made = world(600, seed=12)
    data = made.training
    signal = data.embeddings[:, 0]
    right = (np.random.default_rng(0).random(600) < 1 / (1 + np.exp(-6 * signal))).astype(float)
    told = replace(data, correct=np.stack([right, data.correct[:, 1], data.correct[:, 2]], axis=1))
    found = fit(told, QUICK)
    assert found.projection.shape[1] > 0
    assert auroc(found.predict(data.features, data.embeddings).p_correct[:, 0], right) > 0.8
    constant = fit(replace(data, embeddings=np.ones_like(data.embeddings)), QUICK)
    assert constant.projection.shape[1] == 0
