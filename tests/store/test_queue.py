"""The queue: nothing waits for the database, nothing is lost silently, nothing is written twice."""

from __future__ import annotations

import gc
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pointsman.domain import Outcome, Query
from pointsman.errors import StoreError
from pointsman.store import Receipt, Record, Store, StoreConfig, ledger, open_store
from pointsman.store.queue import BATCH, WriteQueue

MakeRecord: TypeAlias = Callable[..., Record]
MakeOutcome: TypeAlias = Callable[..., Outcome]
QueueOn: TypeAlias = Callable[..., AbstractContextManager[WriteQueue]]
Gate: TypeAlias = Any


def test_what_is_put_is_written_once_and_counted(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        assert all(queue.put(make_record(f"d{n}")) for n in range(600))
        assert queue.flush(20)
        assert (queue.stats().depth, queue.stats().written, queue.stats().dropped) == (0, 600, 0)
    assert gate.count() == gate.count("attempts") == gate.count("queries") == 600
    assert max(map(len, gate.batches)) <= BATCH


def test_over_its_capacity_it_drops_counts_and_reports(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, make_outcome: MakeOutcome, caplog: pytest.LogCaptureFixture
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


def test_memory_is_bounded_too(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
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


def test_a_second_record_of_a_waiting_decision_is_dropped(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord
) -> None:
    gate.go.clear()
    with queue_on(gate) as queue:
        assert queue.put(make_record("d1", "first"))
        assert not queue.put(make_record("d1", "second"))
    with gate.database.reading() as connection:
        kept = ledger.read(connection, "d1")
    assert kept is not None
    assert kept.query.messages[0]["content"] == "first"


def test_a_statement_that_comes_while_its_record_is_being_written_is_written_next(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, make_outcome: MakeOutcome
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


def test_closing_writes_what_waits(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        for number in range(50):
            queue.put(make_record(f"d{number}"))
        assert queue.close(20)
        assert not queue.put(make_record("late")), "closed"
        assert queue.stats().dropped == 1
        assert queue.close(20), "a second time is nothing"
    assert gate.count() == 50


def test_closing_while_the_database_hangs_ends_in_time_and_counts_the_loss(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    gate.go.clear()
    with caplog.at_level(logging.WARNING), queue_on(gate) as queue:
        for number in range(5):
            queue.put(make_record(f"d{number}"))
        assert not queue.close(0.2)
        assert (queue.stats().depth, queue.stats().dropped) == (0, 5)
        gate.go.set()
        assert gate.through.wait(20), "it still hung when the queue was closed"
    assert "5 records or statements were dropped" in caplog.text


def test_closing_while_the_database_fails_ends_in_time(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
    gate.before = [StoreError("down")] * 1000
    with queue_on(gate) as queue:
        queue.put(make_record())
        assert not queue.close(0.3)
        assert gate.before, "it was not tried to the end"
        assert queue.stats().dropped == 1


def test_flush_waits_for_what_is_queued_now_and_no_longer(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord
) -> None:
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


def test_putting_does_not_wait_for_a_database_that_is_locked(
    sqlite_store: Store, sqlite_file: Path, make_record: MakeRecord
) -> None:
    """Everything is taken before the lock goes, the writing thread trying meanwhile; then it is written."""
    locker = sqlite3.connect(sqlite_file, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    assert all(sqlite_store.put(make_record(f"d{n}", embedding=(0.1,) * 256)) for n in range(1000))
    assert (sqlite_store.stats().depth, sqlite_store.stats().written) == (1000, 0)
    locker.execute("ROLLBACK")
    locker.close()
    assert sqlite_store.flush(60)
    assert sqlite_store.stats().written == 1000


def test_a_store_that_is_forgotten_writes_what_waits(
    sqlite_store: Store, sqlite_file: Path, make_record: MakeRecord
) -> None:
    forgotten = open_store(StoreConfig(url=f"sqlite:///{sqlite_file}"))
    forgotten.put(make_record())
    del forgotten
    gc.collect()
    assert sqlite_store.decision("d1") is not None
