from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from pointsman.classifiers import Embedder, Prediction, auroc, cross_predict, ece, fit, training_set
from pointsman.classifiers.features import FEATURES, lexical_batch
from pointsman.classifiers.shrinkage import FitSettings
from pointsman.domain import Observation
from pointsman.errors import DataError

QUICK = FitSettings(strengths=(0.01, 0.1, 1.0), token_penalties=(0.1, 0.01), embedding_scales=(0.0, 1.0), inner_folds=3)


@pytest.fixture(scope="module")
def large(world: Callable):
    return world(2500, seed=0)


@pytest.fixture(scope="module")
def fitted(large):
    return fit(large.training, QUICK)


@pytest.fixture(scope="module")
def fresh(world: Callable):
    """More of the same world, with the truth behind it."""
    return world(2000, seed=1)


@pytest.fixture(scope="module")
def predicted(fitted, fresh) -> Prediction:
    return fitted.predict(fresh.training.features, fresh.training.embeddings)


def test_probabilities_are_recovered_on_queries_not_trained_on(predicted: Prediction, fresh) -> None:
    error = np.abs(predicted.p_correct - fresh.p).mean(axis=0)
    assert error[0] < 0.05
    assert error[1] < 0.05
    assert error[2] < 0.01


def test_probabilities_are_calibrated_on_queries_not_trained_on(predicted: Prediction, fresh) -> None:
    for r in range(3):
        assert ece(predicted.p_correct[:, r], fresh.training.correct[:, r]) < 0.05


def test_most_truths_lie_within_two_standard_errors(predicted: Prediction, fresh) -> None:
    """The standard error is that of the estimate: neither boastful nor useless."""
    for r in range(2):
        off = np.abs(predicted.p_correct[:, r] - fresh.p[:, r])
        assert (off <= 2 * predicted.p_correct_se[:, r]).mean() > 0.8
        assert np.median(predicted.p_correct_se[:, r]) < 0.15


def test_queries_of_the_same_world_are_supported_and_strange_ones_are_not(
    fitted, predicted: Prediction, fresh, large
) -> None:
    assert not predicted.beyond.any()
    strange = fresh.training.features[:3].copy()
    strange[0] = strange[0] + 20 * large.training.features.std(axis=0)
    strange[1, 1:] = 1e3
    found = fitted.predict(strange, fresh.training.embeddings[:3])
    assert found.beyond.tolist() == [True, True, False]
    held_out = cross_predict(large.training.rows(np.arange(300)), 3, QUICK).prediction
    assert held_out.beyond.shape == (300,)
    assert not held_out.beyond.any()


def test_expected_tokens_are_recovered_and_stay_within_the_range_seen(predicted: Prediction, fresh, large) -> None:
    relative = predicted.output_tokens / fresh.tokens
    assert np.median(np.abs(relative - 1), axis=0).max() < 0.12
    assert predicted.output_tokens.mean(axis=0) == pytest.approx(fresh.tokens.mean(axis=0), rel=0.1)
    assert (predicted.output_tokens >= large.training.output_tokens.min(axis=0)).all()
    assert (predicted.output_tokens <= large.training.output_tokens.max(axis=0)).all()


def test_input_tokens_follow_the_length_of_the_text(predicted: Prediction, fresh) -> None:
    assert predicted.input_tokens == pytest.approx(fresh.training.input_tokens, rel=0.02, abs=0.1)


def test_errors_widen_away_from_the_data(fitted, large) -> None:
    centre = large.training.features.mean(axis=0, keepdims=True)
    embedding = large.training.embeddings.mean(axis=0, keepdims=True)
    steps = [fitted.predict(centre + np.float32(distance), embedding) for distance in (0, 2, 5)]
    for name in ("p_correct_se", "output_tokens_se"):
        relative = [getattr(step, name)[0, 1] / (step.output_tokens[0, 1] if "tokens" in name else 1) for step in steps]
        assert relative[0] < relative[1] < relative[2]


def test_few_data_give_wide_errors(world: Callable, predicted: Prediction, fresh) -> None:
    small = fit(world(60, seed=2).training, QUICK).predict(fresh.training.features, fresh.training.embeddings)
    assert np.median(small.p_correct_se[:, 0]) > 2 * np.median(predicted.p_correct_se[:, 0])
    assert np.median(small.output_tokens_se[:, 1]) > 2 * np.median(predicted.output_tokens_se[:, 1])


def test_the_order_of_rows_changes_nothing_at_all(world: Callable) -> None:
    data = world(200, seed=3, groups=4).training
    shuffled = data.rows(np.random.default_rng(0).permutation(200))
    one, other = fit(data, QUICK).arrays(), fit(shuffled, QUICK).arrays()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_held_out_predictions_come_back_in_the_order_of_rows(world: Callable) -> None:
    data = world(150, seed=4, groups=5).training
    order = np.random.default_rng(0).permutation(150)
    one, other = cross_predict(data, 5, QUICK), cross_predict(data.rows(order), 5, QUICK)
    assert set(one.folds) == set(range(5))
    np.testing.assert_array_equal(one.folds[order], other.folds)
    for field in fields(Prediction):
        left, right = getattr(one.prediction, field.name), getattr(other.prediction, field.name)
        assert np.isfinite(left).all()
        np.testing.assert_array_equal(left[order], right)


