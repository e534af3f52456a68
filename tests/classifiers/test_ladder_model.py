"""A ladder as arrays: it comes back as it was, and says what it says by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ladder_oracle import predict, seen_of

from pointsman.classifiers.features import FEATURES
from pointsman.classifiers.ladder_model import LADDER_ARRAYS, LadderModel, StateModel

RNG = np.random.default_rng(3)
NOTHING = np.zeros(len(FEATURES), np.float32)


def state(done: tuple[int, ...], width: int, actions: int, default: int, prices: int = 2) -> StateModel:
    """A state with weights drawn by lot."""
    columns = len(done) + 1 + actions * prices
    weights = RNG.normal(size=(1 + width, columns)).astype(np.float32)
    spread = RNG.normal(size=(1 + width, 1 + width)).astype(np.float32)
    mean, scale = RNG.normal(size=width), 1 + RNG.random(width)
    return StateModel(done, actions, default, mean, scale, weights, spread, 0.3)


def model() -> LadderModel:
    """Two routes, the second with a sign; one state was fitted for nothing, one column never varied."""
    spread = state((0,), 4 + 2, 2, 1)
    assert spread.scale is not None
    spread.scale[0] = np.inf
    return LadderModel(
        ("small", "full"),
        "full",
        (0.5, 1e-5),
        "free_text",
        ((), ("confidence", "mean_probability")),
        {(1, 1): state((0, 1), 4 + 2 + 4 + 1, 2, 1), (1, 0): spread, (0, 1): StateModel((1,), 1, 0)}
        | {(0, 0): state((), 4, 2, 1)},
    )


def through_files(made: LadderModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `about` and `arrays` are after having been JSON and an npz."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **made.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return json.loads(json.dumps(made.about(), allow_nan=False)), arrays


def test_it_comes_back_from_json_and_arrays_as_it_was() -> None:
    made = model()
    about, arrays = through_files(made)
    found = LadderModel.from_parts(about, arrays)
    for name in ("routes", "reference", "prices", "comparison", "layout"):
        assert getattr(found, name) == getattr(made, name)
    assert list(found.states) == list(made.states)
    for key, was in made.states.items():
        now = found.states[key]
        assert (now.done, now.actions, now.default) == (was.done, was.actions, was.default)
        assert now.farthest == was.farthest
        assert (now.support is None) == (was.weights is None)
        for part in ("mean", "scale", "weights", "spread"):
            np.testing.assert_array_equal(getattr(now, part), getattr(was, part))
    assert found.states[0, 1].weights is None
    assert all(name.startswith(LADDER_ARRAYS) for name in arrays)
    assert len(arrays) == 3 * 4


def test_nothing_compared_comes_back_as_nothing() -> None:
    about, arrays = through_files(replace(model(), comparison=None))
    assert LadderModel.from_parts(about, arrays).comparison is None


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("ladder.1.mean", lambda a: a[:-1]),
        ("ladder.1.scale", lambda a: a[:-1]),
        ("ladder.1.weights", lambda a: a[:-1]),
        ("ladder.1.weights", lambda a: a[:, :-1]),
        ("ladder.1.weights", lambda a: np.concatenate([a, a], axis=1)),
        ("ladder.1.mean", lambda a: None),
        ("ladder.1.scale", lambda a: None),
        ("ladder.1.spread", lambda a: a[:-1]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, changed: Any) -> None:
    about, arrays = through_files(model())
    value = changed(arrays.pop(name))
    if value is not None:
        arrays[name] = value
    with pytest.raises(ValueError, match=r"state 1|columns"):
        LadderModel.from_parts(about, arrays)


@pytest.mark.parametrize("part", ["routes", "reference", "prices", "comparison", "layout", "states"])
def test_a_part_that_is_missing_is_refused(part: str) -> None:
    about, arrays = through_files(model())
    del about[part]
    with pytest.raises(KeyError):
        LadderModel.from_parts(about, arrays)


def test_a_prediction_by_hand() -> None:
    """(1, (5 - 1) / 2 = 2 for the length's logarithm, ...) times the weights."""
    weights = np.zeros((8, 4))
    weights[0], weights[5], weights[6], weights[7] = [0.5, 0.9, 3, 0], [0.1, 0, 1, 0], [0, 0, 0, 7], [1, 0, 0, 0]
    mean, scale = np.zeros(7), np.ones(7)
    mean[4], scale[4] = 1.0, 2.0
    fitted = StateModel((0,), 2, 1, mean, scale, weights.astype(np.float32))
    made = LadderModel(("a", "b"), "b", (1.0,), "free_text", (("sure",), ()), {(1, 0): fitted, (0, 0): fitted})
    tokens = [float(np.expm1(5.0)), 0.0]
    told = predict(made, (1, 0), seen_of(NOTHING, tokens, [0, -1], [{"sure": 0.25}, {}]))
    assert told is not None
    assert told.tolist() == pytest.approx([0.5 + 0.2 + 0.25, 0.9, 3 + 2, 0])
    unread = predict(made, (1, 0), seen_of(NOTHING, tokens, [-1, -1], [{}, {}]))
    assert unread is not None
    assert unread.tolist() == pytest.approx([0.5 + 0.2 + 0.5, 0.9, 5, 7]), "no sign counts as one half"


def test_what_was_not_bought_is_not_looked_at() -> None:
    made = model()
    one = seen_of(NOTHING, [3.0, 0.0], [0, -1], [{}, {}])
    other = seen_of(NOTHING, [3.0, 99.0], [0, 0], [{"strange": 1.0}, {"confidence": 0.9}])
    np.testing.assert_array_equal(predict(made, (1, 0), one), predict(made, (1, 0), other))


def test_where_nothing_was_fitted_nothing_is_predicted() -> None:
    assert predict(model(), (0, 1), seen_of(NOTHING, [0.0, 5.0], [-1, 0], [{}, {}])) is None
