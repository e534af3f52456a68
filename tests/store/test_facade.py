"""The store as the other rooms use it, on real files and locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from pointsman.domain import Finish, Outcome, Query
from pointsman.errors import BadRequest, NotFound, StoreError
from pointsman.store import Receipt, Record, Store, StoreConfig, open_store, redacted
from pointsman.store.database import Database

MakeRecord = Callable[..., Record]
MakeOutcome = Callable[..., Outcome]

TAKEN = Receipt(accepted=True, duplicate=False)
REPEATED = Receipt(accepted=False, duplicate=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else holds the write lock."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def test_a_decision_is_read_and_fed_back_while_it_waits(
    sqlite_store: Store, sqlite_file: Path, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    with locked(sqlite_file):
        assert sqlite_store.put(make_record())
        assert sqlite_store.put_outcome(make_outcome()) == TAKEN
        assert sqlite_store.put_outcome(make_outcome()) == REPEATED
        read = sqlite_store.decision("d1")
        assert read == make_record(outcomes=(make_outcome(),))
        assert not sqlite_store.flush(0.3)
        assert "locked" in (sqlite_store.stats().failing or "")
    assert sqlite_store.flush(20)
    assert sqlite_store.decision("d1") == read
    assert sqlite_store.stats().failing is None


def test_a_decision_is_read_and_fed_back_after_it_is_written(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    store.put(make_record())
    assert store.flush(20)
    assert store.put_outcome(make_outcome(idempotency_key="k")) == TAKEN
    assert store.put_outcome(make_outcome(value=0.0, idempotency_key="k")) == REPEATED, "while the first one waits"
    read = store.decision("d1")
    assert store.flush(20)
    assert store.put_outcome(make_outcome(value=0.0, idempotency_key="k")) == REPEATED, "when the first is written"
    assert read == store.decision("d1") == make_record(outcomes=(make_outcome(idempotency_key="k"),))


def test_feedback_on_a_written_decision_is_kept_while_the_database_cannot_be_asked(
    url: str, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """Unseen: a repeat, and a statement on nothing, are sorted out when the database is back."""
    with open_store(StoreConfig(url=url)) as store:
        store.upgrade()
        store.put(make_record(outcomes=(make_outcome(),)))
        assert store.flush(20)
        with away(url):
            assert store.put_outcome(make_outcome(value=0.0, minutes=1)) == TAKEN
            assert store.put_outcome(make_outcome("nothing")) == TAKEN
            with pytest.raises(StoreError):
                store.decision("d1")
            assert store.put(make_record("d2")), "requests go on"
            assert store.decision("d2") == make_record("d2")
        assert store.flush(20)
        assert store.stats().dropped == 1
        read = store.decision("d1")
        assert read is not None
        assert read.outcomes == (make_outcome(), make_outcome(value=0.0, minutes=1))


@contextmanager
def away(url: str) -> Iterator[None]:
    """The tables are gone for a while."""
    other = Database(url)
    names = ("decisions", "outcomes")
    for name in names:
        with other.writing() as connection:
            connection.execute(text(f"ALTER TABLE {name} RENAME TO {name}_away"))
    yield
    for name in names:
        with other.writing() as connection:
            connection.execute(text(f"ALTER TABLE {name}_away RENAME TO {name}"))
    other.close()


def test_a_store_opens_and_serves_though_the_database_was_never_there(
    tmp_path: Path, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """A folder stands where the file should be: starting says so, requests do not notice, the loss is counted."""
    (tmp_path / "store.db").mkdir()
    store = open_store(StoreConfig(url=f"sqlite:///{tmp_path / 'store.db'}", queue_capacity=2))
    with pytest.raises(StoreError, match="cannot be opened"):
        store.upgrade()
    assert store.put(make_record())
    assert store.put_outcome(make_outcome()) == TAKEN
    assert not store.put(make_record("d2"))
    assert store.decision("d1") == make_record(outcomes=(make_outcome(),))
    assert not store.close(0.2)
    assert store.stats().dropped == 3


def test_a_slow_database_slows_no_request(tmp_path: Path, make_record: MakeRecord) -> None:
    """Each row takes the database some milliseconds; putting 200 records does not wait for it."""
    path = tmp_path / "slow.db"
    with open_store(StoreConfig(url=f"sqlite:///{path}")) as store:
        store.upgrade()
        count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 8000) SELECT max(x) FROM n"
        with sqlite3.connect(path) as slow:
            slow.execute(f"CREATE TRIGGER slow AFTER INSERT ON decisions BEGIN {count}; END")
        slow.close()
        assert all(store.put(make_record(f"d{n}")) for n in range(200))
        assert store.stats().depth > 100, "they wait in memory"
        assert store.flush(60)
        assert store.stats().written == 200


def test_a_decision_under_way_can_be_read_and_stated_on(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    """Before its answer has ended; what was said is written with the record, once."""
    begun = make_record(attempts=())
    store.begin(begun)
    assert store.decision("d1") == begun
    assert store.put_outcome(make_outcome()) == TAKEN
    assert store.put_outcome(make_outcome()).duplicate
    assert store.flush(), "nothing of it is to be written yet"
    assert list(store.records()) == []
    assert store.decision("d1") == make_record(attempts=(), outcomes=(make_outcome(),))
    assert store.put(make_record())
    assert store.flush()
    assert list(store.records()) == [make_record(outcomes=(make_outcome(),))]
    assert (store.stats().depth, store.stats().dropped) == (0, 0)


def test_what_is_said_of_a_decision_whose_record_finds_no_room_is_counted_as_dropped(
    sqlite_store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    sqlite_store.begin(make_record())
    assert sqlite_store.put_outcome(make_outcome()) == TAKEN
    assert sqlite_store.stats().depth == 1
    assert not sqlite_store.close(1), "its record never came"
    assert not sqlite_store.put(make_record())
    assert sqlite_store.stats().dropped == 2


def test_unknown_decisions_are_not_found(store: Store, make_outcome: MakeOutcome) -> None:
    assert store.decision("nothing") is None
    with pytest.raises(NotFound, match="'nothing'"):
        store.put_outcome(make_outcome("nothing"))
    assert store.stats().depth == 0


def test_impossible_values_are_refused_by_field(store: Store, make_outcome: MakeOutcome) -> None:
    with pytest.raises(BadRequest) as caught:
        store.put_outcome(make_outcome(value=float("nan")))
    assert caught.value.field == "value"


def test_the_same_feedback_from_many_threads_is_taken_once(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome
) -> None:
    store.put(make_record())
    start = threading.Barrier(8)
    receipts: list[Receipt] = []

    def tell() -> None:
        start.wait()
        receipts.append(store.put_outcome(make_outcome(idempotency_key="k")))

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.flush(20)
    assert receipts.count(TAKEN) == 1
    read = store.decision("d1")
    assert read is not None
    assert len(read.outcomes) == 1


CANARY = "canary-3f9a"


def full_of_canaries(make_record: MakeRecord) -> Record:
    """Every field that a caller or a model writes holds the canary."""
    plain = make_record("d1", f"What does {CANARY} mean?")
    quoting = replace(
        plain.attempts[0],
        answer=f"{CANARY}!",
        error=f"400: cannot parse {CANARY}",
        warnings=(f"{CANARY} is ignored",),
        finish=Finish.ERROR,
    )
    query = Query(
        messages=plain.query.messages,
        tools=({"type": "function", "function": {"name": CANARY}},),
        tool_choice={"type": "function", "function": {"name": CANARY}},
        response_format={"type": "json_schema", "json_schema": {"name": CANARY}},
        stop=(CANARY,),
        extra={"user": CANARY},
        max_tokens=77,
    )
    decision = replace(plain.decision, evidence=(quoting,), warnings=(f"{CANARY} was passed on",))
    return replace(plain, decision=decision, query=query, attempts=(quoting,))


@pytest.mark.parametrize("keep_text", [True, False])
def test_where_texts_are_not_kept_no_byte_of_them_is_in_the_files(
    tmp_path: Path, make_record: MakeRecord, make_outcome: MakeOutcome, keep_text: bool
) -> None:
    """Neither in the database nor in its write-ahead log; the hash, the numbers and the vectors are. With texts the
    same search finds them, so it would have found them."""
    record = full_of_canaries(make_record)
    store = open_store(StoreConfig(url=f"sqlite:///{tmp_path / 'a.db'}", keep_text=keep_text))
    store.upgrade()
    store.put(record)
    while_waiting = store.decision("d1")
    store.put_outcome(make_outcome())
    assert store.flush(20)
    read = store.decision("d1")
    with_log = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.close()
    at_rest = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert (CANARY.encode() in with_log, CANARY.encode() in at_rest) == (keep_text, keep_text)
    assert while_waiting is not None
    assert read is not None
    assert replace(read, outcomes=()) == while_waiting == (record if keep_text else redacted(record))
    assert (read.features, read.embedding, read.query.max_tokens) == (record.features, record.embedding, 77)
    assert read.attempts[0].error is not None, "that it failed is kept"
    assert len(read.query_hash) == 64


def test_pruned_texts_are_gone_from_the_files(tmp_path: Path, make_record: MakeRecord) -> None:
    with open_store(StoreConfig(url=f"sqlite:///{tmp_path / 'a.db'}")) as store:
        store.upgrade()
        old = full_of_canaries(make_record)
        store.put(replace(old, decision=replace(old.decision, created_at=datetime(2020, 1, 1, tzinfo=UTC))))
        assert store.flush(20)
        assert store.prune(timedelta(days=365)).decisions == 1
        assert CANARY.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_retention_deletes_old_decisions_by_itself(url: str, make_record: MakeRecord) -> None:
    now = datetime.now(UTC)
    with open_store(StoreConfig(url=url)) as store:
        store.upgrade()
        store.put(make_record("old", created_at=now - timedelta(days=40)))
        store.put(make_record("young", created_at=now - timedelta(days=20)))
        assert store.flush(20)
    with open_store(StoreConfig(url=url, retention_days=30)) as store:
        store.put(make_record("new", created_at=now))
        store.close(20)
    with open_store(StoreConfig(url=url)) as store:
        assert [record.decision.id for record in store.records()] == ["young", "new"]


def test_another_process_reads_and_writes_the_same_file_meanwhile(
    sqlite_store: Store, sqlite_file: Path, make_record: MakeRecord
) -> None:
    """A proxy logs while `retrain` in another process reads the history and registers an artifact."""
    job = """
