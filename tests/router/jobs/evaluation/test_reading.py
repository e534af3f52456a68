"""A table read by a constellation: which questions count, what everything costs, what is wrong with a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import B100, B300, BUDGETS, FULL, SECOND, SMALL, Row, constellation, row, table

from pointsman.errors import DataError
from pointsman.router.jobs.evaluation.plans import fixed_results, fixed_route
from pointsman.router.jobs.evaluation.reading import ladder_of, read_recording, read_recordings
from pointsman.router.jobs.evaluation.recording import Recording
from pointsman.store import Constellation, DerivedRoute, RecordedRoute, write_table

ROUTES = (SMALL, B100, B300, FULL)
PAIR = constellation((SMALL, FULL), probes=("small",))


def pair(query: str, small: float, full: float, thought: float, **more: Any) -> list[Row]:
    """One question's rows: small's answer in 4 tokens, full's in so many."""
    return [row(query, "small", small, 4.0, **more), row(query, "full", full, thought, **more)]


THREE = [*pair("q1", 0, 1, 80.0), *pair("q2", 1, 0, 250.0), *pair("q3", 0, 1, 900.0)]


def fixed(recording: Recording, name: str) -> tuple[list[float], list[float]]:
    """(right, cost) of one route for everything."""
    right, cost = fixed_results(recording, fixed_route(recording.ladder, name))
    return right.tolist(), cost.tolist()


def test_a_cut_thought_answers_where_it_ended_else_its_fallback_does_and_is_paid() -> None:
    """Input 10 tokens at a tenth: q1 ends by 100, q2 by 300, q3 never; small costs 1 + 4."""
    recording = read_recording(table(THREE), constellation(ROUTES, probes=("small",)))
    assert fixed(recording, "full") == ([1, 0, 1], [81, 251, 901])
    assert fixed(recording, "b100") == ([1, 1, 0], [81, 101 + 5, 101 + 5])
    assert fixed(recording, "b300") == ([1, 0, 0], [81, 251, 301 + 5])
    assert fixed(recording, "small") == ([0, 1, 0], [5, 5, 5])


def test_a_thought_that_is_exactly_as_long_as_its_budget_has_ended() -> None:
    recording = read_recording(table(pair("q1", 0, 1, 100.0)), constellation(ROUTES, probes=("small",)))
    assert fixed(recording, "b100") == ([1], [101])


def test_list_prices_are_the_constellations() -> None:
    """A budget's are those of the route whose thought it cuts."""
    recording = read_recording(table(THREE), constellation(ROUTES, probes=("small",)), "list")
    assert fixed(recording, "small")[1] == [10 * 1 + 4 * 2] * 3
    assert fixed(recording, "b100")[1] == [20 + 8 * 80, 20 + 8 * 100 + 18, 20 + 8 * 100 + 18]


def test_calls_count_the_last_route_only_and_need_no_tokens() -> None:
    rows = [r | {"output_tokens": None, "input_tokens": None} for r in THREE]
    recording = read_recording(table(rows), replace(PAIR, cost="calls"))
    assert fixed(recording, "small")[1] == [0, 0, 0]
    assert fixed(recording, "full")[1] == [1, 1, 1]
    assert any("dear calls" in note for note in recording.notes)


def test_input_tokens_that_are_not_there_are_a_quarter_of_the_characters() -> None:
    rows = [r | {"prompt": "x" * 80} for r in pair("q1", 0, 1, 80.0)]
    rows[1]["input_tokens"] = None
    recording = read_recording(table(rows), PAIR)
    assert fixed(recording, "full")[1] == [0.1 * 20 + 80]
    assert fixed(recording, "small")[1] == [5]
    assert any(note.startswith("1 input tokens were not recorded") for note in recording.notes)


