"""Gains pooled over groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.router.jobs.effects import pooled


def drawn(groups: int, rows: int, between: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values of so many groups, whose means have this spread."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, between, groups) if between else np.zeros(groups)
    return rng.normal(np.repeat(means, rows), 1.0), np.repeat([f"g{i}" for i in range(groups)], rows)


def test_groups_that_differ_by_chance_have_the_plain_error() -> None:
    values, groups = drawn(10, 100, 0.0)
    mean, error = pooled(values, groups)
    assert mean == values.mean()
    assert error == pytest.approx(values.std() / np.sqrt(1000), rel=0.35)


def test_groups_that_differ_have_the_error_of_their_means() -> None:
    """Ten groups of spread 1 and a hundred rows each: about 1 / sqrt(10), ten times the plain error."""
    errors = [pooled(*drawn(10, 100, 1.0, seed))[1] for seed in range(20)]
    assert np.mean(errors) == pytest.approx(1 / np.sqrt(10), rel=0.15)


def test_the_interval_covers_a_new_world_as_often_as_it_says() -> None:
    """The truth is nought: it lies within two errors of the mean in about 19 worlds of 20."""
    found = [pooled(*drawn(8, 30, 0.5, seed)) for seed in range(200)]
    assert 0.87 < np.mean([abs(mean) < 2 * error for mean, error in found]) <= 1.0


def test_by_hand() -> None:
    """Two groups of five: within (1.2 / 5 each), means 1 and 5, all DerSimonian and Laird's numbers by pencil."""
    values = np.array([0, 0, 1, 2, 2, 4, 4, 5, 6, 6.0])
    within = 0.8 / 5
    excess = 2 * (2.0**2) / within - 1  # (w1 (1 - 3)^2 + w2 (5 - 3)^2) - (groups - 1)
    between = excess / (2 / within - (2 / within**2) / (2 / within))
    mean, error = pooled(values, np.repeat(["a", "b"], 5))
    assert mean == 3.0
    assert error == pytest.approx(np.sqrt(2 * 0.25 * (within + between)))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_one_group_and_small_groups_have_the_plain_error(values: list[float]) -> None:
    v = np.array(values)
    plain = v.std() / np.sqrt(len(v))
    assert pooled(v, np.full(len(v), "one"))[1] == pytest.approx(plain)
    tiny = np.array([f"g{i // 4}" for i in range(len(v))])  # four rows a group tell nothing of groups
    assert pooled(v, tiny)[1] == pytest.approx(plain)


@given(st.permutations(range(30)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    values, groups = drawn(3, 10, 1.0)
    assert pooled(values[order], groups[order]) == pytest.approx(pooled(values, groups))


def test_no_difference_at_all_is_certain() -> None:
    assert pooled(np.zeros(20), np.repeat(["a", "b"], 10)) == (0.0, 0.0)
