from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers import Embedder, TrainingSet, training_set
from pointsman.classifiers.features import FEATURES, lexical
from pointsman.classifiers.training import folds
from pointsman.domain import Observation
from pointsman.errors import DataError

ROUTES = ("small", "full")


def seen(query: str, route: str, correct: float | None, **more: object) -> Observation:
    made = Observation(query, "g", route, correct, 10.0, 20.0, text=f"text of {query}")
    return replace(made, **more)  # type: ignore[arg-type]


def test_samples_of_a_query_are_averaged_and_unknown_cells_stay_unknown(static: Embedder) -> None:
    rows = [
        seen("b", "small", 1.0, sample=0, output_tokens=10.0),
        seen("b", "small", 0.0, sample=1, output_tokens=30.0),
        seen("b", "full", None, output_tokens=50.0),
        seen("a", "full", 0.25, weight=0.5, input_tokens=None),
        seen("a", "elsewhere", 1.0),
    ]
    made = training_set(rows, ROUTES, static)
    assert made.query_ids == ("a", "b")
    np.testing.assert_array_equal(made.correct, [[np.nan, 0.25], [0.5, np.nan]])
    np.testing.assert_array_equal(made.weights, [[0, 0.5], [1, 0]])
    np.testing.assert_array_equal(made.output_tokens, [[np.nan, 20], [20, 50]])
    np.testing.assert_array_equal(made.input_tokens, [[np.nan, np.nan], [10, 10]])
    assert (made.features[0] == lexical("text of a")).all()
    assert made.embeddings[0] == pytest.approx(static.encode(["text of a"])[0])
    assert made.left_out == 0


def test_a_samples_weight_is_its_share_of_the_average(static: Embedder) -> None:
    rows = [
        seen("a", "small", 1.0, weight=0.75),
        seen("a", "small", 0.0, weight=0.25, sample=1),
        seen("b", "full", 1.0),
    ]
    made = training_set(rows, ROUTES, static)
    assert made.correct[0, 0] == pytest.approx(0.75)
    assert made.weights[0, 0] == pytest.approx(0.5)


def test_the_order_of_observations_changes_nothing(static: Embedder) -> None:
    rng = np.random.default_rng(0)
    rows = [
        seen(f"q{q}", route, float(rng.random() < 0.5), sample=sample, output_tokens=float(rng.random()))
        for q in range(6)
        for route in ROUTES
        for sample in range(3)
    ]
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    assert training_set(rows, ROUTES, static).fingerprint == training_set(shuffled, ROUTES, static).fingerprint
    changed = [replace(rows[0], correct=1 - (rows[0].correct or 0)), *rows[1:]]
    assert training_set(changed, ROUTES, static).fingerprint != training_set(rows, ROUTES, static).fingerprint


def test_stored_vectors_stand_in_for_texts_that_were_not_kept(static: Embedder) -> None:
    features = tuple(float(x) for x in lexical("hidden"))
    embedding = tuple(float(x) for x in static.encode(["hidden"])[0])
    rows = [
        seen("a", "small", 1.0, text=None, features=features, embedding=embedding),
        seen("b", "full", 0.0),
        seen("c", "full", 0.0, text=None),
        seen("d", "full", 0.0, text=None, features=features[:-1], embedding=embedding),
        seen("e", "full", 0.0, text=None, features=features, embedding=embedding[:-1]),
    ]
    made = training_set(rows, ROUTES, static)
    assert made.query_ids == ("a", "b")
    assert made.features[0] == pytest.approx(np.array(features))
    assert made.embeddings[0] == pytest.approx(np.array(embedding))
    assert made.left_out == 3


@pytest.mark.parametrize(
    ("rows", "routes", "says"),
    [
        ([], ROUTES, "no observation of the routes small, full"),
        ([seen("a", "other", 1.0)], ROUTES, "no observation of the routes"),
        ([seen("a", "small", 1.0)], ("small",), "at least two routes"),
        ([seen("a", "small", 1.0)], ("small", "small"), "named twice"),
        ([seen("a", "small", None)], ROUTES, "nothing to learn from yet"),
        ([seen("a", "small", 1.0, text=None)], ROUTES, "today's encoder"),
        ([seen("a", "small", 1.5), seen("a", "full", 1.0)], ROUTES, r"\[0, 1\]"),
    ],
)
def test_what_teaches_nothing_is_told_clearly(
    rows: list[Observation], routes: tuple[str, ...], says: str, static: Embedder
) -> None:
    with pytest.raises(DataError, match=says):
        training_set(rows, routes, static)


def test_a_set_whose_parts_do_not_fit_is_refused(world: Callable) -> None:
    whole = world(10).training
    with pytest.raises(DataError, match="correct is"):
        replace(whole, correct=whole.correct[:, :2])
    with pytest.raises(DataError, match="one length"):
        replace(whole, groups=whole.groups[:-1])
    with pytest.raises(DataError, match="two rows"):
        replace(whole, query_ids=("q", "q", *whole.query_ids[2:]))
    with pytest.raises(DataError, match="weights"):
        replace(whole, weights=whole.weights - 2)


def grouped(groups: list[str], questions: list[str] | None = None) -> TrainingSet:
    n = len(groups)
    table = np.ones((n, 2))
    ids = tuple(f"q{i}" for i in range(n))
    features, embeddings = np.zeros((n, len(FEATURES)), np.float32), np.zeros((n, 4), np.float32)
    asked = tuple(questions) if questions else ids
    return TrainingSet(ids, tuple(groups), asked, features, embeddings, ROUTES, table, table, table, table)


@given(st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=60), st.integers(2, 6), st.integers(0, 3))
def test_a_group_is_never_split_and_no_fold_is_empty(groups: list[str], count: int, seed: int) -> None:
    data = grouped(groups)
    held = folds(data, count, seed)
    units = set(groups) if len(set(groups)) > 1 else set(data.query_ids)
    assert set(held) == set(range(min(count, len(units))))
    if len(set(groups)) > 1:
        assert len({(group, fold) for group, fold in zip(groups, held, strict=True)}) == len(units)


@given(st.permutations(range(12)))
def test_folds_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    data = grouped([f"g{i % 5}" for i in range(12)])
    assert (folds(data.rows(np.array(order)), 3) == folds(data, 3)[order]).all()


def test_folds_of_equal_groups_are_of_like_size() -> None:
    sizes = Counter(folds(grouped([f"g{i}" for i in range(103)]), 5).tolist())
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_with_one_group_the_same_question_stays_on_one_side() -> None:
    held = folds(grouped(["g"] * 8, ["x", "y", "x", "z", "x", "y", "u", "v"]), 3)
    assert held[0] == held[2] == held[4]
    assert held[1] == held[5]
    with pytest.raises(DataError, match="only one question"):
        folds(grouped(["g"] * 3, ["x"] * 3), 3)


def test_the_same_text_under_two_ids_is_held_out_together(static: Embedder) -> None:
    """Live traffic is its own group; a question that is asked twice must not be trained on and tested on."""
    rows = [
        seen(q, route, 1.0, group=q, text=text)
        for q, text in (("a", "What is it?"), ("b", " what  IS it?"), ("c", "Another"), ("d", "A third \ud800"))
        for route in ROUTES
    ]
    made = training_set(rows, ROUTES, static)
    assert made.groups[0] == made.groups[1]
    assert len(set(made.groups)) == 3