def test_a_question_counts_where_every_recorded_route_has_its_row() -> None:
    """No row, no correctness, no output tokens or another sample alone: it does not count."""
    rows = [
        *THREE,
        row("only-small", "small", 1, 4.0),
        *[r | {"correct": None} if r["model"] == "m-full" else r for r in pair("unjudged", 1, 1, 9.0)],
        *[r | {"output_tokens": None} if r["model"] == "m-full" else r for r in pair("uncounted", 1, 1, 9.0)],
        *[r | {"sample": 1} if r["model"] == "m-full" else r for r in pair("resampled", 1, 1, 9.0)],
    ]
    assert read_recording(table(rows), PAIR).ids == ("q1", "q2", "q3")
    assert "uncounted" in read_recording(table(rows), replace(PAIR, cost="calls")).ids


def test_rows_are_kept_by_where_and_the_first_of_equal_ones_counts() -> None:
    rows = [
        *THREE,
        *[r | {"group": "other", "query_id": "q9"} for r in THREE[:2]],
        *[r | {"correct": 0.5} for r in THREE],
    ]
    assert read_recording(table(rows), replace(PAIR, where={"group": ("g",)})).ids == ("q1", "q2", "q3")
    assert fixed(read_recording(table(rows), PAIR), "full")[0][:3] == [1, 0, 1]


def test_order_of_rows_is_nothing() -> None:
    one, two = read_recording(table(THREE), PAIR), read_recording(table(THREE[::-1]), PAIR)
    assert one.ids == two.ids
    assert (one.correct == two.correct).all()
    assert (one.seen.tokens == two.seen.tokens).all()


def test_samples_are_kept_with_nothing_where_there_is_none() -> None:
    rows = [*THREE, *[r | {"sample": 1, "correct": 1 - r["correct"]} for r in THREE[:3]]]
    samples = read_recording(table(rows), replace(PAIR, samples=2)).samples
    assert samples.shape == (2, 3, 2)
    assert samples[1, 0].tolist() == [1, 0]
    assert samples[1, 1, 0] == 0
    assert np.isnan(samples[1, 1, 1])


def test_folds_by_question_keep_the_same_prompt_together() -> None:
    """Three hundred prompts, each asked twice in other letters: five folds of about one size, twins in one."""
    rows: list[Row] = []
    for i in range(300):
        for twin, prompt in enumerate((f"Prompt {i}", f"  prompt   {i} ")):
            rows += pair(f"q{i:03}-{twin}", twin, 1, 50.0, prompt=prompt)
    recording = read_recording(table(rows), replace(PAIR, hold_out_by="query"))
    assert (recording.folds[::2] == recording.folds[1::2]).all()
    names, sizes = np.unique(recording.folds, return_counts=True)
    assert len(names) == 5
    assert sizes.min() > 60
    assert set(read_recording(table(THREE), replace(PAIR, hold_out_by="query")).groups) == {"g"}


def test_a_further_sample_has_columns_of_its_own() -> None:
    """What it said, how long and at what price; its answer is compared with all others. One that is not there, was not
    judged, or whose tokens were not counted is none."""
    rows = [*THREE, *[r | {"sample": 1, "output_tokens": 7.0, "answer": "C"} for r in THREE]]
    rows[6] |= {"correct": 1.0, "answer": "A", "input_tokens": 30.0}  # small's second answer to q1: what full says
    rows[8] |= {"output_tokens": None}
    rows[10] |= {"correct": None}
    recording = read_recording(table(rows[:-1]), replace(PAIR, samples=2))
    assert recording.ladder.names() == ["small", "full", "small#1", "full#1"]
    assert [track.after for track in recording.ladder.tracks] == [None, None, 0, 1]
    assert recording.lacks(2).tolist() == [False, True, True]
    assert recording.lacks(3).tolist() == [False, False, True]
    assert recording.correct[0].tolist() == [0, 1, 1, 1]
    assert recording.cost_to(2, 1)[0] == 3 + 7
    said = recording.seen.answers[0]
    assert said[2] == said[1] != said[0] != said[3]
    assert recording.call_price.tolist() == [0, 0, 0, 0]
    calls = read_recording(table(rows), replace(PAIR, samples=2, cost="calls"))
    assert calls.call_price.tolist() == [0, 1, 0, 1]
    assert calls.lacks(2).tolist() == [False, False, True]


