"""What training rows support: rows near them, not those further than the held-out ones were from the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pointsman.classifiers.support import PENALTY, Standard, Support, with_constant


def rows(n: int, p: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows on a line through p columns, a little off it, in four blocks."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) * np.linspace(1, 2, p) + 0.05 * rng.normal(size=(n, p)) + 3
    return x, np.arange(n) % 4


@given(st.integers(8, 200), st.integers(1, 6), st.integers(0, 99))
def test_no_training_row_is_beyond_the_training_rows(n: int, p: int, seed: int) -> None:
    x, blocks = rows(n, p, seed)
    assert not Support.of(x, blocks).beyond(x).any()


def test_the_farthest_is_the_most_leverage_over_the_other_blocks() -> None:
    x, blocks = rows(40, 3, 1)
    z = with_constant(Standard.of(x)(x))
    penalty = np.diag([1e-6, PENALTY, PENALTY, PENALTY])
    held_out = [
        z[i] @ np.linalg.inv(z[blocks != blocks[i]].T @ z[blocks != blocks[i]] + penalty) @ z[i] for i in range(40)
    ]
    support = Support.of(x, blocks)
    assert support.farthest == pytest.approx(max(held_out))
    # The same in the stored factor, over all rows.
    whole = np.square(z @ support.spread.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(whole, np.einsum("np,pq,nq->n", z, np.linalg.inv(z.T @ z + penalty), z), rtol=1e-5)


def test_a_row_that_is_far_away_is_beyond() -> None:
    x, blocks = rows(100, 3, 2)
    support = Support.of(x, blocks)
    far = x.mean(axis=0) + 50 * x.std(axis=0)
    assert support.beyond(far)
    assert support.beyond(np.stack([x[0], far])).tolist() == [False, True]


def test_a_row_whose_columns_are_usual_but_not_together_is_beyond() -> None:
    """Hidden extrapolation: off the line on which all rows lie, within every column's range."""
    rng = np.random.default_rng(3)
    t = rng.uniform(-1, 1, 4000)
    x = np.stack([t, t + 0.01 * rng.normal(size=4000)], axis=1)
    odd = np.array([0.9, -0.9])
    assert (x.min(axis=0) < odd).all()
    assert (odd < x.max(axis=0)).all()
    assert Support.of(x, np.arange(4000) % 4).beyond(odd)


def test_a_column_that_never_varied_must_stay_the_same() -> None:
    x, blocks = rows(60, 2, 4)
    support = Support.of(np.column_stack([x, np.full(60, 0.1)]), blocks)
    assert not support.beyond(np.array([*x[0], 0.1]))
    assert support.beyond(np.array([*x[0], 1.0]))


def test_twice_as_far_as_the_farthest_is_still_supported() -> None:
    x, blocks = rows(100, 1, 6)
    support = Support.of(x, blocks)
    reach = np.sqrt(1.9 * support.farthest), np.sqrt(2.1 * support.farthest)
    direction = support.spread[1:].astype(np.float64)

    # Along one column z: leverage = |(1, z) spread|^2; solved for z by bisection.
    def leverage(z: float) -> float:
        return float(np.square(support.spread[0].astype(np.float64) + z * direction[0]).sum())

    for wanted, beyond in zip(reach, (False, True), strict=True):
        low, high = 0.0, 1e6
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if leverage(middle) < wanted**2 else (low, middle)
        assert bool(support.beyond(support.standard.mean + low * support.standard.scale)) == beyond


def test_one_block_is_measured_by_itself() -> None:
    x, _ = rows(30, 2, 5)
    support = Support.of(x, np.zeros(30, dtype=np.int64))
    assert not support.beyond(x).any()
    assert support.beyond(x.mean(axis=0) + 30 * x.std(axis=0))