import sys
from datetime import UTC, datetime
from pointsman.store import StoreConfig, open_store
with open_store(StoreConfig(url=sys.argv[1])) as store:
    print("ready", flush=True)
    for turn in range(10):
        seen = sum(1 for _ in store.observations())
        store.register(f"a{turn}", "path", {"seen": seen}, datetime.now(UTC))
        store.promote(f"a{turn}")
    print(seen)
"""
    sqlite_store.put(make_record("first"))
    assert sqlite_store.flush(20)
    command = [sys.executable, "-c", job, f"sqlite:///{sqlite_file}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        number = 0
        while process.poll() is None:
            sqlite_store.put(make_record(f"d{number}"))
            sqlite_store.flush(5)
            number += 1
        seen = int(process.stdout.read())
    assert process.returncode == 0
    assert 1 <= seen <= number + 1
    assert sqlite_store.flush(20)
    serving = sqlite_store.serving()
    assert serving is not None
    assert serving.id == "a9"
    assert len(list(sqlite_store.records())) == number + 1
    assert sqlite_store.stats().dropped == 0


def test_what_is_queued_when_the_program_ends_is_written(sqlite_store: Store, sqlite_file: Path) -> None:
    """A notebook or a script that never closes the store loses nothing."""
    script = """
import sys
from datetime import UTC, datetime
from pointsman.domain import *
from pointsman.store import Record, StoreConfig, open_store
price = Price(0.1, 0, 1)
decision = Decision("d1", datetime.now(UTC), Route("r", "m", "direct", 0, price), "so", Objective(), "1")
open_store(StoreConfig(url=sys.argv[1])).put(Record(decision, Query(({"role": "user", "content": "hi"},)), ()))
"""
    subprocess.run([sys.executable, "-c", script, f"sqlite:///{sqlite_file}"], check=True, timeout=60)
    assert sqlite_store.decision("d1") is not None


def test_the_history_includes_what_was_queued_a_moment_ago(
    store: Store, make_record: MakeRecord, make_outcome: MakeOutcome, tmp_path: Path
) -> None:
    store.put(make_record(outcomes=(make_outcome(),)))
    assert [observation.correct for observation in store.observations()] == [1.0]
    store.put(make_record("d2"))
    assert store.export(tmp_path / "out.jsonl") == 2
    store.put(make_record("d3"))
    assert len(list(store.lines())) == 3


def test_the_form_of_the_tables_can_be_asked(url: str) -> None:
    with open_store(StoreConfig(url=url)) as store:
        assert store.current() is None
        store.upgrade()
        store.check()
        assert store.current() == "0004"
