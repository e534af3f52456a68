"""Writing and reading in a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pointsman.domain import Outcome
from pointsman.errors import StoreError
from pointsman.store import Record, ledger, paid
from pointsman.store.database import Database
from pointsman.store.records import Entry

MakeRecord = Callable[..., Record]
MakeOutcome = Callable[..., Outcome]


def write(database: Database, *entries: Entry, again: bool = False) -> int:
    with database.writing() as connection:
        return ledger.write(connection, entries, keep_text=True, again=again)


def read(database: Database, decision_id: str) -> Record | None:
    with database.reading() as connection:
        return ledger.read(connection, decision_id)


def test_pages_go_through_time_from_since_on_without_gap_or_repeat(
    database: Database, make_record: MakeRecord, moment: datetime
) -> None:
    """Also where several decisions were made at the same instant, and whatever the order of writing."""
    made = [make_record(f"d{n}", created_at=moment + timedelta(minutes=n // 3)) for n in (8, 1, 5, 0, 7, 3, 6, 2, 4)]
    write(database, *[Entry(record.decision.id, record) for record in made])
    found: list[str] = []
    after = None
    with database.reading() as connection:
        while page := ledger.read_page(connection, since=moment + timedelta(minutes=1), after=after, size=2):
            found += [record.decision.id for record in page]
            after = (page[-1].decision.created_at, page[-1].decision.id)
    assert found == ["d3", "d4", "d5", "d6", "d7", "d8"]


def test_a_record_written_twice_is_refused_and_written_again_is_left_as_it_is(
    database: Database, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """`again` is for a try whose end was not learnt: the record stands once, the statement beside it is not doubled."""
    entry = Entry("d1", make_record(), (make_outcome(),))
    write(database, entry)
    with pytest.raises(StoreError):
        write(database, entry)
    assert write(database, entry, Entry("d2", make_record("d2")), again=True) == 0
    first = read(database, "d1")
    assert first is not None
    assert len(first.attempts) == len(first.outcomes) == 1
    assert read(database, "d2") is not None


def test_statements_are_compared_with_those_written_before_and_beside(
    database: Database, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    keyed = make_outcome(value=0.0, idempotency_key="k")
    write(database, Entry("d1", make_record(), (keyed, keyed)))
    write(database, Entry("d1", None, (replace(keyed, value=1.0), make_outcome(), make_outcome(minutes=3))))
    found = read(database, "d1")
    assert found is not None
    assert found.outcomes == (keyed, make_outcome())


def test_statements_on_unknown_decisions_are_counted_and_hinder_no_other(
    database: Database, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    lost = write(
        database,
        Entry("gone", None, (make_outcome("gone"), make_outcome("gone", 0.0))),
        Entry("d1", make_record(), (make_outcome(),)),
    )
    found = read(database, "d1")
    assert lost == 2
    assert found is not None
    assert found.outcomes == (make_outcome(),)


def test_a_call_that_is_evidence_and_attempt_is_one_row_and_paid_once(
    database: Database, make_record: MakeRecord, make_attempt: Callable[..., object]
) -> None:
    shared, probe = make_attempt(answer="8"), make_attempt(answer="9")
    record = make_record(evidence=(probe, shared), attempts=(shared, make_attempt()))
    write(database, Entry("d1", record))
    assert read(database, "d1") == record
    assert [call.attempt.answer for call in paid(record.decision, record.attempts)] == ["9", "8", "7"]
    with database.reading() as connection:
        assert len(connection.execute(ledger.attempts.select()).all()) == 3


def test_what_is_not_there_is_none(database: Database) -> None:
    assert read(database, "nothing") is None
    with database.reading() as connection:
        assert ledger.read_page(connection) == []
        assert ledger.known_ids(connection, []) == set()


def test_statements_that_are_written_while_they_are_read_are_not_doubled(
    make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """What waits is looked at before the database is, so a statement may be in both."""
    first, second = make_outcome(), make_outcome(value=0.0)
    read = make_record(outcomes=(first,))
    assert ledger.with_pending(read, (first, second)).outcomes == (first, second)
    assert ledger.with_pending(read, ()) is read
