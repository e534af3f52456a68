"""The decisions file: what a scorer needs, a row for each question, policy and point."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from recorded import Row, constellation, decisions, resampled, run, world

from pointsman.router.jobs.evaluation.contest import POINTS
from pointsman.router.jobs.evaluation.decisions import COLUMNS, write_decisions
from pointsman.router.jobs.evaluation.evaluate import Evaluation

ROWS = world(150)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run(ROWS, constellation())


def test_the_columns_are_those_that_the_scorer_reads(found: Evaluation) -> None:
    assert (
        *("query_id", "group", "policy", "point", "bought", "answered_by", "score", "p_correct", "p_best_fixed"),
        *("input_tokens", "output_tokens", "cost", "correct"),
    ) == COLUMNS
    assert all(tuple(r) == COLUMNS for r in decisions(found))


def test_every_question_has_one_row_a_policy_and_ours_one_a_point(found: Evaluation) -> None:
    keys = [(r["query_id"], r["policy"], r["point"]) for r in decisions(found)]
    assert len(keys) == len(set(keys))
    ids = sorted({r["query_id"] for r in ROWS})
    for policy in ("pointsman", "text_only", "agreement"):
        assert sorted(q for q, p, point in keys if p == policy and point is None) == ids
    for point in range(POINTS + 1):
        assert sorted(q for q, p, at in keys if at == point) == ids
    assert {p for _, p, point in keys if point is not None} == {"pointsman"}
    assert POINTS + 1 <= 33


def test_purchases_are_in_order_with_their_sample_and_one_of_them_answered(found: Evaluation) -> None:
    names = {f"{n}#0" for n in ("small", "second", "full")}
    for r in decisions(found):
        assert isinstance(r["bought"], list)
        assert r["answered_by"] in r["bought"]
        assert set(r["bought"]) <= names
        assert len(r["bought"]) == len(set(r["bought"]))


def test_a_further_sample_is_written_with_its_number() -> None:
    routes = constellation(probes=(), samples=2)
    rows = decisions(run(resampled(ROWS), routes, ladder="small,small#1,full"))
    kinds = {(*r["bought"], r["answered_by"]) for r in rows}
    assert ("small#0", "small#1", "small#0") in kinds
    assert {name for kind in kinds for name in kind} <= {"small#0", "small#1", "second#0", "full#0"}


def test_group_is_the_fold_held_out_or_the_tables_group(found: Evaluation) -> None:
    groups = {r["query_id"]: r["group"] for r in ROWS}
    benchmarks = {r["query_id"]: r["benchmark"] for r in ROWS}
    few = [r for r in ROWS if r["query_id"] < "q0060"]
    assert all(r["group"] == groups[r["query_id"]] for r in decisions(found))
    by_benchmark = decisions(run(few, constellation(hold_out_by="benchmark")))
    assert all(r["group"] == benchmarks[r["query_id"]] for r in by_benchmark)
    assert all(r["group"] == groups[r["query_id"]] for r in decisions(run(few, constellation(hold_out_by="query"))))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_file_holds_the_rows(found: Evaluation, tmp_path: Path, form: str) -> None:
    """In a folder that is made; `point` null at chosen, `bought` a list."""
    file = tmp_path / "deep" / f"d.{form}"
    write_decisions(file, found.recording, found.entries)
    lines = [] if form == "parquet" else file.read_text().splitlines()
    read: list[Row] = [json.loads(line) for line in lines] or pq.read_table(file).to_pylist()
    assert read == decisions(found)
