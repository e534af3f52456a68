"""Records to files, and away."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from pointsman.domain import Attempt, Outcome
from pointsman.errors import DataError, MissingExtra
from pointsman.store import Record, Store
from pointsman.store.database import Database
from pointsman.store.export import _STEP, export, prune

MakeRecord = Callable[..., Record]


@pytest.fixture
def filled(
    store: Store,
    make_record: MakeRecord,
    make_attempt: Callable[..., Attempt],
    make_outcome: Callable[..., Outcome],
    moment: datetime,
) -> Store:
    """Two decisions: one escalated and judged, one an hour later with text that JSON writers stumble over."""
    tried = (make_attempt(), make_attempt(route="full", answer="8", cost=1.0))
    store.put(make_record("d1", attempts=tried, evidence=tried[:1], outcomes=(make_outcome(),)))
    store.put(make_record("d2", "ünï\u2028\n\ud800 2", created_at=moment + timedelta(hours=1), features=None))
    assert store.flush(20)
    return store


def test_jsonl_has_every_record_with_its_names(filled: Store, tmp_path: Path) -> None:
    assert filled.export(tmp_path / "out.jsonl") == 2
    first, second = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert first["decision"]["id"] == "d1"
    assert first["decision"]["route"]["price"] == {
        "input": 0.1,
        "cached_input": 0.0,
        "output": 1.0,
        "assumed": True,
        "listed": False,
    }
    assert first["decision"]["estimates"]["small"]["p_correct"] == 0.9
    assert [attempt["answer"] for attempt in first["attempts"]] == ["7", "8"]
    assert first["attempts"][0]["usage"] == {"prompt": 10, "cached": 2, "thought": 5, "answer": 3}
    assert first["outcomes"][0]["value"] == 1.0
    assert second["query"]["messages"][0]["content"] == "ünï\u2028\n\ud800 2"
    assert datetime.fromisoformat(second["decision"]["created_at"]) == datetime(2030, 1, 2, 4, 4, 5, tzinfo=UTC)


def test_since_leaves_older_ones_out(filled: Store, tmp_path: Path, moment: datetime) -> None:
    assert filled.export(tmp_path / "out.jsonl", since=moment + timedelta(minutes=1)) == 1
    assert [json.loads(line)["decision"]["id"] for line in filled.lines(moment + timedelta(minutes=1))] == ["d2"]


def test_parquet_has_a_row_a_decision_with_totals_and_label(filled: Store, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert filled.export(tmp_path / "out.parquet", "parquet") == 2
    first, second = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (first["decision_id"], first["route"], first["answer"]) == ("d1", "small", "8")
    assert first["created_at"] == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert first["cost"] == pytest.approx(1.0 + 9e-6), "the call that is evidence and attempt is paid once"
    assert (first["prompt_tokens"], first["thought_tokens"], first["answer_tokens"]) == (20, 10, 6)
    assert (first["correct"], first["weight"], second["correct"]) == (1.0, 1.0, None)
    assert first["embedding"] == [0.25, -1.0, 3.0]
    assert second["features"] is None
    assert json.loads(first["estimates"])["small"]["p_correct"] == 0.9
    assert len(json.loads(first["attempts"])) == 2


def test_parquet_without_pyarrow_names_the_extra(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pointsman\[data\]"):
        filled.export(tmp_path / "out.parquet", "parquet")


def test_a_file_that_cannot_be_written_is_named(database: Database, tmp_path: Path) -> None:
    for form in ("jsonl", "parquet"):
        with pytest.raises(DataError, match="nowhere"):
            export(database, tmp_path / "nowhere" / "out", form)
    with pytest.raises(DataError, match="'xml' is unknown"):
        export(database, tmp_path / "out", "xml")  # pyright: ignore


def test_pruning_deletes_old_decisions_with_all_that_hangs_on_them(
    store: Store,
    database: Database,
    make_record: MakeRecord,
    make_outcome: Callable[..., Outcome],
) -> None:
    now = datetime.now(UTC)
    for name, age in (("old", 8), ("older", 80), ("young", 6)):
        told = (make_outcome(name), make_outcome(name, 0.0, minutes=1))
        store.put(make_record(name, created_at=now - timedelta(days=age), outcomes=told))
    assert store.flush(20)
    pruned = store.prune(timedelta(days=7))
    assert (pruned.decisions, pruned.attempts, pruned.outcomes) == (2, 2, 4)
    with database.reading() as connection:
        left = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("decisions", "queries", "attempts", "outcomes")
        ]
    assert left == [1, 1, 1, 2]
    assert store.prune(timedelta(days=7)).decisions == 0


def test_pruning_goes_on_in_steps_and_stops_at_most_where_asked(
    store: Store, database: Database, make_record: MakeRecord
) -> None:
    for number in range(_STEP + 10):
        store.put(replace(make_record(f"d{number}", created_at=datetime(2020, 1, 1, tzinfo=UTC)), attempts=()))
    assert store.flush(60)
    assert prune(database, timedelta(days=1), most=3).decisions == 3
    assert prune(database, timedelta(days=1)).decisions == _STEP + 7
