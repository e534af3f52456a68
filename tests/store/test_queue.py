"""The queue and its thread: nothing waits for the database, nothing is lost silently, nothing is written twice."""

from __future__ import annotations

import logging
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from pointsman.domain import Outcome, Query
from pointsman.errors import StoreError
from pointsman.store import Receipt, Record, Store, ledger
from pointsman.store.database import Database
from pointsman.store.queue import BATCH, WriteQueue
from pointsman.store.records import Entry
from pointsman.store.writer import Writer

MakeRecord = Callable[..., Record]
MakeOutcome = Callable[..., Outcome]


class Gate:
    """A real writing that can be held up: before it, or after its commit; and made to fail on either side."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.batches: list[list[str]] = []

    def __call__(self, entries: Sequence[Entry], again: bool) -> int:
        self.batches.append([entry.decision_id for entry in entries])
        self.entered.set()
        assert self.go.wait(20)
        if self.before:
            raise self.before.pop(0)
        with self.database.writing() as connection:
            lost = ledger.write(connection, entries, keep_text=True, again=again)
        if self.after:
            raise self.after.pop(0)
        return lost

    def count(self, table: str = "decisions") -> int:
        with self.database.reading() as connection:
            return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


@contextmanager
def queue_on(gate: Gate, **changes: int) -> Iterator[WriteQueue]:
    bounds = {"capacity": 1000, "most_bytes": 10**9} | changes
    queue = WriteQueue(run=Writer(gate).run, **bounds)
    try:
        yield queue
    finally:
        gate.go.set()
        queue.close(10)


def test_what_is_put_is_written_once_and_counted(gate: Gate, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        assert all(queue.put(make_record(f"d{n}")) for n in range(600))
        assert queue.flush(20)
        assert (queue.stats().depth, queue.stats().written, queue.stats().dropped) == (0, 600, 0)
    assert gate.count() == gate.count("attempts") == gate.count("queries") == 600
    assert max(map(len, gate.batches)) <= BATCH


def test_over_its_capacity_it_drops_counts_and_reports(
    gate: Gate, make_record: MakeRecord, make_outcome: MakeOutcome, caplog: pytest.LogCaptureFixture
) -> None:
    gate.go.clear()
    with caplog.at_level(logging.WARNING), queue_on(gate, capacity=3) as queue:
        taken = [queue.put(make_record(f"d{n}")) for n in range(5)]
        late = queue.put_outcome_if_waiting(make_outcome("d0"))
        assert taken == [True] * 3 + [False] * 2
        assert late == Receipt(accepted=False, duplicate=False)
        assert (queue.stats().depth, queue.stats().dropped) == (3, 3)
        gate.go.set()
        assert queue.flush(20)
        assert queue.put(make_record("d9")), "there is room again"
    assert gate.count() == 4
    assert "3 records or statements were dropped" in caplog.text


def test_memory_is_bounded_too(gate: Gate, make_record: MakeRecord) -> None:
    """Few long conversations can weigh more than many short ones; pictures count by their data URL."""
    gate.go.clear()
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 60_000}}]}
    with queue_on(gate, most_bytes=100_000) as queue:
        assert queue.put(replace(make_record("a"), query=Query(messages=(picture,))))
        assert not queue.put(make_record("b", "x" * 60_000))
        assert queue.put(make_record("c"))
        gate.go.set()
        assert queue.flush(20)
        assert queue.put(make_record("b", "x" * 60_000)), "what was written weighs nothing any more"


def test_a_second_record_of_a_waiting_decision_is_dropped(gate: Gate, make_record: MakeRecord) -> None:
    gate.go.clear()
    with queue_on(gate) as queue:
        assert queue.put(make_record("d1", "first"))
        assert not queue.put(make_record("d1", "second"))
    with gate.database.reading() as connection:
        kept = ledger.read(connection, "d1")
    assert kept is not None
    assert kept.query.messages[0]["content"] == "first"


def test_a_statement_that_comes_while_its_record_is_being_written_is_written_next(
    gate: Gate, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    gate.go.clear()
    with queue_on(gate) as queue:
        queue.put(make_record())
        assert gate.entered.wait(20)
        assert queue.put_outcome_if_waiting(make_outcome()) == Receipt(accepted=True, duplicate=False)
        assert queue.put_outcome_if_waiting(make_outcome()) == Receipt(accepted=False, duplicate=True)
        waiting = queue.waiting("d1")
        assert waiting is not None
        assert waiting.outcomes == (make_outcome(),)
        gate.go.set()
        assert queue.flush(20)
        assert queue.waiting("d1") is None
    assert gate.batches == [["d1"], ["d1"]]
    assert (gate.count(), gate.count("outcomes")) == (1, 1)


def test_while_the_database_fails_it_tries_again_and_says_why(
    gate: Gate, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    gate.before = [StoreError("the disk is on fire")] * 3
    gate.go.clear()
    with caplog.at_level(logging.WARNING), queue_on(gate) as queue:
        queue.put(make_record())
        assert queue.stats().failing is None
        gate.go.set()
        assert queue.flush(20)
        assert queue.stats().failing is None, "it recovered"
        assert queue.stats().dropped == 0
    assert len(gate.batches) == 4
    assert gate.count() == 1
    said = [message for message in caplog.messages if "on fire" in message]
    assert len(said) == 1, "said once, not at every try"
    assert "The store can be written again." in caplog.messages


def test_failing_is_what_is_wrong_right_now(gate: Gate, make_record: MakeRecord) -> None:
    gate.before = [StoreError("the disk is on fire")] * 100
    with queue_on(gate) as queue:
        queue.put(make_record())
        assert not queue.flush(0.3)
        assert queue.stats().failing == "the disk is on fire"
        assert queue.waiting("d1") is not None
        gate.before.clear()
        assert queue.flush(20)


def test_a_commit_that_came_through_though_it_seemed_to_fail_is_not_repeated(
    gate: Gate, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """A connection may break after the commit and before its answer: the next try finds the record there."""
    gate.after = [StoreError("connection lost")]
    with queue_on(gate) as queue:
        queue.put(make_record(outcomes=(make_outcome(),)))
        queue.put(make_record("d2"))
        assert queue.flush(20)
        assert (queue.stats().written, queue.stats().dropped) == (2, 0)
    assert (gate.count(), gate.count("attempts"), gate.count("outcomes")) == (2, 2, 1)


def test_one_record_that_cannot_be_written_is_lost_alone(
    gate: Gate, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """Be it that it cannot be prepared or that the database refuses it; the others are written, the thread lives."""
    unpreparable = replace(make_record("bad1"), features=("no number",))
    refused = make_record("bad2", attempts=(replace(make_record().attempts[0], model=None),))
    gate.go.clear()
    with caplog.at_level(logging.WARNING), queue_on(gate) as queue:
        for record in (make_record("d1"), unpreparable, refused, make_record("d2")):
            assert queue.put(record)
        gate.go.set()
        assert queue.flush(20)
        assert (queue.stats().written, queue.stats().dropped) == (2, 2)
        assert queue.put(make_record("d3"))
        assert queue.flush(20)
    assert gate.count() == 3
    assert "bad1" in caplog.text
    assert "bad2" in caplog.text


def test_closing_writes_what_waits(gate: Gate, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        for number in range(50):
            queue.put(make_record(f"d{number}"))
        assert queue.close(20)
        assert not queue.put(make_record("late")), "closed"
        assert queue.stats().dropped == 1
        assert queue.close(20), "a second time is nothing"
    assert gate.count() == 50


def test_closing_while_the_database_hangs_ends_in_time_and_counts_the_loss(
    gate: Gate, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    gate.go.clear()
    with caplog.at_level(logging.WARNING), queue_on(gate) as queue:
        for number in range(5):
            queue.put(make_record(f"d{number}"))
        began = time.monotonic()
        assert not queue.close(0.2)
        assert time.monotonic() - began < 2
        assert (queue.stats().depth, queue.stats().dropped) == (0, 5)
    assert "5 records or statements were dropped" in caplog.text


def test_closing_while_the_database_fails_ends_in_time(gate: Gate, make_record: MakeRecord) -> None:
    gate.before = [StoreError("down")] * 1000
    with queue_on(gate) as queue:
        queue.put(make_record())
        began = time.monotonic()
        assert not queue.close(0.3)
        assert time.monotonic() - began < 2
        assert queue.stats().dropped == 1


def test_flush_waits_for_what_is_queued_now_and_no_longer(gate: Gate, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        assert queue.flush(0), "an empty queue is flushed"
        gate.go.clear()
        queue.put(make_record("d1"))
        assert gate.entered.wait(20)
        assert not queue.flush(0.05)
        flushed = threading.Event()
        waiter = threading.Thread(target=lambda: queue.flush(20) and flushed.set())
        waiter.start()
        gate.go.set()
        assert flushed.wait(20)
        waiter.join()


def test_the_chore_runs_between_batches_until_it_is_done_and_its_errors_kill_nothing(
    gate: Gate, make_record: MakeRecord
) -> None:
    calls: list[int] = []
    finished = threading.Event()

    def chore() -> bool:
        calls.append(1)
        if len(calls) == 3:
            finished.set()
            raise ZeroDivisionError
        return True

    queue = WriteQueue(capacity=10, most_bytes=10**9, run=Writer(gate, chore).run)
    queue.put(make_record("d1"))
    assert finished.wait(20)
    queue.put(make_record("d2"))
    assert queue.close(20)
    assert len(calls) == 3
    assert gate.count() == 2


def test_putting_costs_less_than_50_microseconds_while_the_database_is_locked(
    sqlite_store: Store, sqlite_file: Path, make_record: MakeRecord
) -> None:
    """The median of 3,000 puts of a record with a vector of 256 numbers, the writing thread beside them."""
    locker = sqlite3.connect(sqlite_file, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    records = [make_record(f"d{n}", embedding=(0.1,) * 256) for n in range(3000)]
    costs: list[float] = []
    for record in records:
        began = time.perf_counter()
        sqlite_store.put(record)
        costs.append(time.perf_counter() - began)
    locker.execute("ROLLBACK")
    locker.close()
    assert sqlite_store.stats().depth > 2000
    assert statistics.median(costs) < 50e-6
