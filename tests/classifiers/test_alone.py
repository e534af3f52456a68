"""Each route's own models: what stands for one that cannot be fitted, what labels and groups tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pointsman.classifiers import auroc, fit
from pointsman.classifiers.shrinkage import FitSettings

QUICK = FitSettings(strengths=(0.01, 0.1, 1.0), token_penalties=(0.1, 0.01), embedding_scales=(0.0, 1.0), inner_folds=3)


@pytest.mark.parametrize("labels", [[], [1.0], [0.0, 0.0, 0.0], [1.0] * 40, [1.0, 0.0, 1.0]])
def test_a_route_of_few_labels_or_one_class_gets_the_rule_of_succession(labels: list[float], world: Callable) -> None:
    data = world(60, seed=6).training
    correct, weights = data.correct.copy(), data.weights.copy()
    correct[:, 0] = np.nan
    correct[: len(labels), 0] = labels
    weights[:, 0] = np.isfinite(correct[:, 0])
    found = fit(replace(data, correct=correct, weights=weights), QUICK).predict(data.features, data.embeddings)
    n, right = len(labels), sum(labels)
    assert found.p_correct[:, 0] == pytest.approx((right + 1) / (n + 2), abs=1e-4)
    beta = np.sqrt((right + 1) * (n - right + 1) / ((n + 2) ** 2 * (n + 3)))
    assert 0.7 * beta < found.p_correct_se[0, 0] < 3 * beta


def test_tokens_that_were_never_recorded_are_nan_and_few_are_their_mean(world: Callable) -> None:
    data = world(60, seed=7).training
    tokens = data.output_tokens.copy()
    tokens[:, 0], tokens[4:, 1] = np.nan, np.nan
    found = fit(replace(data, output_tokens=tokens), QUICK).predict(data.features, data.embeddings)
    assert np.isnan(found.output_tokens[:, 0]).all()
    assert np.isnan(found.output_tokens_se[:, 0]).all()
    assert found.output_tokens[:, 1] == pytest.approx(tokens[:4, 1].mean(), rel=1e-4)
    assert (found.output_tokens_se[:, 1] > 0.1 * found.output_tokens[:, 1]).all()
    assert np.isfinite(found.output_tokens[:, 2]).all()


def test_tokens_that_are_all_zero_are_expected_to_stay_so(world: Callable) -> None:
    data = world(60, seed=8).training
    found = fit(replace(data, output_tokens=data.output_tokens * 0), QUICK).predict(data.features, data.embeddings)
    assert np.abs(found.output_tokens).max() < 1e-6


def test_a_weight_of_nothing_leaves_a_label_out(world: Callable) -> None:
    data = world(160, seed=9).training
    half = np.arange(160) < 80
    lied = np.where(half[:, None], data.correct, 1 - data.correct)
    light = replace(data, correct=lied, weights=data.weights * np.where(half[:, None], 1.0, 1e-6))
    heard = fit(light, QUICK).predict(data.features, data.embeddings).p_correct
    truth, lies = auroc(heard[half, 0], data.correct[half, 0]), auroc(heard[~half, 0], lied[~half, 0])
    assert truth > 0.7
    assert lies < 0.4


def test_an_unseen_groups_level_widens_the_error(world: Callable) -> None:
    """Groups that differ in level by more than their features say: a new one may lie as far off."""
    data = world(400, seed=11, groups=8).training
    shift = np.array([int(group[1:]) % 2 for group in data.groups])
    correct = data.correct.copy()
    correct[:, 0] = np.where(np.random.default_rng(0).random(400) < 0.6, shift, correct[:, 0])
    uneven = fit(replace(data, correct=correct), QUICK)
    even = fit(data, QUICK)
    assert uneven.level_variance[0] > 0.3
    assert even.level_variance[0] < 0.2
    assert uneven.predict(data.features, data.embeddings).p_correct_se[:, 0].mean() > 0.1
