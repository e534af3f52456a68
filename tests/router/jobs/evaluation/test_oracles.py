"""Oracles: what hindsight is worth, within what may be spent."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import B300, FULL, SMALL, Row, constellation, row, run, table, world

from pointsman.router.jobs.evaluation.oracles import repeatable_oracle, within_cost
from pointsman.router.jobs.evaluation.reading import read_recording

ROWS = world(400)
PAIR = constellation((SMALL, FULL), probes=("small",), samples=2)


def test_the_repeatable_oracle_needs_samples_and_knows_luck_from_knowledge() -> None:
    """Second samples by lot, as the first: choosing the lucky route of one sample is worth nothing on another."""
    assert run(ROWS[:180], constellation()).report["repeatable_oracle"] is None
    rng = np.random.default_rng(0)
    lot: list[Row] = [r | {"correct": float(rng.random() < 0.5)} for r in ROWS if r["model"] != "m-second"]
    again: list[Row] = [r | {"sample": 1, "correct": float(rng.random() < 0.5)} for r in lot]
    luck = run([*lot, *again], PAIR).report
    assert luck["repeatable_oracle"]["accuracy"] == pytest.approx(0.5, abs=0.06)
    assert luck["oracle"]["accuracy"] == pytest.approx(0.75, abs=0.06)
    same: list[Any] = [*lot, *[r | {"sample": 1} for r in lot]]
    known = run(same, PAIR).report
    assert known["repeatable_oracle"]["accuracy"] == pytest.approx(known["oracle"]["accuracy"])
    assert known["repeatable_oracle"]["cost"] <= known["best_fixed"]["cost"]


@settings(deadline=None)
@given(st.data())
def test_no_choice_at_that_cost_is_right_more_often_by_more_than_one_question(data: st.DataObject) -> None:
    """Against every choice there is, on a few questions."""
    n, routes = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    right = np.array(
        data.draw(
            st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=routes, max_size=routes), min_size=n, max_size=n)
        )
    )
    cost = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 9), min_size=routes, max_size=routes), min_size=n, max_size=n)),
        float,
    )
    fixed = data.draw(st.integers(0, routes - 1))
    limit = cost[:, fixed].mean()
    rows, chosen = np.arange(n), within_cost(right, cost, limit)
    assert cost[rows, chosen].mean() <= limit + 1e-9
    able = [at for at in product(range(routes), repeat=n) if cost[rows, list(at)].mean() <= limit + 1e-9]
    assert right[rows, chosen].sum() >= max(right[rows, list(at)].sum() for at in able) - 1
    assert right[rows, chosen].sum() >= right[rows, cost.argmin(axis=1)].sum()
    if cost[rows, cost.argmax(axis=1)].mean() <= limit:
        assert right[rows, chosen].sum() == right.max(axis=1).sum(), "where money is no matter, all that can be right"


def two_samples(small: float, thought: float, **more: Any) -> list[Row]:
    """100 questions twice each: small right on this share of them, full on the others."""
    rows = []
    for i, sample in product(range(100), range(2)):
        easy = i < 100 * small
        given: dict[str, Any] = {"sample": sample, "group": f"g{i % 4}", **more}
        rows.append(row(f"q{i:03}", "small", float(easy), 1.0, **given))
        rows.append(row(f"q{i:03}", "full", float(not easy), thought, **given))
    return rows


def test_it_spends_no_more_than_the_best_fixed_route() -> None:
    """Small is right on 60 of 100 at cost 2; full, right on the others, costs 100."""
    recording = read_recording(table(two_samples(0.6, 99.0)), PAIR)
    none, every = (repeatable_oracle(recording, best, True) for best in ("small", "full"))
    assert none == {"accuracy": pytest.approx(0.6), "cost": pytest.approx(2.0), "n": 100}
    assert every == {"accuracy": pytest.approx(1.0), "cost": pytest.approx(0.6 * 2 + 0.4 * 100), "n": 100}


def test_part_of_what_could_be_gained_is_bought_where_money_is_short() -> None:
    """The best fixed route costs 4, small 2, full 12: a fifth of the questions can go over."""
    rows = two_samples(0.6, 11.0)
    between = [
        r | {"model": "m-second", "mode": "direct", "output_tokens": 3.0} for r in rows if r["model"] == "m-small"
    ]
    routes = constellation(samples=2, probes=())
    found = repeatable_oracle(read_recording(table([*rows, *between]), routes), "second", True)
    assert found is not None
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["cost"] == pytest.approx(4.0)


def test_a_budget_is_one_of_its_routes() -> None:
    """Full is right on all, in 10 tokens or in 500; cut at 300 it costs less where it ended."""
    rows = [
        r | ({"output_tokens": 10.0 if r["query_id"] < "q050" else 500.0} if r["model"] == "m-full" else {})
        for r in two_samples(0.0, 1.0)
    ]
    routes = constellation((SMALL, B300, FULL), probes=("small",), samples=2)
    recording = read_recording(table(rows), routes)
    assert recording.samples.shape == (2, 100, 3)
    assert recording.samples[1].mean(axis=0).tolist() == [0.0, 0.5, 1.0]
    found = repeatable_oracle(recording, "b300", True)
    assert found is not None
    assert found["accuracy"] == pytest.approx(0.8), "the short half, and 30 of the long half for what is left"


def test_where_calls_are_the_cost_dear_calls_are_what_is_short() -> None:
    rows = two_samples(0.6, 11.0, input_tokens=None)
    recording = read_recording(table(rows), constellation((SMALL, FULL), probes=(), samples=2, cost="calls"))
    none, all_ = (repeatable_oracle(recording, best, False) for best in ("small", "full"))
    assert none == {"accuracy": pytest.approx(0.6), "cost": None, "n": 100}
    assert all_ == {"accuracy": pytest.approx(1.0), "cost": None, "n": 100}
