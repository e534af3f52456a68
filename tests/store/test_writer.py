"""The thread that writes: it tries again, isolates what cannot be written, repeats nothing, and never dies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from pointsman.domain import Outcome
from pointsman.errors import StoreError
from pointsman.store import Record
from pointsman.store.queue import WriteQueue
from pointsman.store.writer import Writer

MakeRecord: TypeAlias = Callable[..., Record]
MakeOutcome: TypeAlias = Callable[..., Outcome]
QueueOn: TypeAlias = Callable[..., AbstractContextManager[WriteQueue]]
Gate: TypeAlias = Any


def test_while_the_database_fails_it_tries_again_and_says_why(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
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


def test_failing_is_what_is_wrong_right_now(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
    gate.before = [StoreError("the disk is on fire")] * 100
    with queue_on(gate) as queue:
        queue.put(make_record())
        assert not queue.flush(0.3)
        assert queue.stats().failing == "the disk is on fire"
        assert queue.waiting("d1") is not None
        gate.before.clear()
        assert queue.flush(20)


def test_a_commit_that_came_through_though_it_seemed_to_fail_is_not_repeated(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """A connection may break after the commit and before its answer: the next try finds the record there."""
    gate.after = [StoreError("connection lost")]
    with queue_on(gate) as queue:
        queue.put(make_record(outcomes=(make_outcome(),)))
        queue.put(make_record("d2"))
        assert queue.flush(20)
        assert (queue.stats().written, queue.stats().dropped) == (2, 0)
    assert (gate.count(), gate.count("attempts"), gate.count("outcomes")) == (2, 2, 1)


def test_statements_whose_writing_is_repeated_are_not(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """Neither the last one nor those before it, though without keys only the last could be told by what it says."""
    told = (make_outcome(value=0.0), make_outcome(value=1.0, minutes=1), make_outcome(value=0.0, minutes=2))
    with queue_on(gate) as queue:
        queue.put(make_record())
        assert queue.flush(20)
        gate.go.clear()
        gate.after = [StoreError("connection lost")]
        for statement in told:
            assert queue.put_outcome(statement, ()).accepted
        gate.go.set()
        assert queue.flush(20)
    assert gate.count("outcomes") == 3


def test_what_comes_while_the_thread_sleeps_wakes_it(gate: Gate, queue_on: QueueOn, make_record: MakeRecord) -> None:
    with queue_on(gate) as queue:
        for number in range(3):
            gate.entered.clear()
            queue.put(make_record(f"d{number}"))
            assert gate.entered.wait(20), "nobody had to flush"
            assert queue.flush(20)


def test_one_record_that_cannot_be_written_is_lost_alone(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
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


def test_the_chore_runs_between_batches_until_it_is_done_and_its_errors_kill_nothing(
    gate: Gate, queue_on: QueueOn, make_record: MakeRecord
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
