"""Every estimator of states: cross-fitting is honest, order is nothing, and each learns what it is for."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pointsman.classifiers.smoothers import SMOOTHERS, Classes, Neighbours, Ridge, Smoother, Standard, smoother
from pointsman.errors import BadRequest

Doubles = NDArray[np.float64]
NAMES = sorted(SMOOTHERS)
LEAD = 2


def data(n: int = 120, seed: int = 0) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    """Rows (a number, an agreement, a constant), two labels that the agreement tells, a gain that the number tells."""
    rng = np.random.default_rng(seed)
    number, agree = rng.normal(size=n), rng.integers(0, 2, n)
    x = np.stack([number, agree, np.full(n, 3.0)], axis=1)
    labels = (rng.random((n, LEAD)) < np.where(agree, 0.9, 0.3)[:, None]).astype(float)
    return x, np.column_stack([labels, 5 * number + rng.normal(size=n)]), np.arange(n) % 4


@pytest.mark.parametrize("name", NAMES)
def test_held_out_predictions_do_not_depend_on_their_own_blocks_targets(name: str) -> None:
    x, y, blocks = data()
    before = SMOOTHERS[name].fit(x, y, blocks, LEAD).held_out
    changed = y.copy()
    inside = blocks == 2
    changed[inside, :LEAD] = 1 - y[inside, :LEAD]
    changed[inside, LEAD:] = 1000.0
    after = SMOOTHERS[name].fit(x, changed, blocks, LEAD).held_out
    assert after[inside] == pytest.approx(before[inside], abs=1e-6)
    assert np.abs(after[~inside] - before[~inside]).max() > 0.01


@pytest.mark.parametrize("name", [n for n in NAMES if n != "trees"])
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    """Trees draw their cuts by the order of rows; the others have nothing to draw."""
    x, y, blocks = data()
    order = np.random.default_rng(3).permutation(len(x))
    one = SMOOTHERS[name].fit(x, y, blocks, LEAD)
    two = SMOOTHERS[name].fit(x[order], y[order], blocks[order], LEAD)
    assert two.held_out == pytest.approx(one.held_out[order], abs=1e-5)
    assert two.predict(x) == pytest.approx(one.predict(x), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_learns_what_the_agreement_says_of_the_labels(name: str) -> None:
    x, y, blocks = data(600)
    fitted = SMOOTHERS[name].fit(x, y, blocks, LEAD)
    new = np.array([[0.0, 0.0, 3.0], [0.0, 1.0, 3.0]])
    for predicted in (fitted.predict(new), np.stack([fitted.held_out[x[:, 1] == v].mean(axis=0) for v in (0, 1)])):
        assert predicted.shape == (2, 3)
        assert 0.2 < predicted[0, 0] < 0.48
        assert 0.72 < predicted[1, 0] < 1.0
    assert fitted.held_out.shape == y.shape


@pytest.mark.parametrize("name", [n for n in NAMES if n != "classes"])
def test_each_learns_a_gain_that_is_no_label(name: str) -> None:
    x, y, blocks = data(600)
    held_out = SMOOTHERS[name].fit(x, y, blocks, LEAD).held_out
    # The forest's cuts are grown on the labels: it may know less of what the labels do not tell.
    assert np.corrcoef(held_out[:, 2], y[:, 2])[0, 1] > (0.5 if name == "trees" else 0.9)


@settings(max_examples=20)
@given(st.floats(0.1, 1000), st.integers(0, 10**6))
def test_ridge_is_the_closed_form(penalty: float, seed: int) -> None:
    """Weights (Z'Z + penalty)^-1 Z'y on standardised rows, the constant (the mean) free; the same without a block."""
    x, y, blocks = data(60, seed)
    z = (x[:, :2] - x[:, :2].mean(axis=0)) / x[:, :2].std(axis=0)

    def closed(rows: NDArray[np.bool_], new: Doubles) -> Doubles:
        a = np.column_stack([np.ones(rows.sum()), z[rows]])
        weights = np.linalg.solve(a.T @ a + np.diag([0.0, penalty, penalty]), a.T @ y[rows])
        return np.column_stack([np.ones(len(new)), new]) @ weights

    fitted = Ridge(penalty).fit(x, y, blocks, LEAD)
    assert fitted.predict(x) == pytest.approx(closed(np.ones(60, bool), z), abs=1e-5)
    for block in range(4):
        inside = blocks == block
        assert fitted.held_out[inside] == pytest.approx(closed(~inside, z[inside]), abs=1e-5)


def test_a_heavier_penalty_draws_towards_the_mean() -> None:
    x, y, blocks = data()
    spread = [Ridge(p).fit(x, y, blocks, LEAD).predict(x).std(axis=0).max() for p in (1.0, 100.0, 1e6)]
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_label_that_never_varies_stays_what_it_is(name: str) -> None:
    x, y, blocks = data()
    y[:, 0], y[:, 1] = 1.0, 0.0
    fitted = SMOOTHERS[name].fit(x, y, blocks, LEAD)
    assert fitted.held_out[:, 0] == pytest.approx(1.0, abs=1e-4)
    assert fitted.predict(x)[:, 1] == pytest.approx(0.0, abs=1e-4)


def test_the_table_of_classes_is_a_mean_drawn_towards_that_of_all() -> None:
    x = np.array([[0.0, 0.3], [0.0, 0.7], [1.0, 0.1], [1.0, 2.0]])
    y = np.array([[0.0], [1.0], [1.0], [1.0]])
    fitted = Classes(prior=2.0).fit(x, y, np.array([0, 1, 0, 1]), 1)
    assert fitted.predict(np.array([[0.0, 9.0], [1.0, -9.0]]))[:, 0] == pytest.approx([2.5 / 4, 3.5 / 4])
    assert fitted.predict(np.array([[7.0, 0.0]]))[0, 0] == pytest.approx(0.75)  # a class never seen: the mean of all
    # Row 0 without its block: the mean of the others is 1, its class has one row of 1.
    assert fitted.held_out[0, 0] == pytest.approx((1.0 + 2.0 * 1.0) / 3)


def test_neighbours_are_the_nearest_drawn_towards_all() -> None:
    x = np.arange(10.0)[:, None]
    y = (x > 4.5).astype(float)
    fitted = Neighbours(count=3, prior=0.0).fit(x, y, np.arange(10) % 2, 1)
    assert fitted.predict(np.array([[0.0], [9.0], [4.9]]))[:, 0] == pytest.approx([0, 1, 2 / 3])
    drawn = Neighbours(count=3, prior=3.0).fit(x, y, np.arange(10) % 2, 1)
    assert drawn.predict(np.array([[0.0]]))[0, 0] == pytest.approx(0.25)


def test_neighbours_are_sought_by_one_thread() -> None:
    """Others, once started, live as long as the process does: none is there afterwards that was not before."""
    code = """
import numpy as np, psutil, sklearn.neighbors
from pointsman.classifiers.smoothers import Neighbours
x = np.random.default_rng(0).normal(size=(600, 24))
before = psutil.Process().num_threads()
Neighbours().fit(x, x[:, :3], np.arange(600) % 5, 2)
print(psutil.Process().num_threads() - before)
"""
    told = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/", env=told)
    assert done.stdout.strip() == "0"


def test_rows_are_standardised_as_the_training_rows_were() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    standard = Standard.of(x)
    assert standard(x)[:, 0].tolist() == [-1.0, 1.0]
    assert standard(np.array([[2.0, 99.0]])).tolist() == [[0.0, 0.0]]  # never varied: says nothing


def test_an_unknown_estimator_names_those_there_are() -> None:
    with pytest.raises(BadRequest, match="ridge, logistic, knn, trees, classes") as caught:
        smoother("oracle")
    assert caught.value.field == "estimator"
    made: Smoother = smoother("ridge")
    assert made == Ridge()
