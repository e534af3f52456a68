"""Observations out of tables of outcomes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.domain import Price
from pointsman.errors import DataError
from pointsman.store import (
    UNIT_PRICE,
    Constellation,
    DerivedRoute,
    RecordedRoute,
    observations_from_table,
    read_constellation,
    read_table,
    write_table,
)
from pointsman.store.texts import text_hash

RECORDED = os.environ.get("POINTSMAN_OUTCOMES")

SMALL, FULL = RecordedRoute("small", "m", "direct", Price(1, 1, 1)), RecordedRoute("full", "m", "think", Price(1, 1, 2))
TWO = Constellation(source="here", routes=(SMALL, FULL))


def row(number: int, mode: str, correct: float | None, output: float | None, **changes: Any) -> dict[str, Any]:
    plain = {
        "benchmark": "sums",
        "group": f"g{number % 2}",
        "query_id": f"q{number}",
        "prompt": f"Sum {number}?",
        "model": "m",
        "mode": mode,
        "sample": 0,
        "correct": correct,
        "input_tokens": 5.0,
        "output_tokens": output,
        "tokens_are": "billed",
        "answer": f"{mode}{number}",
    }
    return plain | changes


ROWS = [row(0, "direct", 1, 2), row(0, "think", 1, 50), row(1, "direct", 0, 2), row(1, "think", 1, 90)]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """`table(*rows)`: the path of a JSONL table of these rows."""

    def made(*rows: dict[str, Any]) -> str:
        path = tmp_path / "sums.jsonl"
        write_table(path, rows)
        return str(path)

    return made


def test_rows_of_the_routes_become_observations_by_query_then_route(table: Callable[..., str]) -> None:
    other = row(0, "other", 0, 1)
    reading = observations_from_table(table(ROWS[3], other, *ROWS[:3]), TWO)
    assert [(each.query_id, each.route, each.correct, each.output_tokens) for each in reading.observations] == [
        ("q1", "small", 0, 2),
        ("q1", "full", 1, 90),
        ("q0", "small", 1, 2),
        ("q0", "full", 1, 50),
    ]
    first = reading.observations[0]
    assert (first.text, first.answer, first.input_tokens, first.weight) == ("Sum 1?", "direct1", 5.0, 1.0)
    assert (reading.constellation, reading.notes) == (TWO, ())


def test_groups_are_what_is_held_out_together(table: Callable[..., str]) -> None:
    """Held out by query, the same question under two ids is in one group."""
    again = row(7, "direct", 1, 2, prompt=" sum  0? ")
    path = table(*ROWS, again)

    def groups(hold_out_by: Any) -> dict[str, str]:
        reading = observations_from_table(path, replace(TWO, hold_out_by=hold_out_by))
        return {each.query_id: each.group for each in reading.observations}

    assert groups("benchmark") == {"q0": "sums", "q1": "sums", "q7": "sums"}
    assert groups("group") == {"q0": "g0", "q1": "g1", "q7": "g1"}
    by_query = groups("query")
    assert by_query["q0"] == by_query["q7"] == text_hash("Sum 0?") != by_query["q1"]


def test_a_cut_thought_gives_its_answer_where_it_ended_and_else_the_fallbacks(table: Callable[..., str]) -> None:
    """It costs the thought up to the budget, and the fallback on top where that answers."""
    derived = Constellation("here", (SMALL, DerivedRoute("cut", "full", 64, "small"), FULL))
    found = {
        each.query_id: each
        for each in observations_from_table(table(*ROWS), derived).observations
        if each.route == "cut"
    }
    assert (found["q0"].answer, found["q0"].correct) == ("think0", 1)
    assert (found["q0"].input_tokens, found["q0"].output_tokens) == (5, 50)
    assert (found["q1"].answer, found["q1"].correct) == ("direct1", 0)
    assert (found["q1"].input_tokens, found["q1"].output_tokens) == (10, 64 + 2)
    exactly = replace(derived, routes=(SMALL, DerivedRoute("cut", "full", 90, "small"), FULL))
    ended = [each for each in observations_from_table(table(*ROWS), exactly).observations if each.route == "cut"]
    assert [each.answer for each in ended] == ["think0", "think1"], "a thought of just the budget has ended"


@settings(max_examples=40, deadline=None)
@given(
    thoughts=st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=2, max_size=12),
    budgets=st.tuples(st.integers(1, 100), st.integers(101, 250)),
)
def test_a_larger_budget_keeps_every_thought_that_a_smaller_one_kept(
    tmp_path_factory: pytest.TempPathFactory, thoughts: list[tuple[int, bool]], budgets: tuple[int, int]
) -> None:
    """And no cut thought costs more than budget and fallback, nor an unbounded budget other than the thought itself."""
    rows = [row(n, "direct", n % 2, 3) for n in range(len(thoughts))]
    rows += [row(n, "think", float(right), length) for n, (length, right) in enumerate(thoughts)]
    path = tmp_path_factory.mktemp("cut") / "t.jsonl"
    write_table(path, rows)
    cuts = tuple(DerivedRoute(f"b{budget}", "full", budget, "small") for budget in (*budgets, 10**6))
    reading = observations_from_table(path, Constellation("here", (SMALL, *cuts, FULL)))
    by_route: dict[str, dict[str, Any]] = {}
    for each in reading.observations:
        by_route.setdefault(each.route, {})[each.query_id] = each
    less, more, endless = (by_route[cut.name] for cut in cuts)
    for query_id, full in by_route["full"].items():
        assert replace(endless[query_id], route="full") == full
        if less[query_id].answer == full.answer:
            assert more[query_id].answer == full.answer
        for cut, budget in ((less, budgets[0]), (more, budgets[1])):
            assert cut[query_id].output_tokens <= budget + 3


def test_a_cut_thought_without_a_fallback_is_left_out_and_counted(table: Callable[..., str]) -> None:
    derived = Constellation("here", (SMALL, DerivedRoute("cut", "full", 64, "small"), FULL))
    reading = observations_from_table(table(*ROWS[:2], row(2, "direct", 0, 1), ROWS[3]), derived)
    assert Counter(each.route for each in reading.observations) == {"small": 2, "full": 2, "cut": 1}
    assert "1 cut thoughts had no fallback's answer and were left out." in reading.notes


def test_where_keeps_rows_by_column(table: Callable[..., str]) -> None:
    path = table(*ROWS, *[each | {"benchmark": "other", "query_id": "x"} for each in ROWS[2:]])
    reading = observations_from_table(path, replace(TWO, where={"benchmark": ("sums",)}))
    assert {each.query_id for each in reading.observations} == {"q0", "q1"}
    with pytest.raises(DataError, match="no row has 'none'") as caught:
        observations_from_table(path, replace(TWO, where={"benchmark": ("none",)}))
    assert caught.value.column == "benchmark"
    with pytest.raises(DataError, match="is missing, and the constellation chooses by it") as caught:
        observations_from_table(path, replace(TWO, where={"colour": ("red",)}))
    assert caught.value.column == "colour"


def test_only_as_many_samples_as_the_constellation_says(table: Callable[..., str]) -> None:
    path = table(*[each | {"sample": sample} for sample in (2, 0, 1) for each in ROWS])
    for samples in (1, 2, 3):
        reading = observations_from_table(path, replace(TWO, samples=samples))
        assert [each.sample for each in reading.observations] == [*range(samples)] * 4


def test_unknown_input_tokens_are_a_quarter_of_the_characters_and_said(table: Callable[..., str]) -> None:
    rows = [each | {"input_tokens": None} for each in ROWS]
    reading = observations_from_table(table(*rows), TWO)
    assert {each.input_tokens for each in reading.observations} == {len("Sum 0?") / 4}
    assert reading.notes == ("4 input tokens were not recorded and are the prompt's characters / 4.",)


def test_tokens_that_hide_thought_are_no_cost(table: Callable[..., str]) -> None:
    """Where the constellation counts calls they are unknown; where it counts tokens the table cannot be used."""
    rows = [each | {"tokens_are": "visible-only"} if each["mode"] == "think" else each for each in ROWS]
    reading = observations_from_table(table(*rows), replace(TWO, cost="calls"))
    assert [each.output_tokens for each in reading.observations] == [2, None, 2, None]
    assert "only the share of dear calls" in reading.notes[0]
    with pytest.raises(DataError, match=r"unknown .* in 2 rows of the route 'full'") as caught:
        observations_from_table(table(*rows), TWO)
    assert caught.value.column == "output_tokens"
    cut = Constellation("here", (SMALL, DerivedRoute("cut", "full", 9, "small"), FULL), cost="calls")
    with pytest.raises(DataError, match="of the route 'full'"):
        observations_from_table(table(*rows), cut)


def test_rows_twice_change_nothing_and_are_counted(table: Callable[..., str]) -> None:
    once = observations_from_table(table(*ROWS), TWO)
    twice = observations_from_table(table(*ROWS, *[each | {"correct": 0.0} for each in ROWS]), TWO)
    assert twice.observations == once.observations
    assert twice.notes[0].startswith("4 rows stood there before")


def test_without_a_constellation_each_model_and_mode_is_a_route_at_price_1(table: Callable[..., str]) -> None:
    rows = [*ROWS, row(0, "direct", 1, 2, sample=1)]
    reading = observations_from_table(table(*rows))
    assert [route.name for route in reading.constellation.routes] == ["m/direct", "m/think"], "fewest tokens first"
    assert set(reading.constellation.prices.values()) == {UNIT_PRICE}
    assert UNIT_PRICE.output == 1
    assert (reading.constellation.samples, reading.constellation.cost) == (2, "tokens")
    assert reading.constellation.hold_out_by == "group"
    assert reading.notes == ("No constellation: each of 2 models and modes is a route at price 1.",)
    bare = [{k: v for k, v in each.items() if k not in ("group", "output_tokens")} for each in rows]
    reading = observations_from_table(table(*bare))
    assert (reading.constellation.hold_out_by, reading.constellation.cost) == ("query", "calls")


def test_a_table_that_teaches_nothing_is_named(table: Callable[..., str]) -> None:
    path = table(*ROWS)
    missing = replace(FULL, mode="never")
    cases = [
        (ROWS, Constellation("here", (SMALL, missing)), "model", "no rows for the route 'full'"),
        ([each | {"correct": 1.0} for each in ROWS], TWO, "correct", "every row says 1"),
        ([each | {"correct": None} for each in ROWS], TWO, "correct", "no row says whether it was right"),
        (ROWS[::2], None, "model", "one route only"),
    ]
    for rows, constellation, column, says in cases:
        with pytest.raises(DataError, match=says) as caught:
            observations_from_table(table(*rows), constellation)
        assert (caught.value.file, caught.value.column) == (path, column)


def test_a_table_that_was_read_can_be_read_by_several_constellations(table: Callable[..., str]) -> None:
    read = read_table(table(*ROWS))
    assert len(observations_from_table(read, TWO).observations) == 4
    assert len(observations_from_table(read).observations) == 4


@pytest.mark.skipif(RECORDED is None, reason="POINTSMAN_OUTCOMES names no folder")
def test_every_recorded_constellation_gives_observations_of_every_route() -> None:
    path = Path(str(RECORDED)) / "constellations.yaml"
    tables = {}
    for name in yaml.safe_load(path.read_text()):
        constellation = read_constellation(f"{path}:{name}")
        file = constellation.file
        tables[file] = tables.get(file) or read_table(str(file))
        reading = observations_from_table(tables[file], constellation)
        assert {each.route for each in reading.observations} == {route.name for route in constellation.routes}


def test_an_id_that_two_benchmarks_use_is_two_queries(table: Callable[..., str]) -> None:
    """Question 0 of sums is not question 0 of words; an id of one benchmark stays as it is."""
    words = [each | {"benchmark": "words", "prompt": "Spell it."} for each in ROWS[:2]]
    reading = observations_from_table(table(*ROWS, *words), TWO)
    assert [each.query_id for each in reading.observations] == ["sums:q0"] * 2 + ["q1"] * 2 + ["words:q0"] * 2
    assert not any("stood there before" in note for note in reading.notes)
