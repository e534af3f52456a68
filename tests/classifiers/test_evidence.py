"""Rows of evidence: what was bought, and nothing else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers.evidence import (
    TEXT_FEATURES,
    Seen,
    evidence_names,
    evidence_rows,
    largest_vote,
    layout_of,
)
from pointsman.classifiers.features import FEATURES, lexical_batch

ROUTES = 4
SUBSETS = [done for size in range(ROUTES + 1) for done in combinations(range(ROUTES), size)]


def seen(n: int = 12, seed: int = 0) -> Seen:
    """Four answers to n questions; confidence came with the second only, abstention with the second and fourth."""
    rng = np.random.default_rng(seed)
    confidence, abstained = np.full((n, ROUTES), np.nan), np.full((n, ROUTES), np.nan)
    confidence[:, 1] = rng.random(n)
    confidence[0, 1] = np.nan
    abstained[:, [1, 3]] = rng.integers(0, 2, (n, 2))
    features = rng.normal(size=(n, len(FEATURES))).astype(np.float32)
    tokens = rng.integers(1, 500, (n, ROUTES)).astype(float)
    codes = rng.integers(-1, 3, (n, ROUTES))
    return Seen(features, tokens, codes, {"confidence": confidence, "abstained": abstained})


EVERY = np.arange(12)


@pytest.mark.parametrize("done", SUBSETS)
def test_names_go_with_columns(done: tuple[int, ...]) -> None:
    data = seen()
    names = evidence_names(done, layout_of(data))
    rows = evidence_rows(done, data, layout_of(data), EVERY)
    assert rows.shape == (12, len(names))
    assert len(set(names)) == len(names)
    assert np.isfinite(rows).all()
    assert names[:4] == TEXT_FEATURES


@given(st.sampled_from(SUBSETS), st.integers(0, 2**32 - 1))
def test_nothing_that_was_not_bought_is_looked_at(done: tuple[int, ...], seed: int) -> None:
    """Change tokens, answers and signs of everything else: the rows are equal to the last bit."""
    data, other = seen(), seen(seed=seed % 1000 + 1)
    bought = np.isin(np.arange(ROUTES), done)
    changed = Seen(
        data.features,
        np.where(bought, data.tokens, other.tokens),
        np.where(bought, data.answers, other.answers),
        {name: np.where(bought, values, other.signs[name]) for name, values in data.signs.items()},
    )
    layout = layout_of(data)
    before, after = (evidence_rows(done, s, layout, EVERY) for s in (data, changed))
    assert (before == after).all()


@pytest.mark.parametrize("route", range(ROUTES))
def test_what_was_bought_is_looked_at(route: int) -> None:
    data, layout = seen(), layout_of(seen())
    tokens = data.tokens.copy()
    tokens[:, route] += 100
    changed = Seen(data.features, tokens, data.answers, data.signs)
    differ = evidence_rows((0, 1, 2, 3), data, layout, EVERY) != evidence_rows((0, 1, 2, 3), changed, layout, EVERY)
    names = evidence_names((0, 1, 2, 3), layout)
    assert {names[column] for column in np.flatnonzero(differ.any(axis=0))} == {f"log_tokens[{route}]"}


def test_a_row_by_hand() -> None:
    """Text, length, readability, agreement, votes; a sign that is missing counts as one half."""
    features = np.zeros((1, len(FEATURES)), np.float32)
    features[0, FEATURES.index("log_numbers")] = 3.0
    nan = np.full((1, 3), np.nan)
    known = nan.copy()
    known[0, 0] = 0.9
    layout = layout_of(Seen(features, nan, np.zeros((1, 3), np.int64), {"sure": known}))
    data = Seen(features, np.array([[1.0, 3.0, 7.0]]), np.array([[5, -1, 5]]), {"sure": nan})
    row = dict(
        zip(evidence_names((0, 1, 2), layout), evidence_rows((0, 1, 2), data, layout, np.array([0]))[0], strict=True)
    )
    assert row["log_numbers"] == 3.0
    assert row["log_tokens[1]"] == pytest.approx(np.log(4))
    assert (row["unread[0]"], row["unread[1]"], row["sure[0]"]) == (0, 1, 0.5)
    assert (row["agree[0,1]"], row["agree[0,2]"], row["agree[1,2]"]) == (0, 1, 0)
    assert (row["all_agree"], row["votes"]) == (0, 2)
    absent = Seen(data.features, data.tokens, data.answers, {})
    assert (
        evidence_rows((0,), absent, layout, np.array([0])) == evidence_rows((0,), data, layout, np.array([0]))
    ).all()


def test_unread_answers_never_agree() -> None:
    data = Seen(lexical_batch(["a"]), np.ones((1, 2)), np.array([[-1, -1]]), {})
    row = evidence_rows((0, 1), data, ((), ()), np.array([0]))[0]
    assert row[-1] == 0


def test_the_largest_vote_is_counted_among_read_answers() -> None:
    codes = np.array([[0, 1, 1], [-1, -1, -1], [0, 1, 2], [2, 2, 2], [-1, -1, 0]])
    assert largest_vote(codes).tolist() == [2, 0, 1, 3, 1]


def test_rows_are_those_asked_for_in_their_order() -> None:
    data = seen()
    whole = evidence_rows((0, 1), data, layout_of(data), EVERY)
    assert (evidence_rows((0, 1), data, layout_of(data), np.array([5, 2])) == whole[[5, 2]]).all()


def test_of_a_beginning_the_signs_alone_are_seen() -> None:
    """Its length is what was bought, and nothing can be compared with it."""
    data = seen()
    layout = layout_of(data)
    names = evidence_names((0,), layout, (1,))
    assert [name for name in names if name.endswith("[1]")] == ["abstained[1]", "confidence[1]"]
    assert not any(name.startswith(("agree", "alike", "votes")) for name in names)
    rows = evidence_rows((0,), data, layout, EVERY, (1,))
    assert rows.shape == (12, len(names))
    changed = Seen(data.features, data.tokens.copy(), data.answers.copy(), data.signs)
    changed.tokens[:, 1], changed.answers[:, 1] = 1.0, 99
    assert (evidence_rows((0,), changed, layout, EVERY, (1,)) == rows).all()


def test_where_texts_are_compared_each_pair_has_its_likeness() -> None:
    data = seen()
    alike = np.random.default_rng(0).random((12, ROUTES, ROUTES))
    told = Seen(data.features, data.tokens, data.answers, data.signs, alike)
    layout = layout_of(data)
    names = evidence_names((0, 2), layout, texts=True)
    rows = evidence_rows((0, 2), told, layout, EVERY)
    assert rows.shape[1] == len(names)
    assert (rows[:, names.index("alike[0,2]")] == alike[:, 0, 2]).all()
    plain = [i for i, name in enumerate(names) if not name.startswith("alike")]
    assert (rows[:, plain] == evidence_rows((0, 2), data, layout, EVERY)).all()
    assert (told.rows(EVERY[:3]).alike == alike[:3]).all()
    swapped = told.columns((2, 0))
    assert swapped.alike is not None
    assert (swapped.alike[:, 0, 1] == alike[:, 2, 0]).all()
    assert (swapped.tokens == data.tokens[:, [2, 0]]).all()