def test_a_second_thought_is_cut_at_the_same_budgets() -> None:
    rows = [*THREE, *[r | {"sample": 1, "output_tokens": 200.0} for r in THREE]]
    recording = read_recording(table(rows), constellation(ROUTES, probes=("small",), samples=2))
    assert recording.ladder.names() == ["small", "b100", "b300", "full", "small#1", "b100#1", "b300#1", "full#1"]
    assert fixed(recording, "b100#1") == ([0, 1, 0], [101 + 5] * 3)
    assert fixed(recording, "b300#1") == ([1, 0, 1], [201] * 3)


@pytest.mark.parametrize("by", ["benchmark", "group"])
def test_folds_and_strata_are_the_columns_of_the_table(by: Any) -> None:
    rows = [r | {"benchmark": f"b{i // 2 % 2}", "group": f"g{i // 2}"} for i, r in enumerate(THREE)]
    recording = read_recording(table(rows), replace(PAIR, hold_out_by=by))
    want = {"benchmark": ["b0", "b1", "b0"], "group": ["g0", "g1", "g2"]}[by]
    assert recording.folds.tolist() == want
    assert recording.strata.tolist() == want
    assert recording.groups.tolist() == ["g0", "g1", "g2"]
    assert read_recording(table(rows), replace(PAIR, hold_out_by="query")).strata.tolist() == ["b0", "b1", "b0"]


@pytest.mark.parametrize(
    ("rows", "changes", "price", "column", "says"),
    [
        ([r | {"correct": 1.0} for r in THREE], {}, "work", "correct", "every row says 1"),
        ([r for r in THREE if r["model"] == "m-small"], {}, "work", "model", "'full'"),
        ([r | {"output_tokens": None} for r in THREE], {}, "work", "model", "'small'"),
        ([THREE[0], THREE[3]], {}, "work", "query_id", "no question has a row for every route"),
        (THREE, {"where": {"language": ("en",)}}, "work", "language", "is missing"),
        (THREE, {"where": {"group": ("none",)}}, "work", "model", "no rows"),
        (THREE, {"routes": (replace(SMALL, price=None), replace(FULL, price=None))}, "list", None, "small, full"),
    ],
)
def test_what_is_wrong_with_a_table_names_file_and_column(
    rows: list[Row], changes: dict[str, Any], price: Any, column: str | None, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read_recording(table(rows, "spoilt.parquet"), replace(PAIR, **changes), price)
    assert caught.value.file == ("made.yaml:made" if column is None else "spoilt.parquet")
    assert caught.value.column == column


def test_an_empty_table_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("")
    with pytest.raises(DataError) as caught:
        read_recording(file, PAIR)
    assert caught.value.file == str(file)


def test_several_tables_are_one_recording(tmp_path: Path) -> None:
    """A sign that one file lacks is unknown there; a name that both files use is two questions."""
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    write_table(files[0], [r | {"confidence_verbal": 0.5} for r in THREE])
    write_table(files[1], THREE[:4])
    recording = read_recordings(files, constellation(ROUTES, probes=("small",)))
    assert len(recording) == len(set(recording.ids)) == 5
    assert fixed(recording, "b100")[1] == [81, 106, 106, 81, 106]
    assert np.isfinite(recording.seen.signs["confidence_verbal"]).sum() == 6
    assert len(recording.prompts) == len(recording.questions) == len(recording.folds) == 5
    assert len(read_recordings(files[:1], PAIR)) == 3


def test_budgets_of_one_thought_are_levels_of_one_track() -> None:
    ladder = ladder_of(constellation(BUDGETS))
    assert [t.route for t in ladder.tracks] == ["small", "second", "full"]
    assert (ladder.tracks[2].budgets, ladder.tracks[2].cuts, ladder.tracks[2].fallback) == (
        (100, 300),
        ("b100", "b300"),
        0,
    )
    other = DerivedRoute("b50", "full", 50, "second")
    with pytest.raises(DataError, match="several fallbacks"):
        ladder_of(Constellation("x.yaml:x", (SMALL, SECOND, B100, other, FULL)))
    assert isinstance(FULL, RecordedRoute)
