"""Real databases for the store's tests: a SQLite file always; also the URLs in POINTSMAN_TEST_STORE_URLS (comma
separated), where each test gets a PostgreSQL schema of its own."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from logged import MOMENT, attempt, outcome, record
from sqlalchemy import create_engine, make_url, text

from pointsman.domain import Attempt, Outcome
from pointsman.store import Record, Store, StoreConfig, ledger, open_store, schema
from pointsman.store.database import Database
from pointsman.store.queue import WriteQueue
from pointsman.store.records import Entry
from pointsman.store.writer import Writer

OTHER_URLS = [url for url in os.environ.get("POINTSMAN_TEST_STORE_URLS", "").split(",") if url.strip()]


@contextmanager
def fresh(base: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file in `folder`, or a new schema where `base` is a URL."""
    if base == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
        return
    schema = f"test_{uuid.uuid4().hex}"
    engine = create_engine(make_url(base).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    query = {"options": f"-c search_path={schema}"}
    yield make_url(base).update_query_dict(query).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite", *OTHER_URLS], ids=lambda base: base.split(":")[0])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on every kind of database asked for."""
    with fresh(request.param, tmp_path) as made:
        yield made


def prepare(url: str, empty_file: Path) -> None:
    """Puts our empty tables into the database."""
    if url.startswith("sqlite"):
        shutil.copy(empty_file, url.removeprefix("sqlite:///").partition("?")[0])
    else:
        with open_store(StoreConfig(url=url)) as opened:
            opened.upgrade()


@pytest.fixture
def store(url: str, empty_file: Path) -> Iterator[Store]:
    """A store with its tables."""
    prepare(url, empty_file)
    with open_store(StoreConfig(url=url)) as opened:
        yield opened


@pytest.fixture
def database(url: str, empty_file: Path) -> Iterator[Database]:
    """A database with our tables."""
    prepare(url, empty_file)
    made = Database(url)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["sqlite", *OTHER_URLS], ids=lambda base: base.split(":")[0])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with our tables for a whole module: for property tests, which make their own ids."""
    with fresh(request.param, tmp_path_factory.mktemp("shared")) as made:
        database = Database(made)
        schema.upgrade(database)
        yield database
        database.close()


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """Where `sqlite_store` keeps its data."""
    return tmp_path / "only.db"


@pytest.fixture
def sqlite_store(sqlite_file: Path, empty_file: Path) -> Iterator[Store]:
    """A store in a SQLite file that waits a tenth of a second for a lock."""
    shutil.copy(empty_file, sqlite_file)
    with open_store(StoreConfig(url=f"sqlite:///{sqlite_file}?timeout=0.1")) as opened:
        yield opened
        opened.close(timeout_s=1)


class Gate:
    """A real writing that can be held up: before it, or after its commit; and made to fail on either side."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.entered, self.go, self.through = threading.Event(), threading.Event(), threading.Event()
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
        self.through.set()
        if self.after:
            raise self.after.pop(0)
        return lost

    def count(self, table: str = "decisions") -> int:
        with self.database.reading() as connection:
            return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


@pytest.fixture
def gate(database: Database) -> Gate:
    """A writing that can be held up and made to fail."""
    return Gate(database)


@pytest.fixture
def queue_on() -> Callable[..., AbstractContextManager[WriteQueue]]:
    """`with queue_on(gate, capacity=…) as queue`: a queue that writes through the gate, closed at the end."""

    @contextmanager
    def opened(gate: Gate, **changes: int) -> Iterator[WriteQueue]:
        bounds = {"capacity": 1000, "most_bytes": 10**9} | changes
        queue = WriteQueue(run=Writer(gate).run, **bounds)
        try:
            yield queue
        finally:
            gate.go.set()
            queue.close(10)

    return opened


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """`make_record(decision_id, said, **changes)`: a plausible record."""
    return record


@pytest.fixture(scope="session")
def make_attempt() -> Callable[..., Attempt]:
    """`make_attempt(**changes)`: a plausible answered attempt."""
    return attempt


@pytest.fixture(scope="session")
def make_outcome() -> Callable[..., Outcome]:
    """`make_outcome(decision_id, value, minutes, **changes)`: a user's statement, `minutes` after the decision."""
    return outcome


@pytest.fixture(scope="session")
def moment() -> datetime:
    """When the decisions of `make_record` were made."""
    return MOMENT