def test_a_held_out_group_is_predicted_without_it(world: Callable) -> None:
    """Changing a group's labels must not change its own predictions, only the others'."""
    data = world(120, seed=5, groups=3).training
    mine = np.array([group == "g0" for group in data.groups])
    changed = replace(data, correct=np.where(mine[:, None], 1 - data.correct, data.correct))
    before, after = (cross_predict(d, 3, QUICK).prediction.p_correct for d in (data, changed))
    np.testing.assert_array_equal(before[mine], after[mine])
    assert np.abs(before[~mine] - after[~mine]).max() > 0.01


def test_a_question_of_another_group_is_not_learnt_from_when_it_is_held_out(world: Callable) -> None:
    """g1 asks what g0 asks; changing its answers there changes nothing of what is predicted for g0."""
    data = world(120, seed=5, groups=3).training
    groups = np.array(data.groups)
    mine, twin = groups == "g0", groups == "g1"
    asked = np.array(data.questions)
    asked[twin] = asked[mine]
    data = replace(data, questions=tuple(asked))
    changed = replace(data, correct=np.where(twin[:, None], 1 - data.correct, data.correct))
    before, after = (cross_predict(d, 3, QUICK).prediction.p_correct for d in (data, changed))
    np.testing.assert_array_equal(before[mine], after[mine])
    assert np.abs(before[groups == "g2"] - after[groups == "g2"]).max() > 0.01


def test_groups_that_all_ask_the_same_leave_nothing_to_learn_from(world: Callable) -> None:
    data = world(40, seed=5, groups=2).training
    same = replace(data, questions=tuple(f"q{i // 2}" for i in range(40)))
    with pytest.raises(DataError, match="same questions"):
        cross_predict(same, 2, QUICK)


def test_labels_that_are_shares_teach_as_much_as_the_draws_behind_them(world: Callable, fresh) -> None:
    made = world(400, seed=10)
    found = fit(replace(made.training, correct=made.p), QUICK)
    p = found.predict(fresh.training.features, fresh.training.embeddings).p_correct
    assert np.abs(p - fresh.p).mean(axis=0).max() < 0.06


def test_a_world_where_text_tells_is_learnt_and_shuffled_labels_are_not(static: Embedder) -> None:
    """The control must fail: what is learnt from shuffled labels is chance."""
    rng = np.random.default_rng(0)
    hard = np.array([i % 2 == 1 for i in range(200)])
    easy_text, hard_text = "Name the colour of {} number {}", "Prove that the sum of {} and its inverse {} converges"
    texts = [(hard_text if h else easy_text).format(rng.choice(["a", "b", "c"]), i) for i, h in enumerate(hard)]
    small = np.where(hard, rng.random(200) < 0.2, rng.random(200) < 0.9).astype(float)
    full = (rng.random(200) < 0.9).astype(float)

    def learnt(labels: np.ndarray) -> float:
        rows = [
            Observation(f"q{i:03}", f"q{i:03}", route, float(y[i]), 10.0, 10.0, text=texts[i])
            for i in range(200)
            for route, y in (("small", labels), ("full", full))
        ]
        data = training_set(rows, ("small", "full"), static)
        return auroc(cross_predict(data, 3, QUICK).prediction.p_correct[:, 0], data.correct[:, 0])

    assert learnt(small) > 0.8
    shuffled = [learnt(rng.permutation(small)) for _ in range(3)]
    assert abs(float(np.mean(shuffled)) - 0.5) < 0.12


def test_chains_are_routed_by_their_length(static: Embedder) -> None:
    """What the shipped artifact must learn: up to four operators `small` is right, beyond it is not; tokens grow."""
    rng = np.random.default_rng(1)

    def chain(operators: int) -> str:
        return str(rng.integers(10)) + "".join(f"{rng.choice(list('+-*'))}{rng.integers(10)}" for _ in range(operators))

    rows = []
    for i in range(240):
        operators = 1 + i % 8
        text = chain(operators)
        small = float(rng.random() < (0.98 if operators <= 4 else 0.1))
        rows.append(Observation(f"q{i:03}", f"q{i:03}", "small", small, 9.0, 2.0, text=text))
        rows.append(Observation(f"q{i:03}", f"q{i:03}", "full", 1.0, 9.0, 17.0 * operators + 6, text=text))
    found = fit(training_set(rows, ("small", "full"), static), QUICK)
    asked = [chain(operators) for operators in (1, 2, 3, 6, 7, 8)]
    p = found.predict(lexical_batch(asked), static.encode(asked))
    assert (p.p_correct[:3, 0] > 0.85).all()
    assert (p.p_correct[3:, 0] < 0.3).all()
    assert p.output_tokens[:, 1] == pytest.approx([23, 40, 57, 108, 125, 142], rel=0.1)
    strange = ["What is the capital of France, and why did it move?"]
    far = found.predict(lexical_batch(strange), static.encode(strange))
    assert far.p_correct_se[0, 0] > 2 * p.p_correct_se[:, 0].mean()


def test_a_single_question_cannot_be_learnt_from(world: Callable) -> None:
    data = world(3).training
    with pytest.raises(DataError, match="only one question"):
        fit(data.rows(np.array([0])), QUICK)
    with pytest.raises(DataError, match="only one question"):
        cross_predict(replace(data, groups=("g",) * 3, questions=("x",) * 3))


def test_two_queries_are_enough_not_to_crash(world: Callable) -> None:
    data = world(2).training
    found = fit(data, QUICK).predict(data.features, data.embeddings)
    assert (found.p_correct_se > 0.15).all()
    assert data.features.shape[1] == len(FEATURES)
