"""The table of a ladder: the same numbers as the model's own, for every state at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ladder_oracle import predict, seen_of

from pointsman.classifiers.evidence import TEXT_FEATURES, evidence_names
from pointsman.classifiers.features import FEATURES
from pointsman.classifiers.ladder_model import LadderModel, StateModel
from pointsman.classifiers.ladder_table import LadderTable, table_of

ROUTES = ("a", "b", "c")
LAYOUT = (("first_probability",), (), ("first_probability", "mean_probability"))
PRICES = (1.0, 10.0, 100.0)


def model(seed: int = 0) -> LadderModel:
    rng = np.random.default_rng(seed)
    states: dict[tuple[int, ...], StateModel] = {}
    for code in range(8):
        levels = tuple(code >> i & 1 for i in range(3))
        done = tuple(i for i in range(3) if levels[i])
        actions, size = 1 + len(done), len(evidence_names(done, LAYOUT))
        fitted = (
            rng.normal(size=size),
            rng.uniform(0.5, 2, size),
            rng.normal(size=(1 + size, len(done) + 1 + 3 * actions)),
        )
        mean, scale, weights = fitted if code != 5 else (None, None, None)
        if scale is not None and size > len(TEXT_FEATURES):
            scale[-1] = np.inf  # a column that never varied
        states[levels] = StateModel(
            done, actions, 0, mean, scale, None if weights is None else weights.astype(np.float32)
        )
    return LadderModel(ROUTES, "c", PRICES, "free_text", LAYOUT, states)


@pytest.mark.parametrize("price", range(3))
@pytest.mark.parametrize("codes", [(0, 0, 0), (0, 1, 0), (0, 1, 2), (-1, 0, 0), (-1, -1, -1)])
def test_every_state_gets_the_numbers_of_the_model_itself(price: int, codes: tuple[int, ...]) -> None:
    ladder, features = model(), np.linspace(0, 3, len(FEATURES), dtype=np.float32)
    given = (features, [3.0, 0.0, 70.0], codes, [{"first_probability": 0.9}, {}, {"mean_probability": float("nan")}])
    table = table_of(ladder, price)
    row, seen = table.row(*given), seen_of(*given)
    every = table.predict(row)
    for state, fitted in ladder.states.items():
        own = predict(ladder, state, seen)
        one = table.predict_one(state, row)
        if own is None:
            assert one is None
            assert state not in every
            continue
        lead = len(fitted.done) + 1
        wanted = np.concatenate([own[:lead], own[lead:].reshape(fitted.actions, -1)[:, price]])
        np.testing.assert_allclose(every[state], wanted, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(one, wanted, rtol=1e-6, atol=1e-9)


def test_where_texts_are_compared_their_likeness_has_its_own_weight() -> None:
    plain = model()
    names = evidence_names((0, 1), LAYOUT, texts=True)
    rng = np.random.default_rng(5)
    mean, scale = rng.normal(size=len(names)), rng.uniform(0.5, 2, len(names))
    weights = rng.normal(size=(1 + len(names), 3 + 3 * 3)).astype(np.float32)
    state = StateModel((0, 1), 3, 0, mean, scale, weights)
    told = LadderModel(ROUTES, "c", PRICES, "free_text", LAYOUT, {(1, 1, 0): state}, texts=True)
    table, features = LadderTable(told, 1), np.zeros(len(FEATURES), np.float32)
    given = (features, [3.0, 5.0, 0.0], [0, 1, -1], [{}, {}, {}])
    alike = np.zeros((3, 3))
    alike[0, 1] = alike[1, 0] = 0.25
    without, with_ = (table.predict_one((1, 1, 0), table.row(*given, a)) for a in (None, alike))
    place = 1 + names.index("alike[0,1]")
    kept = [0, 1, 2, 3 + 1, 6 + 1, 9 + 1]
    np.testing.assert_allclose(with_ - without, 0.25 * weights[place][kept] / scale[place - 1], rtol=1e-5)
    assert plain.texts is False


def test_a_row_beyond_a_states_training_rows_is_predicted_for_no_more() -> None:
    ladder = model()
    fitted = ladder.states[1, 0, 0]
    assert fitted.mean is not None
    size = 1 + len(fitted.mean)
    given = (np.zeros(len(FEATURES), np.float32), [3.0, 0.0, 70.0], [0, 0, 0], [{}, {}, {}])
    for farthest, near in ((1e9, True), (1e-9, False)):
        held = replace(fitted, scale=np.ones(size - 1), spread=np.eye(size, dtype=np.float32), farthest=farthest)
        table = LadderTable(replace(ladder, states={**ladder.states, (1, 0, 0): held}), 0)
        row = table.row(*given)
        assert (table.predict_one((1, 0, 0), row) is not None) == near
        assert table.predict_one((0, 1, 0), row) is not None


def test_a_table_is_made_once_for_a_model_and_a_price() -> None:
    ladder = model()
    assert table_of(ladder, 1) is table_of(ladder, 1)
    assert table_of(ladder, 1) is not table_of(ladder, 2)
    assert table_of(model(), 1) is not table_of(ladder, 1)


def test_a_ladder_without_any_fit_predicts_nothing() -> None:
    empty = LadderModel(("a",), "a", PRICES, None, ((),), {(0,): StateModel((), 1, 0), (1,): StateModel((0,), 1, 0)})
    table = LadderTable(empty, 0)
    row = table.row(np.zeros(len(FEATURES), np.float32), [0.0], [-1], [{}])
    assert table.predict(row) == {}
    assert table.predict_one((0,), row) is None
